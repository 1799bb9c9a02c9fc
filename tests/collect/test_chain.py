from __future__ import annotations

from array import array
from typing import Any

import pytest

from reconciler.collect.chain import EMPTY_PAGES, Chain, same_origin
from reconciler.sdk.connector import Page
from reconciler.sdk.errors import Misbehaved
from reconciler.sdk.records import Account

ROW = Account(source="s", account_id="a")


@pytest.mark.parametrize(
    ("url", "endpoint", "same"),
    [
        ("https://a.test/next", "https://a.test", True),
        ("https://a.test:443/next", "https://a.test/api", True),
        ("HTTPS://A.TEST/next", "https://a.test", True),
        ("//a.test/next", "https://a.test", True),
        ("http://a.test/next", "https://a.test", False),
        ("https://a.test:8443/next", "https://a.test", False),
        ("https://b.test/next", "https://a.test", False),
        ("https://a.test.b.test/next", "https://a.test", False),
        ("https://a.test@b.test/next", "https://a.test", False),
        ("https://user@a.test/next", "https://a.test", False),
        ("https://b.test\\@a.test/next", "https://a.test", False),
        ("//b.test/next", "https://a.test", False),
        ("https://a.test:port/next", "https://a.test", False),
        (" https://a.test/next", "https://a.test", False),
        ("https://a.test/next", "/data/qms", False),
        ("https://a.test/next", "", False),
    ],
)
def test_a_next_link_stays_on_the_origin_of_its_source(url: str, endpoint: str, same: bool) -> None:
    assert same_origin(url, endpoint) is same
    chain = Chain(endpoint)
    if same:
        chain.accept(Page(rows=[ROW], next=url))
    else:
        with pytest.raises(Misbehaved, match="another origin"):
            chain.accept(Page(rows=[ROW], next=url))


@pytest.mark.parametrize("cursor", ["/api/users?after=x", "after=https://b.test", "eyJhIjoxfQ==", "7"])
def test_an_opaque_cursor_is_followed(cursor: str) -> None:
    assert Chain("https://a.test").accept(Page(rows=[ROW], next=cursor)).next == cursor


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (None, "returned NoneType, not a page"),
        ([ROW], "returned list"),
        (Page(rows="abc"), "rows of a page are str"),  # type: ignore[arg-type] # the point
        (Page(rows=None), "rows of a page are NoneType"),  # type: ignore[arg-type] # the point
        (Page(rows=iter([ROW])), "rows of a page are list_iterator"),  # type: ignore[arg-type] # the point
        (Page(rows=[ROW], next=3), "no text"),  # type: ignore[arg-type] # the point
        (Page(rows=[ROW], next=""), "no text"),
        (Page(rows=[ROW], total=-1), "own count is -1"),
        (Page(rows=[ROW], total=True), "own count is True"),
    ],
)
def test_what_is_no_page_is_refused(page: Any, says: str) -> None:
    with pytest.raises(Misbehaved, match=says):
        Chain("https://a.test").accept(page)


def test_empty_pages_are_allowed_until_they_are_too_many_in_a_row() -> None:
    chain = Chain("https://a.test")
    for number in range(EMPTY_PAGES - 1):
        chain.accept(Page(rows=(), next=str(number)))
    chain.accept(Page(rows=[ROW], next="row"))
    for number in range(EMPTY_PAGES - 1):
        chain.accept(Page(rows=(), next=f"more {number}"))
    with pytest.raises(Misbehaved, match="held nothing"):
        chain.accept(Page(rows=(), next="last"))


def test_a_long_chain_of_new_rows_is_no_round() -> None:
    chain = Chain("https://a.test")
    for number in range(2_500):
        chain.accept(Page(rows=[ROW], next=str(number)))
        chain.look_for_rounds(array("q", range(number)))

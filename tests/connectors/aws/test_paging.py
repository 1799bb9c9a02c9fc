"""Lists paged by a token: when an end is believed."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from connectors.aws.connection import timestamp
from connectors.aws.json_api import at, typed
from connectors.aws.paging import one_page
from reconciler.sdk.errors import Misbehaved, Unreachable


class Item(msgspec.Struct):
    """An object of a list."""

    Id: str
    Size: int | None = None


def lister(count: int, *, spoil: Callable[[dict[str, Any], int, int], dict[str, Any]] | None = None) -> Any:
    """Serve numbers the way AWS does; ``spoil`` changes an answer by its call's number and page size."""
    calls = 0

    async def ask(*, MaxResults: int = 100, NextToken: str = "0") -> bytes:  # noqa: N803 -- AWS's names
        nonlocal calls
        calls += 1
        start, end = int(NextToken), int(NextToken) + MaxResults
        more = {"NextToken": str(end)} if end < count else {}
        answer: dict[str, Any] = {"Items": list(range(start, min(end, count)))} | more
        return json.dumps(spoil(answer, calls, MaxResults) if spoil else answer).encode()

    return ask


async def every(ask: Any, size: int | None) -> list[int]:
    found: list[int] = []
    token = None
    while True:
        page = await one_page(ask, "Items", "List", size=size, token=token, params={})
        found += [int(bytes(item)) for item in page.items]
        token = page.token
        if token is None:
            return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, None])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 6, 7])
async def test_every_object_comes_whatever_the_size_of_a_page(count: int, size: int | None) -> None:
    assert await every(lister(count), size) == list(range(count))


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_token_lost_on_one_answer_loses_nothing(lost: int) -> None:
    def spoil(answer: dict[str, Any], call: int, _size: int) -> dict[str, Any]:
        return {"Items": answer["Items"]} if call == lost else answer

    assert await every(lister(9, spoil=spoil), 2) == list(range(9))


async def test_tokens_that_are_always_lost_are_no_end() -> None:
    with pytest.raises(Unreachable, match="lost its token"):
        await every(lister(9, spoil=lambda answer, *_: {"Items": answer["Items"]}), 3)


async def test_tokens_that_are_always_lost_are_no_end_in_pages_of_one() -> None:
    found = await one_page(
        lister(9, spoil=lambda answer, *_: {"Items": answer["Items"]}), "Items", "List", size=1, token=None, params={}
    )
    assert len(found.items) > 1  # the second look showed that there is more


async def test_a_server_that_knows_no_page_size_is_believed() -> None:
    async def ask(**_: Any) -> bytes:
        return b'{"Items": [0, 1, 2]}'

    assert await every(ask, 3) == [0, 1, 2]


async def test_fewer_objects_the_second_time_ask_for_another_try() -> None:
    def spoil(answer: dict[str, Any], call: int, _size: int) -> dict[str, Any]:
        return {"Items": answer["Items"][: 1 if call > 1 else 9]}

    with pytest.raises(Unreachable, match="fewer objects"):
        await every(lister(3, spoil=spoil), 3)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", Unreachable),
        (b"<html>", Unreachable),
        (b"[]", Unreachable),
        (b'{"Items": [1', Unreachable),
        (b"{}", Misbehaved),
        (b'{"Items": null}', Misbehaved),
        (b'{"Items": {}}', Misbehaved),
        (b'{"Items": [], "NextToken": 7}', Misbehaved),
    ],
)
async def test_what_is_no_list_is_never_an_empty_list(body: bytes, expected: type[Exception]) -> None:
    async def ask(**_: Any) -> bytes:
        return body

    with pytest.raises(expected):
        await every(ask, 3)


async def test_an_empty_token_is_an_end_and_an_empty_page_with_a_token_is_none() -> None:
    answers = [b'{"Items": [], "NextToken": "x"}', b'{"Items": [4], "NextToken": ""}']

    async def ask(**_: Any) -> bytes:
        return answers.pop(0)

    assert await every(ask, 3) == [4]


def test_an_object_without_what_it_is_called_by_is_no_object() -> None:
    for wrong in (b"{}", b'{"Id": 7}', b"[]"):
        with pytest.raises(Misbehaved, match="a thing"):
            typed([msgspec.Raw(wrong)], Item, "accounts", "a thing")
    rows, gaps = typed(
        [msgspec.Raw(b'{"Id": "a", "Size": "big"}'), msgspec.Raw(b'{"Id": "b"}')], Item, "accounts", "a thing"
    )
    assert ([row.Id for row in rows], [gap.subject for gap in gaps]) == (["a", "b"], ["a"])


def test_times_are_instants_in_utc() -> None:
    zone = timezone(timedelta(hours=2))
    assert timestamp("2026-01-02T03:04:05Z") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert timestamp("2026-01-02T03:04:05+02:00") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=zone)
    assert timestamp("Fri, 02 Jan 2026 03:04:05 GMT") == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert timestamp(0).timestamp() == 0
    assert (at(None), at(1e300)) == (None, None)

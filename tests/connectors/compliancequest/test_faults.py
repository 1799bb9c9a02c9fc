"""Every fault at every request of a pull: complete with every row, or a gap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.sdk.connector import Status
from tests.connectors.compliancequest.company import people
from tests.simulators.http_injection import PAGE_KINDS, FaultKind
from tests.simulators.salesforce.server import Salesforce

COUNT = 12
PASSING = {
    FaultKind.UNAUTHORIZED,
    FaultKind.THROTTLED,
    FaultKind.THROTTLED_SILENT,
    FaultKind.SERVER_ERROR,
    FaultKind.BAD_GATEWAY_HTML,
    FaultKind.UNAVAILABLE,
    FaultKind.CUT_BY_LENGTH,
    FaultKind.CUT_CHUNKED,
    FaultKind.RESET_BEFORE,
    FaultKind.RESET_WITHIN,
}
SLOW = {FaultKind.HANG, FaultKind.DRIP}
REQUESTS = range(1, 14)
"""Token, two describes, permissions, user, object permissions, last change, three pages, changed, touched, count."""
EVERYWHERE = {FaultKind.UNAUTHORIZED, FaultKind.THROTTLED, FaultKind.RESET_WITHIN, FaultKind.MALFORMED_JSON}


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind not in SLOW | PAGE_KINDS])
async def test_a_fault_at_any_request_never_passes_for_a_whole_pull(
    salesforce: Salesforce, collected: Callable[..., Any], kind: FaultKind
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink = 5
    for at in REQUESTS if kind in EVERYWHERE else (1, 2, 9, 11, 13):
        salesforce.faults.clear()
        salesforce.faults.add(kind, at=at)
        pulled = await collected()
        whole = pulled.status() is Status.COMPLETE
        assert whole or pulled.gaps(), f"request {at}"
        if whole:
            assert {row["employee_id"] for row in pulled.rows()} == {f"{n:05d}" for n in range(COUNT)}, f"request {at}"
        if kind in PASSING and at > 1:
            assert whole, f"request {at}: {pulled.gaps()}"


@pytest.mark.parametrize("kind", sorted(SLOW))
async def test_an_answer_that_never_ends_is_given_up_and_asked_for_again(
    salesforce: Salesforce, collected: Callable[..., Any], kind: FaultKind
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink = 5
    salesforce.faults.add(kind, at=9)
    pulled = await collected(read_timeout_seconds=3.0, request_timeout_seconds=4.0)
    assert (pulled.status(), pulled.count()) == (Status.COMPLETE, COUNT)


@pytest.mark.parametrize("kind", sorted(PAGE_KINDS))
@pytest.mark.parametrize("at", [1, 2, 3])
async def test_a_page_that_was_tampered_with_is_noticed_wherever_it_stands(
    salesforce: Salesforce, collected: Callable[..., Any], kind: FaultKind, at: int
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink = 5
    salesforce.faults.add(kind, at=at, path="SQX_User__r.*FROM|query/0r8")
    pulled = await collected()
    if not salesforce.faults.fired or kind is FaultKind.REORDERED_PAGE:
        assert pulled.status() is Status.COMPLETE
        assert len(pulled.rows()) == COUNT
    else:
        assert pulled.status() is not Status.COMPLETE
        assert pulled.gaps()


@pytest.mark.parametrize("omit", ["done", "nextRecordsUrl", "totalSize", "records"])
async def test_a_page_without_its_envelope_is_no_page(
    salesforce: Salesforce, collected: Callable[..., Any], omit: str
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink = 5
    salesforce.omit = frozenset({omit})
    pulled = await collected()
    assert pulled.status() is Status.FAILED
    assert "a page of a query" in pulled.gaps()


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_a_locator_that_expired_has_the_query_begun_anew(
    salesforce: Salesforce, collected: Callable[..., Any], page: int
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink = 5
    salesforce.after_page = lambda number: salesforce.forget_locators() if number == page else None
    pulled = await collected()
    assert (pulled.status(), pulled.count()) == (Status.COMPLETE, COUNT)


@pytest.mark.parametrize("page", [1, 2, 3, 4])
async def test_a_session_that_ends_is_renewed_and_its_locators_are_not_trusted(
    salesforce: Salesforce, collected: Callable[..., Any], page: int
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink = 5
    salesforce.after_page = lambda number: salesforce.end_sessions() if number == page else None
    pulled = await collected()
    assert (pulled.status(), pulled.count()) == (Status.COMPLETE, COUNT)
    assert salesforce.tokens_given == 2


async def test_used_up_api_requests_are_waited_for_then_said(
    salesforce: Salesforce, collected: Callable[..., Any]
) -> None:
    people(salesforce.org, COUNT)
    salesforce.shrink, salesforce.api_limit = 5, 9
    pulled = await collected()
    assert pulled.status() is Status.FAILED
    assert "REQUEST_LIMIT_EXCEEDED" in pulled.gaps()
    assert "API requests are used up" in pulled.gaps()

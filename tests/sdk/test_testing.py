from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from reconciler.sdk.connector import (
    Cursor,
    Found,
    Gap,
    LiveAccount,
    LiveCredentials,
    Page,
    Partition,
    PersonKeys,
    Presence,
    Source,
)
from reconciler.sdk.errors import Refused
from reconciler.sdk.records import RECORDS, Account, Credential, Record
from reconciler.sdk.testing import Fault, FaultKind, MisbehavingSource, ReadRows, check_source


async def read(source: MisbehavingSource, table: str) -> list[Record]:
    rows: list[Record] = []
    for part in await source.partitions(table, ReadRows()):
        cursor = None
        while True:
            page = await source.page(table, part, cursor)
            rows.extend(page.rows)
            cursor = page.next
            if cursor is None:
                break
    return rows


async def test_a_source_without_faults_conforms() -> None:
    assert isinstance(MisbehavingSource(), Source)
    assert await check_source(MisbehavingSource(partitions=3, canary="c")) == []
    assert await check_source(MisbehavingSource(accounts=20, entitlements=20, credentials=20, fan_out=True)) == []


async def test_rows_are_the_same_every_time_and_of_the_size_asked_for() -> None:
    one, two = (
        MisbehavingSource(accounts=7, grants=70, partitions=2),
        MisbehavingSource(accounts=7, grants=70, page_size=3),
    )
    for table, size in (("accounts", 7), ("entitlements", 10), ("grants", 70), ("credentials", 50)):
        assert await read(one, table) == await read(two, table)
        assert len(await read(one, table)) == size


async def test_a_fault_strikes_at_its_page_as_often_as_told() -> None:
    source = MisbehavingSource(faults=[Fault(FaultKind.REFUSED, page=1, times=1)])
    (part,) = await source.partitions("accounts", ReadRows())
    first = await source.page("accounts", part, None)
    with pytest.raises(Refused):
        await source.page("accounts", part, first.next)
    assert (await source.page("accounts", part, first.next)).next is None


def test_more_grants_than_pairs_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="more grants"):
        MisbehavingSource(accounts=2, entitlements=2, grants=5)


class Table:
    """A source of one table whose rows are given."""

    name, version, endpoint = "given", "1", "https://given.test"

    def __init__(self, *rows: Any, table: str = "accounts", pages: Mapping[str | None, Page] | None = None) -> None:
        self.reports: Any = {table: frozenset({"source", "account_id", "login"})}
        self.pages = pages or {None: Page(rows=rows)}
        self.parts: Sequence[Partition] = [Partition()]
        self.gaps: Sequence[Gap] = ()
        self.closed = 0

    async def check(self) -> Sequence[Gap]:
        return self.gaps

    async def partitions(self, table: str, parents: object) -> Sequence[Partition]:  # noqa: ARG002 - the contract's
        return self.parts

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:  # noqa: ARG002 - the contract's
        return self.pages[cursor]

    async def close(self) -> None:
        self.closed += 1


def account(**columns: Any) -> Account:
    return Account(**{"source": "given", "account_id": "a", "login": "l", **columns})


async def test_a_good_table_passes_and_is_closed_twice() -> None:
    source = Table(account(), account(account_id="b", login=None))
    assert await check_source(source) == []
    assert source.closed == 2


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([account(login=None)], "accounts: claimed but never filled: login"),
        ([account(email="x")], "accounts: filled but not claimed: email"),
        ([account(), account()], "accounts: 1 keys come more than once, such as ('given', 'a')"),
        ([account(source="x")], "accounts row 1: source is 'x', not 'given'"),
        ([account(), account(account_id="")], "accounts row 2: account_id is empty"),
        ([account(account_id=None)], "accounts row 1: account_id is empty"),
        ([account(), account(account_id="b", login=5)], "accounts row 2: Expected `str | null`, got `int`"),
        ([account(status="Enabled")], "Invalid enum value 'Enabled'"),
        ([account(created_at="2026-01-01T00:00:00Z")], "Expected `datetime | null`, got `str`"),
        ([account(created_at=datetime(2026, 1, 1))], "accounts row 1: created_at has no time zone"),  # noqa: DTZ001 - the point
        ([RECORDS["documents"](document_id="d")], "accounts: a row is a Document"),
    ],
)
async def test_rows_that_break_the_contract_are_named(rows: list[Record], says: str) -> None:
    problems = await check_source(Table(*rows))
    assert any(says in problem for problem in problems), problems


async def test_unfilled_columns_are_declared_and_the_declaration_is_held_to() -> None:
    assert await check_source(Table(account(login=None)), unfilled={"accounts": ["login"]}) == []
    assert await check_source(Table(account()), unfilled={"accounts": ["login"]}) == [
        "accounts: declared unfilled but filled: login"
    ]


@pytest.mark.parametrize(
    ("pages", "says"),
    [
        (
            {None: Page(rows=[account()], next="1"), "1": Page(rows=(), next="1")},
            "the cursor '1' is empty or came before",
        ),
        ({None: Page(rows=[account()], next="")}, "the cursor '' is empty"),
        ({None: Page(rows=[account()], total=2)}, "the source counts 2 rows and 1 came"),
    ],
)
async def test_chains_that_break_the_contract_are_named(pages: dict[str | None, Page], says: str) -> None:
    problems = await check_source(Table(pages=pages))
    assert any(says in problem for problem in problems), problems


async def test_the_rest_of_the_contract_is_looked_at() -> None:
    source = Table(account())
    source.reports = {"accounts": frozenset({"login", "shoe_size"}), "wishes": frozenset()}
    source.parts = [Partition(), Partition()]
    source.gaps = [Gap("accounts", "x", "")]
    source.name = ""
    problems = "\n".join(await check_source(source))
    for says in (
        "name is empty",
        "reports names wishes",
        "columns that do not exist: shoe_size",
        "leaves out the key: account_id, source",
        "a gap without a reason",
        "a partition is listed twice",
    ):
        assert says in problems


class Live(Table):
    """A source of two accounts and a key, which re-reads as told."""

    def __init__(self, said: Mapping[str, LiveAccount]) -> None:
        super().__init__()
        self.reports = {
            "accounts": frozenset({"source", "account_id"}),
            "credentials": frozenset({"source", "credential_id", "account_id", "kind", "status"}),
        }
        self.said = said

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:  # noqa: ARG002 - the contract's
        key = Credential(source="given", credential_id="k", account_id="a1", kind="access_key", status="active")
        return Page(rows=[key] if table == "credentials" else [account(account_id=i, login=None) for i in ("a0", "a1")])

    async def find(self, person: PersonKeys) -> Found:
        raise NotImplementedError

    async def reread(self, account_id: str) -> LiveAccount:
        return self.said.get(account_id, LiveAccount(account_id, Presence.GONE))


def live(presence: Presence, *credentials: LiveCredentials, account_id: str = "a1", reason: str = "") -> LiveAccount:
    return LiveAccount(account_id, presence, credentials=credentials, reason=reason)


KEY = LiveCredentials("access_key", Presence.PRESENT, ("k",))
UNSAID = LiveCredentials("session", Presence.NOT_EVALUABLE)


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"a1": live(Presence.PRESENT, KEY)}, ""),
        ({"a1": live(Presence.NOT_EVALUABLE, KEY, reason="refused")}, ""),
        ({}, "reread of a1: GONE, and it was listed just now"),
        ({"a1": live(Presence.PRESENT)}, "no word about its access_key"),
        (
            {"a1": live(Presence.PRESENT, LiveCredentials("access_key", Presence.GONE))},
            "access_key is GONE, and an active one was listed",
        ),
        ({"a1": live(Presence.PRESENT, KEY, KEY)}, "access_key stands there 2 times"),
        ({"a1": live(Presence.PRESENT, KEY, account_id="A1")}, "reread of a1 answered about A1"),
        ({"a1": live(Presence.NOT_EVALUABLE, KEY, UNSAID)}, "session is NOT_EVALUABLE without a reason"),
        ({"a1": live(Presence.NOT_EVALUABLE, KEY)}, "account is NOT_EVALUABLE without a reason"),
        (
            {"a1": live(Presence.PRESENT, KEY), "a2": live(Presence.PRESENT, account_id="a2")},
            "reread of a2: it is there, or a credential of it, and there is no such account",
        ),
        (
            {
                "a1": live(Presence.PRESENT, KEY),
                "no-such-account": live(Presence.GONE, KEY, account_id="no-such-account"),
            },
            "reread of no-such-account: it is there",
        ),
    ],
)
async def test_a_lookup_is_held_to_what_it_listed(said: Mapping[str, LiveAccount], problem: str) -> None:
    problems = await check_source(Live(said))
    assert any(problem in one for one in problems) if problem else problems == []


async def test_the_kit_finds_every_fault_of_the_misbehaving_source() -> None:
    quiet = {FaultKind.SLOW, FaultKind.GAP}
    for kind in FaultKind:
        source = MisbehavingSource(accounts=60, page_size=20, faults=[Fault(kind, page=1)])
        try:
            problems = await check_source(source)
        except Exception as error:  # noqa: BLE001 - a fault may raise anything, and that is found too
            problems = [repr(error)]
        assert problems or kind in quiet, kind

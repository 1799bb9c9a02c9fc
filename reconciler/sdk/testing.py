"""For tests of connectors and of the page loop: a conformance kit, and a source that misbehaves on purpose.

A connector's own tests call ``check_source`` in a dozen lines. ``MisbehavingSource`` makes accounts,
entitlements, grants and credentials of any size without holding them, always the same, and breaks in the way
and at the page that a test asks for; without faults it behaves.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, cast

import msgspec

from reconciler.sdk.connector import Cursor, Gap, LiveAccount, Lookup, Page, Partition, Presence, Source
from reconciler.sdk.errors import Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.records import (
    IDENTITY,
    RECORDS,
    WITHOUT_END,
    Account,
    Credential,
    Document,
    Entitlement,
    Grant,
    Record,
)

_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_PAGES = 2_000


class FaultKind(StrEnum):
    """The ways in which a source breaks."""

    RESET = "reset"
    RESTART = "restart"
    THROTTLE = "throttle"
    THROTTLE_WITH_TIME = "throttle_with_time"
    REFUSED = "refused"
    EMPTY_ANSWER = "empty_answer"
    REPEATED_CURSOR = "repeated_cursor"
    FOREIGN_LINK = "foreign_link"
    EMPTY_CURSOR = "empty_cursor"
    ENDLESS_EMPTY = "endless_empty"
    ENDLESS_ROWS = "endless_rows"
    EARLY_END = "early_end"
    DUPLICATE_PAGE = "duplicate_page"
    WRONG_ROWS = "wrong_rows"
    WRONG_SOURCE = "wrong_source"
    NAIVE_TIME = "naive_time"
    NULL_ID = "null_id"
    EMPTY_ID = "empty_id"
    ZERO_ROWS = "zero_rows"
    GAP = "gap"
    NO_PAGE = "no_page"
    BUG = "bug"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, in which table, at which page of a partition (0 is the first, -1 the last).

    ``times`` is how often it strikes in all, None for always. ``seconds`` is how long SLOW takes, and what
    THROTTLE_WITH_TIME asks for.
    """

    kind: FaultKind
    table: str = "accounts"
    page: int = 0
    times: int | None = None
    seconds: float = 0.0


class MisbehavingSource:
    """A source of made-up rows that breaks where it is told to.

    Ids derive from the row's number, so two sources of one size are equal. ``partitions`` splits each table
    evenly. With ``fan_out`` credentials are read account by account over the accounts already pulled.
    ``canary`` comes back with the first page of accounts unless ``lose_canary``. ``totals`` says whether the
    source counts its own rows.
    """

    version = "1.0"
    endpoint = "https://misbehaving.test"

    def __init__(
        self,
        name: str = "simulated",
        *,
        accounts: int = 100,
        entitlements: int = 10,
        grants: int = 300,
        credentials: int = 50,
        page_size: int = 50,
        partitions: int = 1,
        fan_out: bool = False,
        totals: bool = True,
        canary: str = "",
        lose_canary: bool = False,
        faults: Sequence[Fault] = (),
        gaps: Sequence[Gap] = (),
    ) -> None:
        if grants > accounts * entitlements:
            message = "there are more grants than pairs of account and entitlement"
            raise ValueError(message)
        self.name = name
        self.sizes = {
            "accounts": accounts,
            "entitlements": entitlements,
            "grants": grants,
            "credentials": credentials,
        }
        self.reports: Mapping[str, frozenset[str]] = {table: _FILLED[table] for table in self.sizes}
        self.most_at_once = 0
        """The most pages that were asked for at one time."""
        self.closed = 0
        self._page_size = page_size
        self._partitions = partitions
        self._fan_out = fan_out
        self._totals = totals
        self._canary = "" if lose_canary else canary
        self._gaps = gaps
        self._left: list[list[Any]] = [[fault, fault.times] for fault in faults]
        self._busy = 0

    async def check(self) -> Sequence[Gap]:
        """Return the gaps that the source was made with."""
        return self._gaps

    async def partitions(self, table: str, parents: Any) -> Sequence[Partition]:
        """Return the parts: numbers, or account ids for credentials with ``fan_out``."""
        if self._fan_out and table == "credentials":
            return [Partition(account) for account in parents.values("accounts", "account_id")]
        return [Partition(str(i) if self._partitions > 1 else "") for i in range(self._partitions)]

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Return a page, or do what a fault at this place says."""
        self._busy += 1
        self.most_at_once = max(self.most_at_once, self._busy)
        try:
            return await self._page(table, partition, cursor)
        finally:
            self._busy -= 1

    async def close(self) -> None:
        """Count the call."""
        self.closed += 1

    def rows(self, table: str, start: int, stop: int) -> list[Record]:
        """Make the rows of a table from number ``start`` up to ``stop``, without any fault."""
        return _MAKERS[table](self, start, stop)

    async def _page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        begin, end = self._range(table, partition)
        if cursor and not cursor.isdecimal():
            return self._endless(table, begin, end, cursor)
        start = int(cursor) if cursor else begin
        number = (start - begin) // self._page_size
        stop = min(start + self._page_size, end)
        fault = self._fault(table, number, last=stop >= end)
        first = table == "accounts" and number == 0 and self._canary
        page = Page(
            rows=self.rows(table, start, stop),
            next=str(stop) if stop < end else None,
            total=end - begin if self._totals else None,
            canaries=frozenset({self._canary} if first else ()),
        )
        if fault is None:
            # What real sources do here: other pages get their turn.
            await asyncio.sleep(0)
            return page
        return await self._break(fault, page, table, start, number)

    def _endless(self, table: str, begin: int, end: int, cursor: Cursor) -> Page:
        kind, _, count = cursor.rpartition("-")
        rows = self.rows(table, begin, min(begin + self._page_size, end)) if kind == FaultKind.ENDLESS_ROWS else ()
        return Page(rows=rows, next=f"{kind}-{int(count) + 1}")

    async def _break(self, fault: Fault, page: Page, table: str, start: int, number: int) -> Page:
        _raise(fault)
        rows = list(page.rows)
        links = {
            FaultKind.REPEATED_CURSOR: str(start),
            FaultKind.EMPTY_CURSOR: "",
            FaultKind.FOREIGN_LINK: "https://elsewhere.test/next?page=2",
            FaultKind.ENDLESS_EMPTY: f"{FaultKind.ENDLESS_EMPTY}-1",
            FaultKind.ENDLESS_ROWS: f"{FaultKind.ENDLESS_ROWS}-1",
        }
        if fault.kind in links:
            return replace(page, next=links[fault.kind])
        if fault.kind is FaultKind.SLOW:
            await asyncio.sleep(fault.seconds)
            return page
        changed: dict[FaultKind, Callable[[], Any]] = {
            FaultKind.NO_PAGE: lambda: None,
            FaultKind.ZERO_ROWS: lambda: Page(rows=()),
            FaultKind.EARLY_END: lambda: replace(page, rows=rows[:-1], next=None),
            FaultKind.DUPLICATE_PAGE: lambda: replace(
                page, rows=self.rows(table, start - self._page_size, start) if number else [*rows, *rows]
            ),
            FaultKind.GAP: lambda: replace(page, rows=rows[:-1], total=None, gaps=(_denied(table, start),)),
        }
        change = changed.get(fault.kind, lambda: replace(page, rows=[_spoil(rows[0], fault.kind), *rows[1:]]))
        return cast("Page", change())

    def _range(self, table: str, partition: Partition) -> tuple[int, int]:
        size = self.sizes[table]
        if self._fan_out and table == "credentials":
            account = int(partition.name.rpartition("-")[2])
            return account, min(account + 1, max(size, account))
        part = int(partition.name or 0)
        return size * part // self._partitions, size * (part + 1) // self._partitions

    def _fault(self, table: str, number: int, *, last: bool) -> Fault | None:
        for entry in self._left:
            fault, left = entry
            here = fault.page == number or (fault.page == -1 and last)
            if fault.table == table and here and left != 0:
                entry[1] = None if left is None else left - 1
                return fault  # type: ignore[no-any-return] # the entry pairs a fault with a count
        return None


def _denied(table: str, number: int) -> Gap:
    return Gap(table, f"object {number}", "access denied", missing_permission="read.all")


def _raise(fault: Fault) -> None:
    """Raise what a fault raises, if it does."""
    match fault.kind:
        case FaultKind.RESET:
            raise Unreachable("connection reset")
        case FaultKind.RESTART:
            raise Unreachable("the paging cookie is gone", restart=True)
        case FaultKind.THROTTLE:
            raise Throttled("too many requests")
        case FaultKind.THROTTLE_WITH_TIME:
            raise Throttled("too many requests", retry_after=fault.seconds)
        case FaultKind.REFUSED:
            raise Refused("not allowed", missing_permission="read.all", advice="Grant read.all.")
        case FaultKind.EMPTY_ANSWER:
            raise Misbehaved("the answer is 200 and empty")
        case FaultKind.BUG:
            raise KeyError("userName")
        case _:
            pass


def _spoil(row: Record, kind: FaultKind) -> Record:
    """Return ``row`` with what ``kind`` says wrong in it; the types are broken on purpose."""
    keys = {name: "" if kind is FaultKind.EMPTY_ID else None for name in row.__struct_fields__ if name.endswith("_id")}
    match kind:
        case FaultKind.WRONG_ROWS:
            return Document(document_id="d1")
        case FaultKind.WRONG_SOURCE:
            return msgspec.structs.replace(row, source="another")
        case FaultKind.NAIVE_TIME:
            name = "granted_at" if isinstance(row, Grant) else "created_at"
            spoilt = {name: datetime(2024, 1, 1)}  # noqa: DTZ001 - the fault is that it has no zone
            return msgspec.structs.replace(row, **(spoilt if hasattr(row, name) else {"name": 12345}))
        case _:
            return msgspec.structs.replace(row, **keys)


def _accounts(source: MisbehavingSource, start: int, stop: int) -> list[Record]:
    name = source.name
    return [
        Account(
            source=name,
            account_id=f"account-{i}",
            login=f"user{i}",
            display_name=f"User {i}",
            email=f"user{i}@example.test",
            employee_id=str(i),
            kind="human",
            raw_status="ACTIVE",
            status="enabled" if i % 20 else "disabled",
            can_sign_in=bool(i % 20),
            created_at=_BEGIN + timedelta(minutes=i % 500_000),
            department=f"Department {i % 100}",
        )
        for i in range(start, stop)
    ]


def _entitlements(source: MisbehavingSource, start: int, stop: int) -> list[Record]:
    name = source.name
    return [
        Entitlement(source=name, entitlement_id=f"group-{i}", kind="group", name=f"Group {i}", privileged=i % 50 == 0)
        for i in range(start, stop)
    ]


def _grants(source: MisbehavingSource, start: int, stop: int) -> list[Record]:
    name, accounts, entitlements = source.name, source.sizes["accounts"], source.sizes["entitlements"]
    return [
        Grant(
            source=name,
            principal_kind="account",
            principal_id=f"account-{i % accounts}",
            entitlement_id=f"group-{(i % accounts + i // accounts) % entitlements}",
            assignment="direct",
            granted_at=_BEGIN + timedelta(minutes=i % 500_000),
        )
        for i in range(start, stop)
    ]


def _credentials(source: MisbehavingSource, start: int, stop: int) -> list[Record]:
    name, accounts = source.name, source.sizes["accounts"] or 1
    return [
        Credential(
            source=name,
            credential_id=f"key-{i}",
            account_id=f"account-{i % accounts}",
            kind="access_key",
            status="active",
            created_at=_BEGIN + timedelta(minutes=i % 500_000),
        )
        for i in range(start, stop)
    ]


_MAKERS = {
    "accounts": _accounts,
    "entitlements": _entitlements,
    "grants": _grants,
    "credentials": _credentials,
}
_FILLED = {
    "accounts": frozenset(
        {"source", "account_id", "login", "display_name", "email", "employee_id", "kind", "raw_status", "status"}
        | {"can_sign_in", "created_at", "department"}
    ),
    "entitlements": frozenset({"source", "entitlement_id", "kind", "name", "privileged"}),
    "grants": frozenset({"source", "principal_kind", "principal_id", "entitlement_id", "assignment", "granted_at"}),
    "credentials": frozenset({"source", "credential_id", "account_id", "kind", "status", "created_at"}),
}


class ReadRows:
    """Rows read so far, by table, for the fan-out of later tables: the kit's ``Parents``."""

    def __init__(self) -> None:
        self.tables: dict[str, list[Record]] = {}

    def values(self, table: str, column: str) -> Iterator[str]:
        """Yield one column of a table that was read before."""
        return (value for row in self.tables[table] if (value := getattr(row, column)) is not None)


async def check_source(source: Source, *, unfilled: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """Read a source whole and return in words what breaks the contract; an empty list is a pass.

    Holds the data behind the source to what it claims: every column in ``reports`` is filled at least once,
    except those that ``unfilled`` names per table, which this test's data cannot show. Pages are not retried;
    an error that the source raises is raised. A ``Lookup`` is held to what it listed: one account for each kind of
    credentials is re-read, and one that it never listed. The source is closed, twice.
    """
    whole: object = source
    problems = [] if isinstance(whole, Source) else ["it lacks a part of the Source protocol"]
    problems += [f"{name} is empty" for name in ("name", "version", "endpoint") if not getattr(source, name)]
    problems += _check_reports(source)
    problems += [f"check() gave {gap!r}, a gap without a reason" for gap in await source.check() if not gap.reason]
    read = ReadRows()
    for table in (table for table in RECORDS if table in source.reports):
        read.tables[table] = []
        parts = list(await source.partitions(table, read))
        if len(set(parts)) != len(parts):
            problems.append(f"{table}: a partition is listed twice")
        for part in parts:
            problems += await _read_part(source, table, part, read.tables[table])
        problems += _check_rows(source, table, read.tables[table], set((unfilled or {}).get(table, ())))
    if isinstance(whole, Lookup):
        problems += await _check_lookup(whole, read)
    await source.close()
    await source.close()
    return problems


async def _check_lookup(source: Lookup, read: ReadRows) -> list[str]:
    """Re-read an account that was listed for each kind of credentials, and one that was not."""
    known = set(read.values("accounts", "account_id")) if "accounts" in read.tables else set()
    one_of: dict[str, Credential] = {}
    for row in read.tables.get("credentials", ()):
        if isinstance(row, Credential) and row.kind and row.account_id in known:
            one_of.setdefault(row.kind, row)
    problems = []
    for kind, row in one_of.items():
        found = await source.reread(row.account_id or "")
        problems += _check_live(found, row.account_id or "")
        if found.presence is Presence.GONE:
            problems.append(f"reread of {row.account_id}: GONE, and it was listed just now")
        if kind not in {one.kind for one in found.credentials}:
            problems.append(f"reread of {row.account_id}: no word about its {kind}, which was listed just now")
        if row.status == "active" and any(
            one.kind == kind and one.presence is Presence.GONE for one in found.credentials
        ):
            problems.append(f"reread of {row.account_id}: {kind} is GONE, and an active one was listed just now")
    for stranger in ("no-such-account", *_unlike(known)):
        found = await source.reread(stranger)
        problems += _check_live(found, stranger)
        said = {found.presence, *(one.presence for one in found.credentials)}
        if said & {Presence.PRESENT, Presence.DISABLED}:
            problems.append(f"reread of {stranger}: it is there, or a credential of it, and there is no such account")
    return problems


def _check_live(found: LiveAccount, asked: str) -> list[str]:
    problems = [] if found.account_id == asked else [f"reread of {asked} answered about {found.account_id}"]
    kinds = Counter(one.kind for one in found.credentials)
    problems += [f"reread of {asked}: {kind} stands there {n} times" for kind, n in kinds.items() if n > 1]
    unsaid: list[str] = [
        one.kind for one in found.credentials if one.presence is Presence.NOT_EVALUABLE and not one.reason
    ]
    if found.presence is Presence.NOT_EVALUABLE and not found.reason:
        unsaid.append("account")
    return problems + [f"reread of {asked}: {what} is NOT_EVALUABLE without a reason" for what in unsaid]


def _unlike(known: Collection[str]) -> Iterator[str]:
    """Yield an id in the form of those that are known, which is none of them."""
    for account_id in sorted(known)[:1]:
        changed = (account_id[:-1] + last for last in "0123456789abcdef")
        yield next(other for other in changed if other not in known)


async def _read_part(source: Source, table: str, part: Partition, rows: list[Record]) -> list[str]:
    place = f"{table} {part.name}".strip()
    seen: set[str] = set()
    cursor: Cursor | None = None
    total, count = None, 0
    for _ in range(_PAGES):
        page = await source.page(table, part, cursor)
        rows.extend(page.rows)
        count += len(page.rows)
        total = page.total if page.total is not None else total
        cursor = page.next
        if cursor is None:
            return [] if total in {None, count} else [f"{place}: the source counts {total} rows and {count} came"]
        if not cursor or cursor in seen:
            return [f"{place}: the cursor {cursor!r} is empty or came before"]
        seen.add(cursor)
    return [f"{place}: the chain had not ended after {_PAGES} pages"]


def _check_reports(source: Source) -> list[str]:
    problems = []
    for table, columns in source.reports.items():
        if table not in RECORDS:
            problems.append(f"reports names {table}, which is no table that a source fills")
            continue
        if strange := columns - set(RECORDS[table].__struct_fields__):
            problems.append(f"reports.{table} names columns that do not exist: {', '.join(sorted(strange))}")
        if missing := set(_keys(RECORDS[table])) - columns:
            problems.append(f"reports.{table} leaves out the key: {', '.join(sorted(missing))}")
    return problems


def _check_rows(source: Source, table: str, rows: Sequence[Record], unfilled: set[str]) -> list[str]:
    record = RECORDS.get(table, Record)
    problems = [f"{table}: a row is a {type(row).__name__}" for row in rows if type(row) is not record][:1]
    if problems:
        return problems
    claimed = source.reports[table]
    filled = {name for name in record.__struct_fields__ if any(getattr(row, name) is not None for row in rows)}
    if never := claimed - filled - unfilled - WITHOUT_END.get(table, frozenset()):
        problems.append(f"{table}: claimed but never filled: {', '.join(sorted(never))}")
    if idle := unfilled & filled:
        problems.append(f"{table}: declared unfilled but filled: {', '.join(sorted(idle))}")
    if extra := filled - claimed:
        problems.append(f"{table}: filled but not claimed: {', '.join(sorted(extra))}")
    keys = _keys(record)
    repeated = [key for key, n in Counter(tuple(getattr(r, k) for k in keys) for r in rows).items() if n > 1]
    if repeated:
        problems.append(f"{table}: {len(repeated)} keys come more than once, such as {repeated[0]}")
    for number, row in enumerate(rows, 1):
        problems += [f"{table} row {number}: {wrong}" for wrong in _check_values(source, table, row, keys)]
    return problems


def _check_values(source: Source, table: str, row: Record, keys: Sequence[str]) -> list[str]:
    values = msgspec.structs.asdict(row)
    wrong = [f"{name} is empty, and it is part of the key" for name in keys if values[name] in {None, ""}]
    if table in IDENTITY and values["source"] != source.name:
        wrong.append(f"source is {values['source']!r}, not {source.name!r}")
    for name, value in values.items():
        if isinstance(value, datetime) and value.utcoffset() is None:
            wrong.append(f"{name} has no time zone")
    try:
        msgspec.convert(values, type=type(row), builtin_types=(datetime, date))
    except msgspec.ValidationError as error:
        wrong.append(str(error))
    return wrong


def _keys(record: type[Record]) -> tuple[str, ...]:
    hints = msgspec.inspect.type_info(record)
    fields = hints.fields if isinstance(hints, msgspec.inspect.StructType) else ()
    return tuple(
        f.name for f in fields if isinstance(f.type, msgspec.inspect.Metadata) and (f.type.extra or {}).get("key")
    )

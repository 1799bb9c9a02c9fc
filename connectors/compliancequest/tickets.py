"""The ticket system: a record of a quality object for each key, by upsert over an External ID field."""

from __future__ import annotations

import html
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Unreachable
from reconciler.sdk.texts import fitting, one_line
from reconciler.sdk.tickets import (
    Change,
    Comment,
    Request,
    Status,
    Ticket,
    TicketRef,
    TicketView,
    checked,
    legible,
    prefixed,
)

from .access import Sight, read_sight
from .client import Client, Rejected
from .register import written
from .rights import missing, must_be_unique
from .soql import Condition, select, starting
from .tickets_settings import TicketSettings

VERSION = "1.0.0"
FEED = "FeedItem"
_STAMP = "SystemModstamp"
_POST_LENGTH = 10_000
_POST = ["Id", "Body", "CreatedDate", "CreatedBy.Name"]


class ComplianceQuestTickets:
    """File nonconformities, findings or CAPAs; see README.md, Filing. A register of exceptions, where configured."""

    version = VERSION
    idempotent = True
    readable = True

    def __init__(self, name: str, settings: TicketSettings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._names = settings.names
        self._client = Client(settings, base)
        self._sight: Sight | None = None
        self._keys = {
            self._names.title: "title_field",
            self._names.body: "body_field",
            settings.status_field: "status_values",
        }
        self._statuses = {word.casefold(): Status(value) for word, value in settings.statuses.items()}
        self.endpoint = self._client.origin
        self.settle_seconds = settings.settle_seconds or 0.0
        self.holds_exceptions = settings.exceptions is not None

    async def check(self) -> Sequence[Gap]:
        """Describe what is written and read; raise ``Refused`` where no record could carry our key."""
        return await missing(self._client, self._settings, await self._seen())

    def preview(self, ticket: Ticket) -> Request:
        """Return the upsert of a ticket."""
        path, values = self._upsert(ticket)
        headers = {"Authorization": "Bearer ***", "Content-Type": "application/json"}
        return Request("PATCH", f"{self.endpoint}{path}", headers, legible(values))

    async def find(self, key: str) -> Sequence[TicketRef]:
        """Return the records that carry the key, as SOQL sees them at once."""
        condition = Condition(self._settings.external_id, (checked(key),))
        soql = select(self._names.entity, ["Id", "Name"], [condition], ordered=False)
        return [self._ref(row) for row in await self._rows(f"{soql} ORDER BY CreatedDate")]

    async def create(self, ticket: Ticket) -> TicketRef:
        """Upsert the record under its key. Raises ``SeveralRecords`` (HTTP 300) naming those that carry it."""
        path, values = self._upsert(ticket)
        must_be_unique(await self._client.describe(self._names.entity), self._settings.external_id)
        try:
            saved = await self._client.upsert(path, values)
        except Rejected as error:
            if any(
                one.code == "DUPLICATE_VALUE" and self._settings.external_id in one.message for one in error.problems
            ):
                raise Unreachable(f"{error.message}: it was made at this moment", advice="Try again.") from None
            raise self._by_key(error, self._keys) from None
        if saved is not None:
            return self._ref({"Id": saved})
        found = await self.find(ticket.key)
        if len(found) != 1:
            raise Unreachable(f"{self.name}: {ticket.key} was saved, and is not found", advice="Look for it again.")
        return found[0]

    async def read(self, ref: TicketRef) -> TicketView:
        """Read a record with its feed; GONE where it lies in the recycle bin, or is past it."""
        settings = self._settings
        paths = ["Id", "Name", "IsDeleted", settings.external_id, settings.status_field, _STAMP]
        paths += [path for path in (settings.assignee_field, settings.resolution_field) if path]
        soql = select(self._names.entity, list(dict.fromkeys(paths)), [Condition("Id", (ref.id,))], ordered=False)
        rows = await self._rows(soql, deleted=True)
        if not rows:
            await self._must_see_all(f"whether {ref.number or ref.id} is gone")
            return TicketView(ref, Status.GONE, "")
        row = rows[0]
        status = str(row.get(settings.status_field) or "")
        gone = row.get("IsDeleted") is True
        return TicketView(
            ref=self._ref(row),
            status=Status.GONE if gone else self._standing(status),
            raw_status=status,
            key=str(row.get(settings.external_id) or ""),
            assignee=_at(row, settings.assignee_field),
            resolution=_at(row, settings.resolution_field),
            updated_at=_instant(row.get(_STAMP)),
            comments=() if gone or not settings.chatter else await self._comments(ref.id),
        )

    async def change(self, ref: TicketRef, change: Change) -> None:
        """Set status and fields, which twice is once; then post the comment, whose mark says that all is done."""
        values = dict(change.fields)
        if change.status is not None:
            word = self._settings.status_values.get(change.status.value)  # type: ignore[call-overload] # GONE is no key
            if word is None:
                raise ConfigurationError(
                    f"[filing.systems.{self.name}] status_values.{change.status} is missing",
                    advice=f"Say which value of {self._settings.status_field} makes a record {change.status}.",
                )
            values[self._settings.status_field] = word
        if change.comment and not self._settings.chatter:
            raise ConfigurationError(
                f"[filing.systems.{self.name}] chatter = false leaves no place for a comment",
                advice="Turn feeds on for the object in Salesforce and set chatter = true.",
            )
        try:
            if values:
                await self._client.update(self._names.entity, ref.id, values)
            if change.comment:
                await self._client.insert(
                    FEED, {"ParentId": ref.id, "Type": "TextPost", "Body": fitting(change.comment, _POST_LENGTH)}
                )
        except Rejected as error:
            raise self._by_key(error, self._keys) from None

    async def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        """Yield every record whose key starts with ``prefix``; raise ``Refused`` where some may be hidden."""
        prefixed(prefix)
        await self._must_see_all("which records carry our keys")
        field = self._settings.external_id
        answer = await self._client.query(starting(self._names.entity, ["Id", "Name", field], field, prefix))
        while True:
            for row in answer.records:
                yield str(row.get(field)), self._ref(row)
            if answer.next is None:
                return
            answer = await self._client.more(answer.next)

    async def put(self, exception_id: str, fields: Mapping[str, Any]) -> str:
        """Upsert an accepted risk under its number; see ``ExceptionRegister``."""
        where = self._settings.exceptions
        if where is None:
            raise ConfigurationError(
                f"[filing.systems.{self.name}] exceptions is missing: where accepted risks go",
                advice="Name the object, its external id, and the field of each column.",
            )
        if not exception_id:
            raise ConfigurationError("an exception without a number", advice="Report this defect.")
        described = await self._client.describe(where.object)
        must_be_unique(described, where.external_id)
        values = written(where, described, fields, f"[filing.systems.{self.name}.exceptions]")
        path = self._client.external(where.object, where.external_id, exception_id)
        try:
            saved = await self._client.upsert(path, values)
        except Rejected as error:
            keys = {field: f"exceptions.columns.{column}" for column, field in where.columns.items()}
            raise self._by_key(error, keys) from None
        if saved is not None:
            return saved
        condition = Condition(where.external_id, (exception_id,))
        rows = await self._rows(select(where.object, ["Id"], [condition]))
        if len(rows) != 1:
            raise Unreachable(f"{self.name}: {exception_id} was saved, and is not found", advice="Send it again.")
        return str(rows[0]["Id"])

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    def _upsert(self, ticket: Ticket) -> tuple[str, dict[str, Any]]:
        """Return path and body of the request that files a ticket: what is previewed is what is sent."""
        settings = self._settings
        path = self._client.external(self._names.entity, settings.external_id, checked(ticket.key))
        page: Callable[[str], str] = _page if settings.body_html else str
        title = one_line(ticket.title, settings.title_length)
        body = page(fitting(ticket.body, settings.body_length, lambda text: len(page(text))))
        return path, {self._names.title: title, self._names.body: body, **ticket.fields}

    def _ref(self, row: Mapping[str, Any]) -> TicketRef:
        found = str(row["Id"])
        return TicketRef(found, str(row.get("Name") or ""), f"{self.endpoint}/{found}")

    def _standing(self, word: str) -> Status:
        found = self._statuses.get(word.casefold())
        if found is None:
            raise Misbehaved(
                f"[filing.systems.{self.name}] statuses: {word!r} in {self._settings.status_field} is not mapped",
                advice="Add it, as open, resolved or closed.",
            )
        return found

    def _by_key(self, error: Rejected, keys: Mapping[str, str]) -> Refused:
        """Name each problem by the key of the configuration that fills its field."""
        said = []
        for one in error.problems:
            named = [f"{keys[name]} ({name})" if name in keys else f"fields.{name}" for name in one.fields]
            said.append(f"{', '.join(named) or self._names.entity}: {one.message} ({one.code})")
        return Refused(
            f"[filing.systems.{self.name}] {'; '.join(said)}", advice="Set each as the org's rules want it, then retry."
        )

    async def _rows(self, soql: str, *, deleted: bool = False) -> list[dict[str, Any]]:
        """Return every record of a query, over all of its pages."""
        answer = await self._client.query(soql, deleted=deleted)
        rows = answer.records
        while answer.next is not None:
            answer = await self._client.more(answer.next)
            rows += answer.records
        return rows

    async def _comments(self, record: str) -> tuple[Comment, ...]:
        soql = select(FEED, _POST, [Condition("ParentId", (record,))], ordered=False)
        return tuple(
            Comment(str(row["Id"]), _at(row, "CreatedBy.Name") or "", _instant(row.get("CreatedDate")), row["Body"])
            for row in await self._rows(f"{soql} ORDER BY CreatedDate")
            if row.get("Body")
        )

    async def _seen(self) -> Sight:
        if self._sight is None:
            self._sight = await read_sight(self._client, [self._names.entity])
        return self._sight

    async def _must_see_all(self, what: str) -> None:
        hidden = (await self._seen()).hidden.get(self._names.entity)
        if hidden is not None:
            raise Refused(
                f"{self.name}: {what} cannot be told: {hidden[0]}",
                advice=f"Grant the user {hidden[1]}.",
                missing_permission=hidden[1],
            )


def _page(text: str) -> str:
    """Return plain text as a rich text area takes it, nothing of it markup."""
    return html.escape(text, quote=False).replace("\n", "<br>")


def _at(row: Mapping[str, Any], path: str) -> str | None:
    """Return the text at a path, None where nothing is there or none was asked for."""
    found: Any = row
    for step in path.split(".") if path else ():
        found = found.get(step) if isinstance(found, Mapping) else None
    return str(found) if path and found is not None else None


def _instant(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None

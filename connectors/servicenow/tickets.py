"""ServiceNow as a system that tickets are filed in: which requests, in which order, and what each answer proves."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError
from reconciler.sdk.tickets import Change, Request, Status, Ticket, TicketRef, TicketView, checked, prefixed

from .client import Client, Record, Sending
from .connector import (
    ENTRIES,
    FIELDS,
    JOURNALS,
    LISTED,
    creation,
    items,
    made,
    record_id,
    ref_of,
    text,
    update,
    view,
)
from .settings import CONTROL_ITEMS, SETTLE_SECONDS, TicketSettings

_log = logging.getLogger(__name__)


class ServiceNow:
    """Files records in one table of one instance. ``correlation_id`` carries the key, and is not unique by itself."""

    version = "1"
    readable = True

    def __init__(self, name: str, settings: TicketSettings, base: Path) -> None:
        """Make it; no network yet."""
        self.name = name
        self.idempotent = settings.import_set is not None
        self.settle_seconds = SETTLE_SECONDS if settings.settle_seconds is None else settings.settle_seconds
        self._settings = settings
        self._client = Client(settings, base)
        self.endpoint = self._client.origin
        self._stopped = ""
        """Why no record is made any more: the last one would not be found by its key."""

    async def check(self) -> Sequence[Gap]:
        """Read a record of each table that is read, and say which configured fields and tables do not show."""
        settings = self._settings
        wanted = {*FIELDS, "short_description", "description", *settings.fields, *settings.ending} - {CONTROL_ITEMS}
        wanted |= {settings.due_field} - {""}
        for fields in settings.severities.values():
            wanted |= set(fields)
        page = await self._client.page(settings.table, "ORDERBYDESCsys_created_on", sorted(wanted), limit=1)
        self._shows(settings.table, page.records, page.total)
        gaps = []
        if page.records:
            absent = sorted(wanted - set(page.records[0]))
            if "correlation_id" in absent:
                raise Refused(
                    f"{settings.table}.correlation_id does not show: no ticket could be found by its key",
                    advice="Grant these credentials read and write on the field.",
                    missing_permission=f"read on {settings.table}.correlation_id",
                )
            gaps += [
                Gap(settings.table, name, "no such field, or hidden: what is written there is dropped without a word")
                for name in absent
            ]
            gaps += await self._may_read("sys_journal_field", f"element_id={text(page.records[0], 'sys_id')}")
        if settings.control_link is not None:
            gaps += await self._may_read(settings.control_link.table, "ORDERBYDESCsys_created_on")
        return gaps

    def preview(self, ticket: Ticket) -> Request:
        """Return the request that ``create`` sends."""
        self._controls(ticket.fields)
        return self._client.shown(creation(self._settings, ticket))

    async def find(self, key: str) -> Sequence[TicketRef]:
        """Return every record of the table whose correlation_id is ``key``, oldest first."""
        query = f"correlation_id={checked(key)}^ORDERBYsys_created_on^ORDERBYsys_id"
        return [ref_of(self._settings, record) for record in await self._keyed(query, lambda found: found == key)]

    async def create(self, ticket: Ticket) -> TicketRef:
        """Make the record. Raise ``Misbehaved`` where it is not the one meant, and make no other from then on."""
        if self._stopped:
            raise Refused(self._stopped, advice="Mend that first; then start again.")
        controls = self._controls(ticket.fields)
        answer = await self._client.send(creation(self._settings, ticket))
        try:
            ref, kept = made(self._settings, answer, ticket)
        except Misbehaved as error:
            self._stopped = error.message
            raise
        if kept != ticket.key:
            self._stopped = (
                f"{self._settings.table} {ref.number or ref.id} was made, and did not keep its key in correlation_id"
            )
            raise Misbehaved(
                self._stopped,
                advice=f"Grant write on correlation_id, or find the business rule that empties it; then write "
                f"{ticket.key} into that record's correlation_id, or delete it, before you file again.",
            )
        await self._link_all(ref, controls)
        return ref

    async def read(self, ref: TicketRef) -> TicketView:
        """Return the record with its remarks. GONE: no record has this sys_id, not even a hidden one."""
        settings = self._settings
        page = await self._client.page(settings.table, f"sys_id={record_id(ref.id)}", FIELDS, limit=2)
        if not page.records and not page.total:
            return TicketView(ref, Status.GONE, "")
        if [text(record, "sys_id") for record in page.records] != [ref.id]:
            raise Refused(
                f"{settings.table} {ref.number or ref.id} is there, and hidden from these credentials",
                advice="Grant the role that reads every record of the table.",
                missing_permission=f"read on {settings.table}",
            )
        record = page.records[0]
        return view(settings, record, await self._journal(ref, record))

    async def change(self, ref: TicketRef, change: Change) -> None:
        """Do a change in one request; raise ``Refused`` where the instance kept its own state."""
        sending = update(self._settings, ref, change)
        controls = self._controls(change.fields)
        if sending.body:
            answer = await self._client.send(sending)
            record = answer.get("result")
            asked = sending.body.get("state")
            if asked is not None and (not isinstance(record, dict) or text(record, "state") != asked):
                raise Refused(
                    f"{self._settings.table} {ref.number or ref.id}: state {asked} was asked for, and not kept",
                    advice="A business rule, a state model or a missing right kept it: look at the record's history.",
                )
        await self._link_all(ref, controls)

    async def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        """Yield each record whose correlation_id starts with ``prefix``."""
        query = f"correlation_idSTARTSWITH{prefixed(prefix)}^ORDERBYsys_created_on^ORDERBYsys_id"
        for record in await self._keyed(query, lambda found: found.startswith(prefix)):
            yield text(record, "correlation_id"), ref_of(self._settings, record)

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    async def _keyed(self, query: str, right: Callable[[str], bool]) -> list[Record]:
        """Return every record of a query by key; raise where the instance answered another question."""
        records = await self._client.every(self._settings.table, query, LISTED)
        if not all(right(text(record, "correlation_id")) for record in records):
            # A part of a query that names a field which may not be queried is left out, and everything comes.
            raise Refused(
                f"{self._settings.table}: the query by correlation_id was ignored, or the field is hidden",
                advice="Grant these credentials read on the field, and query where access rules for queries are used.",
                missing_permission=f"read on {self._settings.table}.correlation_id",
            )
        return records

    async def _journal(self, ref: TicketRef, record: Record) -> Sequence[Record]:
        """Return the remarks on a record, oldest first."""
        query = f"element_id={ref.id}^elementIN{','.join(JOURNALS)}^ORDERBYsys_created_on^ORDERBYsys_id"
        entries = await self._client.every("sys_journal_field", query, ENTRIES)
        if not entries and any(text(record, name, shown=True) for name in JOURNALS):
            raise Refused(
                f"{self._settings.table} {ref.number or ref.id} has remarks, and sys_journal_field shows none",
                advice="Grant these credentials read on sys_journal_field: a remark that cannot be seen is made twice.",
                missing_permission="read on sys_journal_field",
            )
        return entries

    def _controls(self, fields: Mapping[str, Any]) -> list[str]:
        """Return the controls to link to; raise ``ConfigurationError`` where nothing says how."""
        controls = items(fields)
        if controls and self._settings.control_link is None:
            raise ConfigurationError(
                f"fields.{CONTROL_ITEMS} does nothing without control_link", advice="Set control_link = {}."
            )
        return controls

    async def _link_all(self, ref: TicketRef, controls: Sequence[str]) -> None:
        """Link a record to controls, each once. It is filed already: what fails here is logged, and tried no more."""
        link = self._settings.control_link
        if link is None:
            return
        for control in controls:
            try:
                if not await self._client.every(link.table, f"{link.issue}={ref.id}^{link.item}={control}", ["sys_id"]):
                    body = {link.issue: ref.id, link.item: control}
                    await self._client.send(Sending("POST", f"api/now/table/{link.table}", body))
            except SourceError as error:
                _log.warning("%s: %s is not linked to control %s: %s", self.name, ref.number, control, error.message)

    async def _may_read(self, table: str, query: str) -> list[Gap]:
        """Return a gap where records of a table do not show."""
        try:
            page = await self._client.page(table, query, ["sys_id"], limit=1)
            self._shows(table, page.records, page.total)
        except Refused as error:
            return [Gap(table, "", error.message, missing_permission=f"read on {table}")]
        return []

    def _shows(self, table: str, records: Sequence[Record], total: int) -> None:
        if total and not records:
            raise Refused(
                f"{table}: {total} records are there, and none shows",
                advice="Grant the role that reads the table.",
                missing_permission=f"read on {table}",
            )

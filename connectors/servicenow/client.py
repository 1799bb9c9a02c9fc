"""The endpoints of ServiceNow's Table and Import Set API that are used, one method a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec

from reconciler.sdk.answers import clean, next_link
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.http import Authorize, HttpClient, Limits, basic
from reconciler.sdk.oauth import TokenSource, client_credentials
from reconciler.sdk.tickets import Request, legible

from .settings import TicketSettings

Record = Mapping[str, Any]

_UNKNOWN = "It is not known whether the record was written: look for its key before you send it again."
_HIDDEN = {
    "sysparm_exclude_reference_link": "true",
    "sysparm_display_value": "all",
}
_ADVICE: Mapping[int, str] = {
    400: "Correct the fields that the configuration sends.",
    403: "Grant the role that may do this, or have the business rule let it through.",
    404: "The record is gone, or an access rule hides it from these credentials.",
}


@dataclass(frozen=True, slots=True)
class Sending:
    """A request that writes, before it is sent or shown."""

    method: Literal["POST", "PATCH"]
    path: str
    body: Mapping[str, Any]
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """Records of one page; ``total`` counts those that the query matches, hidden ones too."""

    records: Sequence[Record]
    total: int
    next: str | None


class Client:
    """Ask one instance, as one user or client."""

    def __init__(self, settings: TicketSettings, base: Path) -> None:
        """Make a client; no network yet."""
        limits = Limits(read_seconds=settings.timeout_seconds, request_seconds=settings.timeout_seconds)
        ca_file = (base / Path(settings.ca_file).expanduser()).resolve() if settings.ca_file else None
        self._url = settings.url + "/"
        self._tokens: TokenSource | None = None
        authorize: Authorize
        if settings.client_id is not None and settings.client_secret is not None:
            authorize = self._tokens = client_credentials(
                f"{settings.url}/oauth_token.do",
                client_id=settings.client_id,
                secret=settings.client_secret,
                style="post",
                ca_file=ca_file,
                limits=limits,
            )
        elif settings.user is not None and settings.password is not None:
            authorize = basic(settings.user, settings.password)
        else:
            raise ConfigurationError("no credentials", advice="Give user with password, or client_id with its secret.")
        self._scheme = "Bearer" if self._tokens else "Basic"
        self._http = HttpClient(settings.url, authorize=authorize, ca_file=ca_file, limits=limits, errors=explain)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the instance."""
        return self._http.origin

    def shown(self, sending: Sending) -> Request:
        """Return a request as ``send`` would send it, without its credentials."""
        url = httpx.URL(self._url).join(sending.path).copy_merge_params(dict(sending.params))
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"{self._scheme} ***",
        }
        return Request(sending.method, str(url), headers, legible(sending.body))

    async def send(self, sending: Sending) -> Record:
        """Send a request that writes, once; return the whole answer.

        Raises ``Unreachable`` where it is not known whether it was carried out, ``Refused`` where it was not.
        """
        try:
            found, _ = await self._http.request(
                sending.method,
                sending.path,
                dict(sending.params),
                json=sending.body,
                accept=frozenset({200, 201}),
                expect=dict,
            )
        except Misbehaved as error:
            # A success without a readable answer: an import set gives one where rights are missing.
            raise Unreachable(error.message, advice=_UNKNOWN) from None
        if "error" in found:
            raise Unreachable(f"{self._http.origin}/{sending.path}: {_words(found)}", advice=_UNKNOWN)
        answer: Record = found
        return answer

    async def page(self, table: str, query: str, fields: Sequence[str], *, limit: int = 1000) -> Page:
        """Return the first records of a query; every value is ``{"value": ..., "display_value": ...}``."""
        params = {"sysparm_query": query, "sysparm_fields": ",".join(fields), "sysparm_limit": str(limit)}
        return await self._read(f"api/now/table/{table}", params | _HIDDEN | {"sysparm_offset": "0"})

    async def more(self, link: str) -> Page:
        """Return the page that the header ``Link`` leads to."""
        return await self._read(link, {})

    async def every(self, table: str, query: str, fields: Sequence[str]) -> list[Record]:
        """Return every record of a query; raise ``Refused`` where the instance hides some of them."""
        page = await self.page(table, query, fields)
        records, seen = list(page.records), set[str]()
        while page.next is not None:
            if page.next in seen:
                raise Misbehaved(f"{table}: the next page leads to one that was read", advice="Ask ServiceNow.")
            seen.add(page.next)
            page = await self.more(page.next)
            records += page.records
        if len(records) < page.total:
            raise Refused(
                f"{table}: {page.total - len(records)} of {page.total} records are hidden from these credentials",
                advice="Grant the role that reads every record of the table: what is hidden would be filed twice.",
                missing_permission=f"read on {table}",
            )
        return records

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._http.close()
        if self._tokens is not None:
            await self._tokens.close()

    async def _read(self, path: str, params: Mapping[str, str]) -> Page:
        found, headers = await self._http.get_json(path, params)
        if "error" in found:
            # A query that takes too long ends as 200, with the rows so far and an error beside them.
            raise Unreachable(f"{self._http.origin}: {_words(found)}", advice="Try again later.")
        records, total = found.get("result"), headers.get("x-total-count", "")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise Misbehaved(f"{self._http.origin}: the answer has no list of records", advice="Check url and table.")
        if not (total.isascii() and total.isdigit()):
            raise Misbehaved(
                f"{self._http.origin}: the answer does not say how many records there are (X-Total-Count)",
                advice="Check any proxy on the way: without the count, hidden records look like none.",
            )
        return Page(records, int(total), next_link(headers))


def explain(status: int, body: bytes, shown: str) -> SourceError | ConfigurationError | None:
    """Return what an error of ServiceNow means; None for what HTTP alone tells."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(found, dict) or "error" not in found:
        return None
    said = f"{shown}: {_words(found)}"
    asks = "data policy" in said.casefold() or "mandatory" in said.casefold()
    if status == httpx.codes.BAD_REQUEST and "invalid table" in said.casefold():
        return ConfigurationError(said, advice="Correct table, or have the application that brings it installed.")
    if status == httpx.codes.FORBIDDEN and asks:
        return Refused(said, advice="Give the fields that the instance asks for: under fields, or closing for an end.")
    advice = _ADVICE.get(status)
    return None if advice is None else Refused(said, advice=advice)


def _words(found: Mapping[str, Any]) -> str:
    """Return what an error says, its detail included."""
    error = found.get("error")
    parts = [error.get("message"), error.get("detail")] if isinstance(error, dict) else [error]
    return clean(": ".join(part for part in parts if isinstance(part, str) and part)) or "an error without words"

"""The service: one method, one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Unreachable
from reconciler.sdk.http import HttpClient, Limits

from .credentials import authorize_of
from .paging import NO_END, Answer, ByLink, ByNextUrl, next_of, request_of, total_of
from .settings import Settings


class Client:
    """Asks one service for the pages of its tables."""

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        """Make the client; no network yet. Raises ``ConfigurationError`` for a URL or file that cannot be used."""
        self._name = name
        self._settings = settings
        self._counted: dict[str, int] = {}
        ca_file = base / settings.ca_file if settings.ca_file else None
        try:
            authorize, header, self._keeper = authorize_of(settings.auth, settings.url, ca_file)
            self._http = HttpClient(
                settings.url,
                authorize=authorize,
                credential_header=header,
                headers=settings.headers,
                ca_file=ca_file,
                limits=Limits(
                    read_seconds=settings.read_seconds,
                    request_seconds=settings.request_seconds,
                    concurrency=settings.concurrency,
                ),
            )
        except ConfigurationError as error:
            key = "ca_file: " if "certificates" in error.message else ""
            raise ConfigurationError(f"[sources.{name}] {key}{error.message}", advice=error.advice) from None

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self._http.origin

    async def page(self, table: str, cursor: str | None) -> tuple[list[Any], str | None, int | None]:
        """Return the items of the page at ``cursor``, the cursor of the next one, and the service's own count.

        Raises by remedy; ``Misbehaved`` where the answer holds no list where ``rows`` says, or does not say whether
        there is more; ``Unreachable`` (restart) where the count has fallen since the page before: rows went, and others
        may have moved up to a page that was read already.
        """
        try:
            return await self._page(table, cursor)
        except ConfigurationError as error:
            raise ConfigurationError(f"[sources.{self._name}] auth: {error.message}", advice=error.advice) from None

    async def _page(self, table: str, cursor: str | None) -> tuple[list[Any], str | None, int | None]:
        mapping, paging = self._settings.mapping[table], self._settings.paging_of(table)
        place = f"{self._name} {table}"
        asked = request_of(paging, cursor)
        path = f"./{mapping.path.lstrip('/')}"
        if asked.url is not None:
            body, headers = await self._http.request("GET", asked.url, expect=object)
        elif mapping.method == "POST":
            into_body = dict(asked.parameters) if paging.in_body else {}
            into_url = {} if paging.in_body else dict(asked.parameters)
            body, headers = await self._http.request(
                "POST",
                path,
                {**mapping.params, **into_url},
                json={**(mapping.body or {}), **into_body},
                again=True,
                expect=object,
            )
        else:
            body, headers = await self._http.request("GET", path, {**mapping.params, **asked.parameters}, expect=object)
        try:
            items = mapping.rows.search(body)
            if not isinstance(items, list):
                raise Misbehaved(
                    f"{place}: rows = {mapping.rows} finds {type(items).__name__} where a list is due",
                    advice=f"Correct [sources.{self._name}.mapping.{table}] rows; no list is not an empty list.",
                )
            answer = Answer(body, headers, len(items))
            total = total_of(paging, answer, place)
            following = next_of(paging, cursor, answer, total, place)
        except ValueError as error:
            raise Misbehaved(f"{place}: an expression fails: {error}", advice="Correct rows and paging.") from None
        if following is not None and isinstance(paging, ByLink | ByNextUrl):
            following = self._http.linked(following, asked.url or path)
        if following is not None and following == cursor:
            raise Misbehaved(f"{place}: the next page is this page again: the chain goes round", advice=NO_END)
        if total is not None:
            self._watch(table, total, begun=cursor is None, place=place)
        return items, following, total

    def _watch(self, table: str, total: int, *, begun: bool, place: str) -> None:
        """Raise where the count falls while a table is read; one that rises adds rows, or brings some twice."""
        before = total if begun else self._counted.get(table, total)
        self._counted[table] = total
        if total < before:
            raise Unreachable(
                f"{place}: the service's count fell from {before} to {total} while the table was read: rows may have "
                "been passed over",
                advice="It is read again from its start, within retry_seconds.",
                restart=True,
            )

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._http.close()
        if self._keeper is not None:
            await self._keeper.close()

"""The requests of a ticket system: filled in, sent, and what their answers mean."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx

from reconciler.sdk.answers import clean, leniently, words_of
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.tickets import Request, legible

from .bodies import fill, path_of
from .credentials import authorize_of
from .expressions import Expression
from .paging import NO_END, Answer, ByLink, ByNextUrl, next_of, request_of, total_of
from .session import SessionKeeper
from .tickets_settings import Alter, Call, Comments, Create, Listing, TicketSettings

DONE = frozenset({200, 201, 202, 204})


class NoSuch(Refused):
    """The service answers 404 or 410."""

    def __init__(self, message: str, *, advice: str, status: int, body: Any) -> None:
        super().__init__(message, advice=advice)
        self.status = status
        self.body = body


class TicketClient:
    """Asks one service, one method a request."""

    def __init__(self, name: str, settings: TicketSettings, base: Path) -> None:
        """Make the client; no network yet. Raises ``ConfigurationError`` for a URL or file that cannot be used."""
        self._where = f"[filing.systems.{name}]"
        self._settings = settings
        ca_file = base / settings.ca_file if settings.ca_file else None
        authorize, self._header, self._keeper = authorize_of(settings.auth, settings.url, ca_file, self._judge)
        self._http = HttpClient(
            settings.url,
            authorize=authorize,
            credential_header=self._header,
            headers=settings.headers,
            ca_file=ca_file,
            limits=Limits(read_seconds=settings.request_seconds, request_seconds=settings.request_seconds, attempts=2),
            errors=_explain,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return self._http.origin

    def shown(self, call: Call, facts: Mapping[str, Any], fields: Mapping[str, Any]) -> Request:
        """Return a request as it would be sent, its credentials masked."""
        ready = self._ready(call, facts, fields)
        base = self._settings.url.rstrip("/")
        query = "?" + urlencode(ready["params"]) if ready["params"] else ""
        headers = {**self._settings.headers, **ready["headers"]}
        if self._settings.auth.type != "none":
            headers[self._header] = "***"
        body = ""
        if ready["form"] is not None:
            body = urlencode(ready["form"])
        elif ready["json"] is not None:
            body = legible(ready["json"])
        return Request(call.method, f"{base}/{ready['path'].removeprefix('./')}{query}", headers, body)

    async def ask(self, call: Call, facts: Mapping[str, Any], fields: Mapping[str, Any] | None = None) -> Any:
        """Send a request and return the body of its answer; raise by remedy.

        ``fields`` are put into the body where the call says. A session that has ended is opened anew.
        """
        ready = self._ready(call, facts, fields)
        path = ready.pop("path")
        # To set fields twice is to set them once; to say something twice by PUT, as at Zendesk, is not.
        again = call.again or call.method == "GET" or (call.method == "PUT" and isinstance(call, Alter))
        found, _ = await self._sent(call.method, path, again=again, **ready)
        return found

    async def listed(self, call: Listing | Comments, facts: Mapping[str, Any], key: str) -> AsyncIterator[Any]:
        """Yield the items of every page; raise where the service does not say that the list has ended."""
        place = f"{self._where} {key}"
        ready = self._ready(call, facts)
        path, params = ready.pop("path"), ready.pop("params")
        cursor: str | None = None
        seen: set[str] = set()
        while True:
            asked = request_of(call.paging, cursor)
            body, headers = await self._sent(
                call.method,
                asked.url or path,
                None if asked.url else {**params, **asked.parameters},
                again=True,
                **ready,
            )
            try:
                items = call.items.search(body)
                if not isinstance(items, list):
                    raise Misbehaved(
                        f"{place}: items = {call.items} finds {type(items).__name__} where a list is due",
                        advice=f"Correct {key}.items; no list is not an empty list.",
                    )
                answer = Answer(body, headers, len(items))
                total = total_of(call.paging, answer, place)
                following = next_of(call.paging, cursor, answer, total, place)
            except ValueError as error:
                raise Misbehaved(f"{place}: an expression fails: {error}", advice=f"Correct {key}.") from None
            if following is not None and isinstance(call.paging, ByLink | ByNextUrl):
                following = self._http.linked(following, asked.url or path)
            for item in items:
                yield item
            if following is None:
                return
            if following in seen:
                raise Misbehaved(f"{place}: a page comes again: the chain goes round", advice=NO_END)
            seen.add(following)
            cursor = following

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._http.close()
        if self._keeper is not None:
            await self._keeper.close()

    async def _sent(self, method: Any, path: str, params: Any = None, *, again: bool, **more: Any) -> tuple[Any, Any]:
        for last in (False, True):
            found, headers = await self._http.request(
                method, path, params, accept=DONE, again=again, expect=None, **more
            )
            if last or not self._ended(found):
                break
        self._judge(found, path)
        return found, headers

    def _ended(self, found: Any) -> bool:
        """Say whether the session has ended, and forget it; then surely nothing was done."""
        expired = self._settings.answers.expired
        if not isinstance(self._keeper, SessionKeeper) or expired is None or not _said(expired, found):
            return False
        self._keeper.forget()
        return True

    def _judge(self, found: Any, path: str) -> None:
        """Raise for what an answer says went wrong, whatever its HTTP status said."""
        answers, place = self._settings.answers, f"{self.origin}/{path.removeprefix('./').partition('?')[0]}"
        if answers.throttled is not None and (said := _said(answers.throttled, found)):
            raise Throttled(f"{place}: {said}", advice="Try again later.")
        if answers.unsure is not None and (said := _said(answers.unsure, found)):
            raise Unreachable(f"{place}: {said}", advice="It may have been done: look for its result.")
        if answers.expired is not None and (said := _said(answers.expired, found)):
            raise Refused(f"{place}: {said}", advice="Check the credentials: the session is not taken.")
        if answers.error is not None and (said := _said(answers.error, found)):
            raise Refused(f"{place}: {said}", advice="Correct what it names, or grant the right that it asks for.")

    def _ready(self, call: Call, facts: Mapping[str, Any], fields: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return a request filled in; raise ``ConfigurationError`` for what cannot be."""
        known = {**facts, "var": self._settings.var}
        if isinstance(call, Listing):
            known["fields"] = self._settings.fields
        try:
            body = fill(call.body, known)
            carried = json.dumps(body).count(facts["key"]) if isinstance(call, Create) else 0
            if isinstance(call, Create | Alter) and fields:
                body = _placed(body, call.fields_into.split(".") if call.fields_into else [], fields)
            form = fill(call.form, known)
            ready = {
                "path": f"./{path_of(call.path, known)}",
                "params": fill(dict(call.params), known),
                "headers": {name: str(value) for name, value in fill(dict(call.headers), known).items()},
                "json": body,
                "form": form,
            }
        except ValueError as error:
            raise ConfigurationError(f"{self._where} {error}", advice="Correct the template.") from None
        if isinstance(call, Create) and json.dumps([body, form]).count(facts["key"]) < max(carried, 1):
            raise ConfigurationError(
                f"{self._where} create: the body does not carry the key, by which the ticket is found again",
                advice="Put {{ key }} into the field that find asks for, and leave it out of fields.",
            )
        return ready


def _placed(body: Any, place: list[str], fields: Mapping[str, Any]) -> Any:
    """Return the body with fields laid over what stands at a place of it."""
    if not place:
        if not isinstance(body, dict | None):
            message = "fields_into names no table of the body"
            raise ValueError(message)
        return _over(body or {}, fields)
    first, *rest = place
    if isinstance(body, list) and first.isdigit() and int(first) < len(body):
        return [_placed(part, rest, fields) if number == int(first) else part for number, part in enumerate(body)]
    if isinstance(body, dict):
        return {**body, first: _placed(body.get(first), rest, fields)}
    message = f"fields_into: there is no {first} in the body"
    raise ValueError(message)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for key, value in above.items():
        lower = found.get(key)
        found[key] = _over(lower, value) if isinstance(lower, dict) and isinstance(value, Mapping) else value
    return found


def _said(expression: Expression, found: Any) -> str:
    """Return what an answer says there, in words; empty where it says nothing."""
    try:
        said = expression.search(found)
    except ValueError:
        return ""
    if not said:
        return ""
    return clean(said if isinstance(said, str) else json.dumps(found))


def _explain(status: int, body: bytes, shown: str) -> Refused | Unreachable | None:
    if status == httpx.codes.CONFLICT:
        # Another request is at work on the same ticket, or under the same idempotency key: that one may do it.
        return Unreachable(f"{shown}: HTTP {status}{words_of(body)}", advice="Look for its result, then try again.")
    if status in {httpx.codes.NOT_FOUND, httpx.codes.GONE}:
        return NoSuch(
            f"{shown}: HTTP {status}{words_of(body)}",
            advice="Check url and path, and what these credentials may see.",
            status=status,
            body=leniently(body),
        )
    return None

"""The endpoints of Jira Cloud's REST API v3 and of the service desk API that are used, one method a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.http import Authorize, HttpClient, Limits, Params, basic
from reconciler.sdk.oauth import TokenSource, client_credentials
from reconciler.sdk.tickets import Request, legible

from .settings import TicketSettings

_UNKNOWN = "It is not known whether this was done: look for it before you send it again."
_STRANGER = ("AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED")
_ADVICE: Mapping[int, str] = {
    401: "Check the account and its token: wrong, expired or revoked.",
    403: "Grant the permission in the project, and the scope where the account is a service account.",
}
_KEYS: Mapping[str, str] = {
    "labels": "key_field, or fields.labels",
    "summary": "title",
    "description": "body",
    "project": "project",
    "issuetype": "issue_type",
    "duedate": "due_field",
    "priority": "priorities",
    "resolution": "resolution",
}
"""Field of Jira -> the key of the section that fills it."""


class NotThere(Refused):
    """Jira says that there is no such thing, or that these credentials may not see it: it does not tell which."""


@dataclass(frozen=True, slots=True)
class Sending:
    """A request that writes, before it is sent or shown."""

    method: Literal["POST", "PUT"]
    path: str
    body: Mapping[str, Any]
    accept: frozenset[int] = field(default_factory=lambda: frozenset({200, 201, 204}))


class Client:
    """Ask one site, as one account."""

    def __init__(self, settings: TicketSettings, base: Path) -> None:
        """Make a client; no network yet."""
        limits = Limits(read_seconds=settings.timeout_seconds, request_seconds=settings.timeout_seconds)
        ca_file = (base / Path(settings.ca_file).expanduser()).resolve() if settings.ca_file else None
        self._url = settings.url + "/"
        self._tokens: TokenSource | None = None
        authorize: Authorize
        if settings.client_id is not None and settings.client_secret is not None:
            authorize = self._tokens = client_credentials(
                settings.token_url,
                client_id=settings.client_id,
                secret=settings.client_secret,
                style="post",
                ca_file=ca_file,
                limits=limits,
            )
        elif settings.user is not None and settings.api_token is not None:
            authorize = basic(settings.user, settings.api_token)
        else:
            raise ConfigurationError("no credentials", advice="Give user with api_token, or client_id with its secret.")
        self._scheme = "Bearer" if self._tokens else "Basic"
        self._http = HttpClient(settings.url, authorize=authorize, ca_file=ca_file, limits=limits, errors=explain)

    @property
    def origin(self) -> str:
        """Scheme, host and port of the site."""
        return self._http.origin

    def shown(self, sending: Sending) -> Request:
        """Return a request as ``send`` would send it, without its credentials."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": f"{self._scheme} ***",
        }
        url = str(httpx.URL(self._url).join(sending.path))
        return Request(sending.method, url, headers, legible(sending.body))

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Send a request that writes, once; return the answer, empty where there is none.

        Raises ``Unreachable`` where it is not known whether it was carried out, ``Refused`` where it was not.
        """
        try:
            found, _ = await self._http.request(
                sending.method, sending.path, json=sending.body, accept=sending.accept, expect=None
            )
        except Misbehaved as error:
            raise Unreachable(error.message, advice=_UNKNOWN) from None
        return found if isinstance(found, dict) else {}

    async def read(self, path: str, params: Params | None = None) -> Mapping[str, Any]:
        """Return the JSON object at ``path``; raise ``Refused`` where Jira answered as to nobody it knows."""
        found, headers = await self._http.get_json(path, params)
        if any(word in headers.get("x-seraph-loginreason", "").upper() for word in _STRANGER):
            # With wrong credentials some addresses answer 200 as to an anonymous visitor: an empty list.
            raise Refused(
                f"{self._http.origin}: Jira did not take the credentials, and answered as to a stranger",
                advice="Check the account and its token: wrong, expired or revoked.",
            )
        answer: Mapping[str, Any] = found
        return answer

    async def search(self, jql: str, fields: Sequence[str]) -> list[Mapping[str, Any]]:
        """Return every issue that a query finds, as far as the index has come."""
        found: list[Mapping[str, Any]] = []
        params: dict[str, str | int] = {"jql": jql, "fields": ",".join(fields), "maxResults": 100}
        seen = set[str]()
        while True:
            page = await self.read("rest/api/3/search/jql", params)
            issues, token, last = page.get("issues"), page.get("nextPageToken"), page.get("isLast")
            if not isinstance(issues, list) or not all(isinstance(one, dict) for one in issues):
                raise Misbehaved("a page of a search has no list of issues", advice="Check url.")
            found += issues
            if token is None or last is True:
                if last is False:
                    raise Misbehaved("a page of a search neither ends nor leads on", advice="Report it to Atlassian.")
                return found
            if not isinstance(token, str) or token in seen:
                raise Misbehaved("the next page of a search leads to one that was read", advice="Try again later.")
            seen.add(token)
            params["nextPageToken"] = token

    async def listed(self, path: str, name: str, params: Mapping[str, str | int]) -> list[Mapping[str, Any]]:
        """Return every item of a list by ``startAt``; raise ``Misbehaved`` where it ends before its own count."""
        found: list[Mapping[str, Any]] = []
        while True:
            page = await self.read(path, {**params, "startAt": len(found), "maxResults": 100})
            items, total = page.get(name), page.get("total")
            if not isinstance(items, list) or not all(isinstance(one, dict) for one in items) or type(total) is not int:
                raise Misbehaved(
                    f"{path}: the answer has no list {name} with its total", advice="Check url and project."
                )
            found += items
            if len(found) >= total:
                return found
            if not items:
                raise Misbehaved(
                    f"{path}: {len(found)} of {total} {name} came", advice="Try again later; some may be hidden."
                )

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._http.close()
        if self._tokens is not None:
            await self._tokens.close()


def explain(status: int, body: bytes, shown: str) -> SourceError | None:
    """Return what an error of Jira means, each field with the key that fills it; None for what HTTP alone tells."""
    words, fields = _words(body)
    said = f"{shown}: {clean('; '.join([*words, *(f'{name}: {text}' for name, text in fields.items())]))}"
    if not words and not fields:
        return None
    if status == httpx.codes.BAD_REQUEST:
        keys = ", ".join(_KEYS.get(name, f"fields.{name}") for name in fields)
        return Refused(said, advice=f"Correct {keys}, or the screen of the issue type." if keys else "Correct it.")
    if status in _ADVICE:
        return Refused(said, advice=_ADVICE[status])
    if status == httpx.codes.NOT_FOUND:
        return NotThere(said, advice="It is gone, or these credentials may not see it.")
    if status == httpx.codes.CONFLICT:
        return Unreachable(said, advice="Somebody else changed it at that moment: try again.")
    return None


def _words(body: bytes) -> tuple[list[str], dict[str, str]]:
    """Return what Jira says in general and of each field; the service desk has a shape of its own."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [], {}
    if not isinstance(found, dict):
        return [], {}
    errors, general, single = found.get("errors"), found.get("errorMessages"), found.get("errorMessage")
    words = [str(one) for one in general] if isinstance(general, list) else []
    fields = {str(name): str(text) for name, text in errors.items()} if isinstance(errors, dict) else {}
    return words + ([single] if isinstance(single, str) else []), fields

"""The endpoints of Salesforce's REST API, one method a request."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import msgspec

from reconciler.sdk.answers import clean, words_of
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Throttled, Unreachable
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.oauth import TokenSource, client_credentials, jwt_assertion

from .connection import Connection
from .schema import Described, read_describe
from .soql import latest

_LOST = frozenset({"INVALID_QUERY_LOCATOR", "QUERY_LOCATOR_EXPIRED"})
_BUSY = frozenset({"SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "UNABLE_TO_LOCK_ROW", "UNKNOWN_EXCEPTION"})
_DISABLED = frozenset({"API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED"})
_MALFORMED = frozenset({"MALFORMED_QUERY", "INVALID_QUERY_FILTER_OPERATOR"})
_HIDDEN = frozenset({"NOT_FOUND", "INVALID_FIELD", "INVALID_TYPE", "INSUFFICIENT_ACCESS"})
_SAVED = frozenset({200, 201, 204})
_PORTS = {"http": 80, "https": 443}


class MalformedQuery(ConfigurationError):  # noqa: N818 - named for the service's own word
    """The service does not take the query; the source adds which key it comes from."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the service has against a record: its code, its words, and the fields it is about."""

    code: str
    message: str
    fields: tuple[str, ...] = ()


class Rejected(Refused):
    """The service takes no such record: a validation rule, a missing or wrong value. Nothing was written."""

    def __init__(self, message: str, *, advice: str, problems: tuple[Problem, ...]) -> None:
        super().__init__(message, advice=advice)
        self.problems = problems


class SeveralRecords(Refused):
    """Several records carry one external id (HTTP 300), so the service wrote none."""

    def __init__(self, message: str, *, advice: str, ids: tuple[str, ...]) -> None:
        super().__init__(message, advice=advice)
        self.ids = ids


class NotShown(Refused):
    """The object or field does not exist, or not for the running user: the service does not tell which."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One page of a query; ``next`` is None only where the service said that it is done."""

    records: list[dict[str, Any]]
    total: int
    next: str | None


class Client:
    """Ask one org, as one running user."""

    def __init__(self, settings: Connection, base: Path, *, page_size: int = 2000) -> None:
        """Make a client; no network yet."""
        limits = Limits(
            connect_seconds=settings.connect_timeout_seconds,
            read_seconds=settings.read_timeout_seconds,
            request_seconds=settings.request_timeout_seconds,
            attempts=settings.max_attempts,
        )
        ca_file = (base / Path(settings.ca_file).expanduser()).resolve() if settings.ca_file else None
        self._domain = settings.domain.rstrip("/")
        self._data = f"/services/data/v{settings.api_version}"
        self._tokens = self._token_source(settings, ca_file, limits)
        self._http = HttpClient(
            self._domain,
            authorize=self._tokens,
            ca_file=ca_file,
            headers={"Sforce-Query-Options": f"batchSize={page_size}"},
            limits=limits,
            errors=explain,
        )
        self._described: dict[str, Described] = {}
        self._turn = asyncio.Lock()

    @property
    def origin(self) -> str:
        """Scheme, host and port of the org."""
        return self._http.origin

    async def user_id(self) -> str:
        """Return the id of the running user."""
        found, _ = await self._http.get_json(self._data)
        identity = found.get("identity")
        if not isinstance(identity, str) or not identity.rpartition("/")[2].isalnum():
            raise Misbehaved("the service does not say who the running user is", advice="Check api_version.")
        return identity.rpartition("/")[2]

    async def describe(self, entity: str) -> Described:
        """Return what the running user sees of an object, asked once; raise ``NotShown`` where he sees nothing."""
        async with self._turn:
            if entity not in self._described:
                content, _ = await self._http.get_json(f"{self._data}/sobjects/{entity}/describe")
                self._described[entity] = read_describe(content, entity)
            return self._described[entity]

    async def query(self, soql: str, *, deleted: bool = False) -> Answer:
        """Return the first page of a query; ``deleted`` takes records in the recycle bin too."""
        path = f"{self._data}/{'queryAll' if deleted else 'query'}"
        content, _ = await self._http.get_json(path, {"q": soql})
        return read_answer(content)

    async def more(self, link: str) -> Answer:
        """Return the page that a locator leads to; raise ``Unreachable`` (restart) where it has expired."""
        content, _ = await self._http.get_json(link)
        return read_answer(content)

    async def latest(self, entity: str) -> str | None:
        """Return when any record of an object was last changed or deleted; None: it never had one."""
        answer = await self.query(latest(entity), deleted=True)
        found = answer.records[0].get("latest") if len(answer.records) == 1 else ""
        if found is not None and (not isinstance(found, str) or not found):
            raise Misbehaved(f"the last change of {entity} is no instant", advice="Check api_version.")
        return found

    def external(self, entity: str, field: str, key: str) -> str:
        """Return the path of the record that carries an external id."""
        return f"{self._data}/sobjects/{entity}/{field}/{quote(key, safe='')}"

    async def upsert(self, path: str, values: Mapping[str, Any]) -> str | None:
        """Make the record at the path of an external id, or change the one there; its id, None where none is told.

        Twice is once, so it is sent again where the answer was lost. Raises ``SeveralRecords`` and ``Rejected``.
        """
        saved, _ = await self._http.request("PATCH", path, json=values, accept=_SAVED, again=True, expect=None)
        return None if saved is None else _saved(saved)

    async def update(self, entity: str, record: str, values: Mapping[str, Any]) -> None:
        """Change a record by its id; sent again where the answer was lost."""
        path = f"{self._data}/sobjects/{entity}/{quote(record, safe='')}"
        await self._http.request("PATCH", path, json=values, accept=_SAVED, again=True, expect=None)

    async def insert(self, entity: str, values: Mapping[str, Any]) -> str:
        """Make a record and return its id; never sent again where it may have been made."""
        path = f"{self._data}/sobjects/{entity}"
        saved, _ = await self._http.request("POST", path, json=values, accept=_SAVED)
        return _saved(saved)

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._http.close()
        await self._tokens.close()

    def _token_source(self, settings: Connection, ca_file: Path | None, limits: Limits) -> TokenSource:
        url = f"{self._domain}/services/oauth2/token"
        if settings.flow == "jwt_bearer" and settings.private_key is not None and settings.user is not None:
            return jwt_assertion(
                url,
                client_id=settings.client_id,
                private_key=settings.private_key,
                subject=settings.user,
                audience=settings.audience,
                ca_file=ca_file,
                limits=limits,
                inspect=self._inspect,
            )
        if settings.client_secret is None:
            raise ConfigurationError("client_secret is missing", advice="Name it by reference, as env:NAME.")
        return client_credentials(
            url,
            client_id=settings.client_id,
            secret=settings.client_secret,
            style="post",
            ca_file=ca_file,
            limits=limits,
            inspect=self._inspect,
        )

    def _inspect(self, answer: Mapping[str, Any]) -> None:
        """Refuse a token that is for another org's address: it would be sent to this one, and read nothing or other."""
        instance = answer.get("instance_url")
        if not isinstance(instance, str) or _origin(instance) != _origin(self._domain):
            where = _origin(instance)[1] if isinstance(instance, str) else "no instance_url"
            raise Refused(
                f"{self._http.origin}: the token is for another address: {where}",
                advice="Set domain to the My Domain of the org that is meant, as Setup shows it.",
            )


def read_answer(content: Mapping[str, Any]) -> Answer:
    """Read a page; raise ``Misbehaved`` where it neither ends nor leads on, or has no records or count."""
    records, total, done = content.get("records"), content.get("totalSize"), content.get("done")
    link = content.get("nextRecordsUrl")
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise Misbehaved("a page of a query has no list of records", advice="Report this to the provider.")
    if type(total) is not int or total < 0:
        raise Misbehaved("a page of a query has no totalSize", advice="Report this to the provider.")
    if type(done) is not bool or done is not (link is None) or not isinstance(link, str | None) or link == "":
        raise Misbehaved(
            "a page of a query neither ends nor leads on: done and nextRecordsUrl contradict each other",
            advice="Report this to the provider.",
        )
    return Answer(records, total, link)


def explain(status: int, body: bytes, shown: str) -> SourceError | ConfigurationError | None:
    """Return what an error of Salesforce means by its ``errorCode``; None for what HTTP alone tells."""
    code = _code(body)
    said = f"{shown}: {code}{words_of(body)}"
    found: SourceError | ConfigurationError | None = None
    if code == "REQUEST_LIMIT_EXCEEDED":
        found = Throttled(
            said, advice="The org's API requests are used up, or too many run at once: wait, or have the limit raised."
        )
    elif code in _LOST:
        found = Unreachable(said, advice="The query is begun anew.", restart=True)
    elif code in _DISABLED:
        found = Refused(said, advice="Grant the user API Enabled.", missing_permission="API Enabled")
    elif code in _BUSY and status not in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        found = Unreachable(said, advice="Try again later.")
    elif code in _MALFORMED:
        found = MalformedQuery(said)
    elif code in _HIDDEN:
        found = NotShown(said, advice="Grant the user Read on the object and its fields, or correct their names.")
    elif status == httpx.codes.MULTIPLE_CHOICES:
        found = _several(body, shown)
    elif status == httpx.codes.BAD_REQUEST and code:
        said = f"{shown}: HTTP {status}{words_of(body)}"
        found = Rejected(said, advice="Correct what it names.", problems=_problems(body))
    return found


def _several(body: bytes, shown: str) -> SeveralRecords | None:
    try:
        found = msgspec.json.decode(body, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    ids = tuple(clean(link.rpartition("/")[2]) for link in found)
    return SeveralRecords(
        f"{shown}: several records carry this external id: {', '.join(ids)}",
        advice="Keep one and clear the external id of the others; have the field made Unique, so that it stays so.",
        ids=ids,
    )


def _problems(body: bytes) -> tuple[Problem, ...]:
    found = msgspec.json.decode(body)
    return tuple(
        Problem(
            clean(str(one.get("errorCode", ""))),
            clean(str(one.get("message", ""))),
            tuple(str(name) for name in one["fields"]) if isinstance(one.get("fields"), list) else (),
        )
        for one in found
        if isinstance(one, dict)
    )


def _saved(content: Any) -> str:
    found = content.get("id") if isinstance(content, dict) and content.get("success") is True else None
    if not isinstance(found, str) or not found.isalnum():
        raise Misbehaved("the service does not say which record it saved", advice="Check api_version.")
    return found


def _code(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    first = found[0] if isinstance(found, list) and found else None
    code = first.get("errorCode") if isinstance(first, dict) else None
    return code if isinstance(code, str) else ""


def _origin(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", "", None

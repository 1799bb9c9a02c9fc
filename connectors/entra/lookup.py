"""Live: the accounts of a person in every state, and one account with every class of its credentials."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from reconciler.sdk.connector import (
    AccountRef,
    Found,
    Gap,
    LiveAccount,
    LiveCredentials,
    PersonKeys,
    Presence,
)
from reconciler.sdk.errors import Misbehaved, SourceError
from reconciler.sdk.window import lookback

from . import permissions, queries, shapes
from .access import SERVICES
from .client import BATCH, Answer, Ask, GraphClient, shown
from .connector import login_of, raw_status, service_status, user_status
from .failures import NotFound
from .live import application_credentials, user_credentials
from .shapes import Shape

_USER = Shape(shapes.User)
_SERVICE = Shape(shapes.ServicePrincipal)
_APPLICATION = Shape(shapes.Application)
_METHOD = Shape(shapes.Method)
_CONSENT = Shape(shapes.Consent)
_REF = Shape(shapes.Ref)
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_NO_ACCOUNTS = frozenset({"#microsoft.graph.group", "#microsoft.graph.application", "#microsoft.graph.device"})
_NAMES = ",".join(queries.USER_PROPERTIES)
_FEW = "$select=id,userPrincipalName&$count=true&$top=100"
_SERVICE_NAMES = (
    "$select=id,appId,displayName,accountEnabled,disabledByMicrosoftStatus,servicePrincipalType,"
    "passwordCredentials,keyCredentials"
)


@dataclass(frozen=True, slots=True)
class _Search:
    """One request that may find accounts, and the key that it looks by."""

    key: str
    ask: Ask
    many: bool = True
    login: str = ""
    """The name that a deleted user must have had; Graph can only be asked for how it ends."""


class Finder:
    """Looks in one tenant."""

    def __init__(self, source: str, client: GraphClient) -> None:
        self._source = source
        self._client = client

    async def find(self, person: PersonKeys) -> Found:
        """Search users and deleted users by each key; a search that failed is a gap, all failing is an error."""
        searches = list(_searches(person))
        found: dict[str, tuple[str | None, list[str]]] = {}
        gaps: list[Gap] = []
        failures: list[SourceError] = []
        answered = 0
        for start in range(0, len(searches), BATCH):
            part = searches[start : start + BATCH]
            try:
                answers = await self._client.batch([one.ask for one in part])
            except SourceError as error:
                failures += [error] * len(part)
                gaps += [_gap(one, error) for one in part]
                continue
            for search, answer in zip(part, answers, strict=True):
                try:
                    refs = await self._refs(search, answer)
                except NotFound:
                    answered += 1
                    continue
                except SourceError as error:
                    failures.append(error)
                    gaps.append(_gap(search, error))
                    continue
                answered += 1
                for user in refs:
                    _, keys = found.setdefault(user.id, (login_of(user, deleted=True), []))
                    keys += [search.key] if search.key not in keys else []
        if failures and not answered:
            raise failures[0]
        accounts = [AccountRef(account, login, tuple(keys)) for account, (login, keys) in found.items()]
        return Found(tuple(accounts), tuple(dict.fromkeys(gaps)))

    async def _refs(self, search: _Search, answer: Answer) -> list[shapes.User]:
        """Return what one search found, to the end of its pages."""
        body = answer.json()
        if not search.many:
            user, _ = _USER.one(body, shown(search.ask.url))
            return [] if user.type in _NO_ACCOUNTS else [user]
        found: list[shapes.User] = []
        seen: set[str] = set()
        while True:
            items = _USER.page(body, shown(search.ask.url))
            found += [user for user in items.value if not search.login or _was(user, search.login)]
            if items.link is None:
                return found
            link = self._client.follow(items.link)
            if link in seen:
                raise Misbehaved(f"{shown(link)}: the next link leads back to a page that was read")
            seen.add(link)
            body = await self._client.get(Ask(link, search.ask.permission, eventual=True))

    async def reread(self, account_id: str) -> LiveAccount:
        """Ask for the user, the service principal and the deleted items of this id, and for all credentials, at once.

        GONE is said only where all three say that they have no such id, and the same token just saw others there.
        """
        if not _ID.fullmatch(account_id):
            return _unknown(account_id, "it is no object id of Entra's: nothing can be told of it")
        name = quote(account_id, safe="")
        probe = "?$select=id&$top=1"
        asks = [
            Ask(f"/users/{name}?$select={_NAMES}", permissions.USERS),
            Ask(f"/servicePrincipals/{name}?{_SERVICE_NAMES}", permissions.APPS),
            Ask(f"/directory/deletedItems/{name}", permissions.USERS),
            Ask(f"/users{probe}", permissions.USERS),
            Ask(f"/servicePrincipals{probe}", permissions.APPS),
            Ask(f"{queries.DELETED_USERS}{probe}", permissions.USERS),
            Ask(f"{queries.DELETED_SERVICES}{probe}", permissions.APPS),
            Ask(queries.methods(name), permissions.METHODS),
            Ask(f"/users/{name}/oauth2PermissionGrants", permissions.CONSENTS),
        ]
        try:
            roles = await self._client.tokens.roles() or frozenset()
            answers = await self._client.batch(asks)
        except SourceError as error:
            return _unknown(account_id, error.message)
        digest = _digest(answers)
        user, service, deleted = answers[:3]
        try:
            if user.status == _OK:
                return self._user(account_id, user, answers, digest)
            if service.status == _OK:
                return await self._service(account_id, service, digest)
            return _absent(account_id, (user, service, deleted), answers[3:7], roles, digest)
        except SourceError as error:
            return _unknown(account_id, error.message, digest)

    def _user(self, account_id: str, answer: Answer, answers: Sequence[Answer], digest: str) -> LiveAccount:
        user, wrong = _USER.one(answer.json(), "/users")
        if user.id.lower() != account_id.lower():
            return _unknown(account_id, f"Graph answered with another user: {user.id}", digest)
        methods = _part(lambda: list(_METHOD.page(answers[7].json(), "/authentication/methods").value))
        consents = _part(lambda: list(_CONSENT.page(answers[8].json(), "/oauth2PermissionGrants").value))
        presence, reason = _presence(user.account_enabled, "; ".join(one.reason for one in wrong))
        return LiveAccount(
            account_id,
            presence,
            login=user.user_principal_name,
            raw_status=raw_status(user, deleted=False),
            status=user_status(user, deleted=False),
            reason=reason,
            credentials=user_credentials(user, presence, methods, consents),
            digest=digest,
        )

    async def _service(self, account_id: str, answer: Answer, digest: str) -> LiveAccount:
        item, wrong = _SERVICE.one(answer.json(), "/servicePrincipals")
        registered: shapes.Application | str | None = None
        try:
            body = await self._client.get(Ask(queries.registration_of(item.app_id or ""), permissions.APPS))
            found = _APPLICATION.page(body, "/applications").value
            registered = found[0] if found else None
            digest = hashlib.sha256(digest.encode() + body).hexdigest()
        except SourceError as error:
            registered = error.message
        status, usable = service_status(item)
        presence, reason = _presence(usable, "; ".join(one.reason for one in wrong))
        return LiveAccount(
            account_id,
            presence,
            login=item.app_id,
            raw_status=None if item.account_enabled is None else f"accountEnabled={str(item.account_enabled).lower()}",
            status=status,
            reason=reason,
            credentials=application_credentials(item, registered, presence, lookback(0)[1]),
            digest=digest,
        )


_OK = 200


def _searches(person: PersonKeys) -> Iterator[_Search]:
    """Yield every request that may find an account of the person."""
    for account in filter(None, person.account_ids):
        name = quote(account, safe="")
        select = "$select=id,userPrincipalName"
        yield _Search("account_id", Ask(f"/users/{name}?{select}", permissions.USERS), many=False)
        yield _Search("account_id", Ask(f"/directory/deletedItems/{name}", permissions.USERS), many=False)
        yield _Search("account_id", Ask(f"/servicePrincipals/{name}?$select=id,appId", permissions.APPS), many=False)
    for key, condition in _conditions(person):
        for place in ("/users", queries.DELETED_USERS):
            yield _Search(key, _where(place, condition))
    names = [("email", email) for email in person.emails] + [("login", login) for login in person.logins]
    known = {name.lower(): (key, name) for key, name in reversed(names) if name}
    for key, name in reversed(known.values()):
        yield _Search(key, _where("/users", f"userPrincipalName eq {queries.text(name)}"))
        ending = f"endswith(userPrincipalName,{queries.text(name)})"
        yield _Search(key, _where(queries.DELETED_USERS, ending), login=name)


def _where(place: str, condition: str) -> Ask:
    return Ask(f"{place}?$filter={quote(condition)}&{_FEW}", permissions.USERS, eventual=True)


def _was(user: shapes.User, login: str) -> bool:
    """Return whether a deleted user signed in with this name, and not with a longer one that ends like it."""
    return (login_of(user, deleted=True) or "").lower() == login.lower()


def _conditions(person: PersonKeys) -> Iterator[tuple[str, str]]:
    """Yield (key, filter) for users and deleted users alike."""
    if person.employee_id:
        yield "employee_id", f"employeeId eq {queries.text(person.employee_id)}"
    for email in dict.fromkeys(filter(None, person.emails)):
        mail = queries.text(email)
        yield "email", f"mail eq {mail}"
        yield "email", f"otherMails/any(x:x eq {mail})"
        # The address that mail is sent from is written SMTP, its other names smtp.
        yield "email", f"proxyAddresses/any(x:x eq {queries.text(f'smtp:{email}')})"
        yield "email", f"proxyAddresses/any(x:x eq {queries.text(f'SMTP:{email}')})"
        if "@" in email:
            local, _, domain = email.rpartition("@")
            yield "email", f"startswith(userPrincipalName,{queries.text(f'{local}_{domain}#EXT#')})"


def _gap(search: _Search, error: SourceError) -> Gap:
    return Gap("accounts", search.key, error.message, getattr(error, "missing_permission", ""))


def _part(read: Callable[[], list[Any]]) -> list[Any] | str:
    """Return what was read, or in words why it was not."""
    try:
        return read()
    except SourceError as error:
        return error.message


def _presence(usable: bool | None, wrong: str) -> tuple[Presence, str]:
    if usable is None:
        return Presence.NOT_EVALUABLE, wrong or "it is there, and Graph did not say whether it is enabled"
    return (Presence.PRESENT if usable else Presence.DISABLED), wrong


def _absent(
    account_id: str, asked: Sequence[Answer], probes: Sequence[Answer], roles: frozenset[str], digest: str
) -> LiveAccount:
    """Say whether an id is deleted, gone, or not to be told."""
    user, service, deleted = asked
    if deleted.status == _OK:
        return _deleted(account_id, deleted, digest)
    for answer in (user, service, deleted):
        try:
            answer.json()
        except NotFound:
            continue
        except SourceError as error:
            return _unknown(account_id, error.message, digest)
        return _unknown(account_id, "the directory changed while it was asked", digest)
    if not permissions.has(roles, permissions.USERS) or not permissions.has(roles, permissions.APPS):
        return _unknown(
            account_id, f"not found, but the token does not hold {permissions.USERS} and {permissions.APPS}", digest
        )
    for answer, needed in zip(probes, (True, True, False, False), strict=True):
        seen = _part(lambda answer=answer: list(_REF.page(answer.json(), shown(answer.ask.url)).value))  # type: ignore[misc]
        if isinstance(seen, str) or (needed and not seen):
            return _unknown(
                account_id, f"not found, and nothing else is to be seen either: {seen or 'no rows'}", digest
            )
    reason = "users, service principals and deleted items each answered that there is no such id"
    return LiveAccount(
        account_id,
        Presence.GONE,
        reason=reason,
        credentials=user_credentials(shapes.User(id=account_id), Presence.GONE, [], []),
        digest=digest,
    )


def _deleted(account_id: str, answer: Answer, digest: str) -> LiveAccount:
    """Describe what is among the deleted items: a user, a service principal, or what is no account."""
    where = "/directory/deletedItems"
    item, _ = _USER.one(answer.json(), where)
    if item.type in _NO_ACCOUNTS:
        return _unknown(account_id, f"a deleted object of type {item.type} is no account", digest)
    when = shapes.utc(item.deleted_date_time)
    login = login_of(item, deleted=True)
    credentials = user_credentials(item, Presence.DISABLED, "it is deleted: methods are not shown", [])
    if item.type in SERVICES:
        service, _ = _SERVICE.one(answer.json(), where)
        login = service.app_id
        registered = "it is not looked for once the service principal is deleted"
        credentials = application_credentials(service, registered, Presence.DISABLED, lookback(0)[1])
    return LiveAccount(
        account_id,
        Presence.DISABLED,
        login=login,
        raw_status=f"in deletedItems{f' since {when.isoformat()}' if when is not None else ''}; "
        "can be restored for 30 days",
        status="deleted",
        reason="deleted, and can be restored with all that it held",
        credentials=credentials,
        digest=digest,
    )


def _unknown(account_id: str, reason: str, digest: str = "") -> LiveAccount:
    classes = ("password", "mfa_factor", "client_secret", "certificate", "session", "refresh_token")
    credentials = tuple(LiveCredentials(kind, Presence.NOT_EVALUABLE, reason=reason) for kind in classes)  # type: ignore[arg-type]
    return LiveAccount(account_id, Presence.NOT_EVALUABLE, reason=reason, credentials=credentials, digest=digest)


def _digest(answers: Sequence[Answer]) -> str:
    found = hashlib.sha256()
    for answer in answers:
        found.update(f"{answer.status} {len(answer.body)} ".encode() + answer.body)
    return found.hexdigest()

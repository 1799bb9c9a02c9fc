"""Look for one person in Identity Center, and re-read one of its users."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from reconciler.sdk.connector import AccountRef, Gap, LiveAccount, LiveCredentials, PersonKeys, Presence
from reconciler.sdk.errors import Refused, SourceError
from reconciler.sdk.records import CredentialKind

from .center_client import CenterClient
from .center_rows import STATUS
from .center_types import User
from .live import digest, unknown
from .settings import Settings

CENTER_ID = re.compile(r"([0-9a-f]{10}-)?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""What the ids of users of the identity store look like."""
KINDS: tuple[CredentialKind, ...] = ("password", "mfa_factor", "session")
"""Every class of credentials that a user of Identity Center can have."""
_UNTOLD = "no call of the identity store tells of passwords"
_NO_FACTOR = "no call of the identity store tells of second factors"
_NO_SESSIONS = "AWS lists no sessions"
_PORTAL_LAG = (
    "sessions of the access portal and of applications end within an hour after he is disabled or deleted or his "
    "sessions are deleted"
)
_ROLE_LAG = "sessions in AWS accounts are not cut: they last until they end by themselves"


async def find_in_center(
    client: CenterClient, settings: Settings, person: PersonKeys
) -> tuple[list[AccountRef], list[Gap]]:
    """Look a person up by every key, in every state: the identity store finds disabled users as it does others.

    One search that fails is a gap; raises where all of them do, and where the instance is not to be seen.
    """
    await client.instance()
    found: dict[str, set[str]] = {}
    gaps: list[Gap] = []
    failures: list[SourceError] = []
    searches = _searches(client, settings, person)
    logins: dict[str, str | None] = {}
    answers = await asyncio.gather(*(_searched(search) for _, _, search in searches))
    for (by, subject, _), users in zip(searches, answers, strict=True):
        if isinstance(users, SourceError):
            failures.append(users)
            permission = users.missing_permission if isinstance(users, Refused) else ""
            gaps.append(Gap("accounts", f"identity center: {subject}", users.message, permission))
            continue
        for user in users:
            found.setdefault(user.UserId, set()).add(by)
            logins[user.UserId] = user.UserName
    if failures and len(failures) == len(searches):
        raise failures[0]
    order = ("account_id", "employee_id", "email", "login")
    refs = [AccountRef(one, logins[one], tuple(by for by in order if by in keys)) for one, keys in found.items()]
    return refs, gaps


async def reread_in_center(client: CenterClient, user_id: str) -> LiveAccount:
    """Re-read one user. Gone only where the identity store, asked for others in the same breath, shows them."""
    answer = await client.user(user_id)
    if answer is None:
        others = await client.users(None, 1)
        if not others.items:
            return unknown(user_id, "not found, and the identity store shows nobody else either", KINDS)
        return _gone(user_id, len(others.items))
    user, body = answer
    status, _ = STATUS.get(user.UserStatus or "", (None, None))
    return LiveAccount(
        user_id,
        Presence.DISABLED if status == "disabled" else Presence.PRESENT,
        login=user.UserName,
        raw_status=user.UserStatus,
        status=status,
        reason="" if status else "AWS did not say whether he is enabled",
        credentials=_classes(user, await _session_lag(client, user_id)),
        digest=digest(body.decode("utf-8", "replace")),
    )


async def _searched(search: Callable[[], Awaitable[Sequence[User]]]) -> Sequence[User] | SourceError:
    try:
        return await search()
    except SourceError as error:
        return error


def _searches(client: CenterClient, settings: Settings, person: PersonKeys) -> list[tuple[str, str, Any]]:
    """Return (what is matched, in words, the search) for every key of a person."""
    wanted = settings.identity_center
    issuers = wanted.external_id_issuers if wanted else []
    names = [("login", one) for one in person.logins] + [("email", one) for one in person.emails]
    searches: list[tuple[str, str, Any]] = [
        (by, f"user name {name}", lambda name=name: client.users_named(name)) for by, name in names if name
    ]
    for email in person.emails:
        unique = {"UniqueAttribute": {"AttributePath": "Emails.Value", "AttributeValue": email}}
        searches.append(("email", f"mail address {email}", lambda one=unique: _alternate(client, one)))
    for issuer in issuers if person.employee_id else ():
        external = {"ExternalId": {"Issuer": issuer, "Id": person.employee_id}}
        searches.append(("employee_id", f"external id of {issuer}", lambda one=external: _alternate(client, one)))
    ids = [one for one in person.account_ids if CENTER_ID.fullmatch(one)]
    return searches + [("account_id", one, lambda one=one: _by_id(client, one)) for one in ids]


async def _alternate(client: CenterClient, identifier: dict[str, Any]) -> Sequence[User]:
    user_id = await client.user_id(identifier)
    return [] if user_id is None else await _by_id(client, user_id)


async def _by_id(client: CenterClient, user_id: str) -> Sequence[User]:
    found = await client.user(user_id)
    return [] if found is None else [found[0]]


def _classes(user: User, lag: str) -> tuple[LiveCredentials, ...]:
    password = _UNTOLD
    if user.ExternalIds:
        issuers = ", ".join(sorted({one.Issuer or "another system" for one in user.ExternalIds}))
        password += f"; he comes from {issuers}, which most likely keeps it"
    return (
        LiveCredentials("password", Presence.NOT_EVALUABLE, reason=password),
        LiveCredentials("mfa_factor", Presence.NOT_EVALUABLE, reason=_NO_FACTOR),
        LiveCredentials("session", Presence.NOT_EVALUABLE, reason=_NO_SESSIONS, lag=lag),
    )


def _gone(user_id: str, shown: int) -> LiveAccount:
    reason = "it was deleted with the user"
    lag = f"{_PORTAL_LAG}; {_ROLE_LAG}, up to 12 hours"
    return LiveAccount(
        user_id,
        Presence.GONE,
        reason="DescribeUser says that there is no such user, and ListUsers shows others",
        credentials=(
            LiveCredentials("password", Presence.GONE, reason=reason),
            LiveCredentials("mfa_factor", Presence.GONE, reason=reason),
            LiveCredentials("session", Presence.NOT_EVALUABLE, reason=_NO_SESSIONS, lag=lag),
        ),
        digest=digest("ResourceNotFoundException", user_id, shown),
    )


async def _session_lag(client: CenterClient, user_id: str) -> str:
    """Say how long sessions in AWS accounts may last, by the permission sets that he has now."""
    told: list[str] = []
    try:
        token: str | None = None
        arns: dict[str, None] = {}
        while True:
            page = await client.assignments("USER", user_id, token)
            arns |= dict.fromkeys(one.PermissionSetArn for one in page.items)
            token = page.token
            if token is None:
                break
        for arn in arns:
            detail = (await client.permission_set(arn)).described
            told.append(f"{detail.Name} {detail.SessionDuration or 'PT1H'}")
    except SourceError as error:
        return f"{_PORTAL_LAG}; {_ROLE_LAG}, up to 12 hours (how long could not be read: {error.message})"
    if not told:
        return f"{_PORTAL_LAG}; he holds no permission set now; {_ROLE_LAG}, up to 12 hours"
    return f"{_PORTAL_LAG}; {_ROLE_LAG}: {', '.join(told)}"

"""What the reader's token shows: its permissions, the tenant's licence, the canaries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Misbehaved, Refused

from . import permissions
from .client import Answer, Ask, GraphClient
from .failures import NoLicence, NotFound
from .settings import Settings

_ACTIVITY = ("last_sign_in_at", "last_sign_in_basis")
_PROBE_ACTIVITY = "/users?$select=id,signInActivity&$top=1"
_PROBE_SIGN_INS = "/auditLogs/signIns?$top=1"


@dataclass(frozen=True, slots=True)
class Sight:
    """What the token shows: its application permissions, and whether last sign-ins can be read."""

    roles: frozenset[str]
    activity: bool


async def look(client: GraphClient, settings: Settings, read: frozenset[tuple[str, str]]) -> tuple[Sight, list[Gap]]:
    """Return what the token shows, and a gap for everything that it does not, of the parts that are ``read``.

    Raises ``Refused`` where it names no permission at all.
    """
    roles = await client.tokens.roles()
    if not roles:
        raise Refused(
            "the token names no application permission",
            advice="Grant the application permissions in deploy/policies/entra-read.json, with admin consent.",
            missing_permission=permissions.USERS,
        )
    wanted = settings.sign_in_activity and ("accounts", "users") in (read or {("accounts", "users")})
    gaps = list(permissions.missing(roles, read))
    if not settings.sign_in_activity:
        gaps = [gap for gap in gaps if not gap.column]
    activity = wanted and permissions.has(roles, permissions.AUDIT) and permissions.has(roles, permissions.USERS)
    if activity:
        refusal = await _refusal(client, Ask(_PROBE_ACTIVITY, permissions.AUDIT))
        if refusal is not None:
            activity = False
            gaps += [
                Gap(
                    "accounts",
                    "",
                    f"Graph does not show when users signed in last: {refusal.message}",
                    _grant(refusal),
                    c,
                )
                for c in _ACTIVITY
            ]
    if ("events", "sign-ins") in read and permissions.has(roles, permissions.AUDIT):
        refusal = await _refusal(client, Ask(_PROBE_SIGN_INS, permissions.AUDIT))
        if refusal is not None:
            gaps.append(Gap("events", "sign-ins", f"sign-ins are not shown: {refusal.message}", _grant(refusal)))
    if read:
        gaps += await _canaries(client, settings.canaries)
    return Sight(roles, activity), gaps


async def _refusal(client: GraphClient, ask: Ask) -> Refused | None:
    """Return why something cannot be read, None where it can."""
    try:
        await client.get(ask)
    except Refused as refused:
        return refused
    return None


def _grant(refused: Refused) -> str:
    return "a licence of Microsoft Entra ID P1 or P2" if isinstance(refused, NoLicence) else refused.missing_permission


async def _canaries(client: GraphClient, canaries: Sequence[str]) -> list[Gap]:
    """Return a gap for each canary that is neither user, group nor service principal, as far as can be seen."""
    gaps: list[Gap] = []
    for canary in canaries:
        answers = await client.batch([Ask(path) for path in _places(canary)])
        if not any(_there(answer) for answer in answers):
            gaps.append(Gap("accounts", canary, "the canary is not to be seen; check its name and these permissions"))
    return gaps


def _places(canary: str) -> Iterator[str]:
    name = quote(canary, safe="")
    yield f"/users/{name}?$select=id"
    yield f"/groups/{name}?$select=id"
    yield f"/servicePrincipals/{name}?$select=id"
    yield f"/servicePrincipals(appId='{name}')?$select=id"


def _there(answer: Answer) -> bool:
    try:
        answer.json()
    except (NotFound, Refused, Misbehaved):
        return False
    return True

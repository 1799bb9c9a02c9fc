"""Map CloudTrail events to the standard identity event. Pure: no network, no clock."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from reconciler.sdk.connector import Gap
from reconciler.sdk.records import Event

from . import center_rows
from .access import Directory, Where, policy_id
from .event_names import ACTIONS, IAM, SSO, action_of
from .json_api import at

_SIGN_INS = frozenset({"sign_in", "privilege_elevated", "privilege_ended"})
_HOLDERS = (("userName", "account"), ("groupName", "entitlement"), ("roleName", "entitlement"))


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An event as LookupEvents gives it; ``CloudTrailEvent`` is the whole record as JSON text."""

    EventId: str
    EventName: str | None = None
    EventSource: str | None = None
    EventTime: float | None = None
    CloudTrailEvent: str | None = None


def event_row(where: Where, directory: Directory, found: Found) -> tuple[Event | None, list[Gap]]:
    """Return the row of one event, None for one that is none of ours; a record that cannot be read is a gap.

    CloudTrail names what was acted upon by name, and names are reused: an id is given only where the event itself
    tells it, or where the bearer of the name is older than the event. Else the name stands as
    ``<account id>:user/<name>``.
    """
    gaps: list[Gap] = []
    try:
        record = msgspec.json.decode(found.CloudTrailEvent or "", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        record = {}
        gaps.append(Gap("events", found.EventId, "its CloudTrail record could not be read: who and what are unknown"))
    source = found.EventSource or str(record.get("eventSource", ""))
    name = found.EventName or str(record.get("eventName", ""))
    asked = _mapping(record.get("requestParameters"))
    if not source or not name:
        return None, gaps
    if name not in ACTIONS.get(source, {}):
        return None, []
    action = action_of(source, name, asked)
    at_moment = at(found.EventTime) or _instant(record.get("eventTime"))
    actor_id, actor_kind = _actor(_mapping(record.get("userIdentity")))
    names = _Names(where, directory, at_moment)
    answered = _mapping(record.get("responseElements"))
    if action in _SIGN_INS:
        target_id, target_kind, entitlement = actor_id, actor_kind, names.role(asked.get("roleArn"))
    elif source == IAM:
        own = name == "ChangePassword" or (ACTIONS[IAM][name].startswith("credential_") and "errorCode" not in record)
        target_id, target_kind, entitlement = _in_iam(names, asked, answered, actor_id if own else None)
    else:
        target_id, target_kind, entitlement = _in_center(source, asked, answered)
    row = Event(
        source=where.source,
        event_id=found.EventId,
        occurred_at=at_moment,
        actor_id=actor_id,
        actor_kind=actor_kind,
        action=action,
        raw_action=f"{source.partition('.')[0]}:{name}",
        target_id=target_id,
        target_kind=target_kind if target_id else None,
        entitlement_id=entitlement,
        environment=where.environment,
        outcome=_outcome(record, answered) if record else None,
        raw_digest=None
        if found.CloudTrailEvent is None
        else hashlib.sha256(found.CloudTrailEvent.encode()).hexdigest(),
    )
    return row, gaps


class _Names:
    """Finds ids behind the names in an event."""

    def __init__(self, where: Where, directory: Directory, moment: datetime | None) -> None:
        self._where = where
        self._directory = directory
        self._moment = moment

    def holder(self, kind: str, name: str) -> str:
        word = kind.removesuffix("Name")
        known = {
            "userName": self._directory.user_names,
            "groupName": self._directory.groups,
            "roleName": self._directory.role_names,
        }[kind].get(name)
        born = None if known is None else self._directory.created.get(known)
        if known is None or (born is not None and self._moment is not None and born > self._moment):
            return f"{self._where.account_id}:{word}/{name}"
        return known

    def policy(self, arn: str) -> str:
        if arn.split(":")[4:5] == ["aws"] or arn in self._directory.policies:
            return policy_id(self._where, arn, self._directory)
        return arn

    def role(self, arn: object) -> str | None:
        return None if not isinstance(arn, str) else self._directory.roles.get(arn, arn)


def _in_iam(
    names: _Names, asked: Mapping[str, Any], answered: Mapping[str, Any], actor: str | None
) -> tuple[str | None, str | None, str | None]:
    """Return target, its kind, and the entitlement; where nobody is named it is ``actor``, or not known.

    Credentials that name nobody are the actor's own. Of a call that was denied AWS may leave out whom it was about.
    """
    made = next((one["userId"] for one in answered.values() if isinstance(one, dict) and one.get("userId")), None)
    holder = next(((key, kind) for key, kind in _HOLDERS if isinstance(asked.get(key), str)), None)
    target, kind = actor, "account"
    if holder is not None:
        target, kind = names.holder(holder[0], asked[holder[0]]), holder[1]
        if holder[0] == "userName" and made:
            target = str(made)
    entitlement: str | None = None
    if isinstance(asked.get("policyArn"), str):
        entitlement = names.policy(asked["policyArn"])
    elif isinstance(asked.get("policyName"), str) and holder is not None:
        entitlement = f"{target}/{asked['policyName']}"
    elif holder is not None and holder[0] == "userName" and isinstance(asked.get("groupName"), str):
        entitlement = names.holder("groupName", asked["groupName"])
    if holder is None and entitlement is not None:
        target, kind = entitlement, "entitlement"
    return target, kind, entitlement


def _in_center(
    source: str, asked: Mapping[str, Any], answered: Mapping[str, Any]
) -> tuple[str | None, str | None, str | None]:
    """Return target, its kind, and the entitlement of what happened in Identity Center: it names by id."""
    arn = asked.get("permissionSetArn")
    if source == SSO:
        principal, account = asked.get("principalId"), asked.get("targetId")
        if isinstance(principal, str) and isinstance(arn, str) and isinstance(account, str):
            kind = "account" if asked.get("principalType") == "USER" else "entitlement"
            return principal, kind, center_rows.pair_id(account, arn)
        made = _mapping(answered.get("permissionSet")).get("permissionSetArn")
        known = arn if isinstance(arn, str) else made if isinstance(made, str) else None
        return known, "entitlement", known
    member = _mapping(asked.get("member")).get("memberId") or _mapping(asked.get("memberId")).get("userId")
    users = (asked.get("userId"), member, answered.get("userId"), _mapping(answered.get("user")).get("userId"))
    user = next((one for one in users if isinstance(one, str)), None)
    groups = (asked.get("groupId"), answered.get("groupId"), _mapping(answered.get("group")).get("groupId"))
    group = next((one for one in groups if isinstance(one, str)), None)
    return (user, "account", group) if user is not None else (group, "entitlement", group)


def _actor(identity: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return who acted by immutable id: the person behind a session where AWS tells it, else the role."""
    kind = identity.get("type")
    behind = _mapping(identity.get("onBehalfOf")).get("userId")
    if isinstance(behind, str):
        return behind, "account"
    if kind == "Root":
        return f"{identity.get('accountId')}:root", "account"
    if kind == "IAMUser":
        return _text(identity.get("principalId")), "account"
    if kind == "AWSService":
        return _text(identity.get("invokedBy")), "service"
    issuer = _mapping(_mapping(identity.get("sessionContext")).get("sessionIssuer"))
    if isinstance(issuer.get("principalId"), str):
        return issuer["principalId"], "account" if issuer.get("type") == "IAMUser" else "role"
    return _text(identity.get("principalId")) or _text(identity.get("arn")), _text(kind)


def _outcome(record: Mapping[str, Any], answered: Mapping[str, Any]) -> str:
    """Return the error's code, what a sign-in came to, or Success: CloudTrail names errors only."""
    code = _text(record.get("errorCode")) or _text(record.get("errorMessage"))
    told = _text(answered.get("ConsoleLogin")) or _text(_mapping(record.get("serviceEventDetails")).get("outcome"))
    return code or told or "Success"


def _instant(value: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None

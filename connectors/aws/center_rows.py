"""Map what IAM Identity Center sends to estate rows. Pure: no network, no clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from reconciler.sdk.records import Account, AccountStatus, Entitlement, Grant, PrincipalKind

from . import policies
from .center_types import ENTERPRISE, Group, Membership, SetDetail, User
from .json_api import at

_encode = msgspec.json.Encoder().encode
_NOTHING: Mapping[str, Any] = {}


class _Given(msgspec.Struct, frozen=True, gc=False):
    id: str | None
    issuer: str | None


class _Attributes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What has no column of its own, by name in the order of the alphabet; what is empty is left out."""

    arn: str | None = None
    emails: Sequence[str] = ()
    external_ids: Sequence[_Given] = ()
    identity_store: str
    user_type: str | None = None


STATUS: Mapping[str, tuple[AccountStatus, bool]] = {"ENABLED": ("enabled", True), "DISABLED": ("disabled", False)}
"""UserStatus -> status and whether the user can sign in; a state that AWS adds later, or none, stays unknown."""


def user_row(source: str, store_id: str, user: User) -> Account:
    """Return the account of one user."""
    status, can_sign_in = STATUS.get(user.UserStatus or "", (None, None))
    enterprise = extension(user) if user.Extensions else _NOTHING
    manager = enterprise.get("manager")
    attributes = _Attributes(
        arn=user.UserArn,
        emails=tuple([one.Value for one in user.Emails or () if one.Value]),
        external_ids=tuple([_Given(one.Id, one.Issuer) for one in user.ExternalIds or ()]),
        identity_store=store_id,
        user_type=user.UserType or None,
    )
    return Account(
        source=source,
        account_id=user.UserId,
        login=user.UserName,
        display_name=user.DisplayName,
        email=email_of(user),
        employee_id=_said(enterprise.get("employeenumber")),
        kind="human",
        raw_status=user.UserStatus,
        status=status,
        can_sign_in=can_sign_in,
        created_at=at(user.CreatedAt),
        manager_ref=_said(manager.get("value") if isinstance(manager, Mapping) else manager),
        department=_said(enterprise.get("department")),
        company=_said(enterprise.get("organization")),
        title=user.Title,
        attributes=_encode(attributes).decode(),
    )


def email_of(user: User) -> str | None:
    """Return the address marked as primary, else the first."""
    first = None
    for one in user.Emails or ():
        if one.Value and one.Primary:
            return one.Value
        first = first or one.Value or None
    return first


def extension(user: User) -> dict[str, Any]:
    """Return the enterprise extension by lower-case names; empty where it was not asked for or not filled."""
    found = (user.Extensions or {}).get(ENTERPRISE)
    return {str(name).casefold(): value for name, value in found.items()} if isinstance(found, Mapping) else {}


def group_row(source: str, group: Group) -> Entitlement:
    """Return a group; whether it is privileged hangs on its assignments, which are rows of their own: null."""
    return Entitlement(
        source=source,
        entitlement_id=group.GroupId,
        kind="group",
        name=group.DisplayName,
        description=group.Description,
        membership="assigned",
    )


def membership_row(source: str, group_id: str, membership: Membership) -> Grant | None:
    """Return a user's place in a group; None where the member is no user."""
    member = membership.MemberId
    if member is None or not member.UserId:
        return None
    return Grant(
        source=source,
        principal_kind="account",
        principal_id=member.UserId,
        entitlement_id=group_id,
        assignment="direct",
        granted_at=at(membership.CreatedAt),
    )


def pair_id(aws_account: str, arn: str) -> str:
    """Return the id of "this permission set in this AWS account": both parts are AWS's own and never change."""
    return f"{aws_account}/{arn}"


def set_row(source: str, detail: SetDetail, privileged: bool | None) -> Entitlement:
    """Return a permission set as such, whether or not anybody is assigned it."""
    return Entitlement(
        source=source,
        entitlement_id=detail.described.PermissionSetArn,
        kind="permission_set",
        name=detail.described.Name,
        description=_described(detail),
        privileged=privileged,
    )


def pair_row(
    source: str,
    detail: SetDetail,
    *,
    aws_account: str,
    label: str | None,
    environment: str | None,
    privileged: bool | None,
) -> Entitlement:
    """Return a permission set in one AWS account: what is really granted."""
    where = f"{label} ({aws_account})" if label else aws_account
    return Entitlement(
        source=source,
        entitlement_id=pair_id(aws_account, detail.described.PermissionSetArn),
        kind="permission_set",
        name=f"{detail.described.Name} in {where}",
        description=_described(detail),
        privileged=privileged,
        environment=environment,
    )


def assignment_row(source: str, kind: PrincipalKind, principal_id: str, pair: str) -> Grant:
    """Return what a user or group is assigned."""
    return Grant(
        source=source, principal_kind=kind, principal_id=principal_id, entitlement_id=pair, assignment="direct"
    )


def set_is_privileged(
    detail: SetDetail, patterns: Sequence[str], judged: Mapping[str, bool | None]
) -> tuple[bool | None, str]:
    """Say whether a permission set gives administration, and what could not be understood of it.

    ``judged`` says it of AWS's own policies by ARN. A customer's policy is another in each account: only its name
    can be judged here, and one whose name says nothing leaves the answer unknown.
    """
    verdicts: list[bool | None] = []
    wrong = ""
    for name, arn in detail.managed:
        verdicts.append(True if policies.matches(patterns, name, arn) else judged.get(arn))
    verdicts += [policies.matches(patterns, path.rsplit("/", 1)[-1], path) or None for path in detail.customer]
    if detail.inline is not None:
        try:
            verdicts.append(policies.is_administrative(detail.inline))
        except ValueError as error:
            verdicts.append(None)
            wrong = f"its inline policy could not be understood: {error}"
    return (True if any(verdicts) else None if None in verdicts else False), wrong


def _described(detail: SetDetail) -> str:
    parts = [detail.described.PermissionSetArn]
    if detail.described.Description:
        parts.append(detail.described.Description)
    held = (
        [name for name, _ in detail.managed] + list(detail.customer) + (["an inline policy"] if detail.inline else [])
    )
    parts.append(f"gives {', '.join(held) or 'nothing'}")
    if detail.described.SessionDuration:
        parts.append(f"sessions of {detail.described.SessionDuration}")
    return "; ".join(parts)


def _said(value: object) -> str | None:
    return str(value) if isinstance(value, str | int) and value != "" else None

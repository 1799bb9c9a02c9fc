"""Map groups, roles and policies, and who holds or may assume them, to estate rows. Pure: no network, no clock."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Unreachable
from reconciler.sdk.records import Entitlement, EntitlementKind, Grant, PrincipalKind

from . import policies
from .fields import Item, listed, text
from .settings import Settings

Holder = Literal["Group", "Role", "User"]

_ARN = re.compile(r"arn:aws[\w-]*:(iam|sts)::(\d{12}):(.+)")
_ACCOUNT = re.compile(r"\d{12}")
_UNIQUE_ID = re.compile(r"A[A-Z]{3}[A-Z0-9]{12,}")
_INLINE: Mapping[Holder, str] = {"Group": "GroupPolicyList", "Role": "RolePolicyList", "User": "UserPolicyList"}
_KIND: Mapping[Holder, EntitlementKind] = {"Group": "group", "Role": "role"}


@dataclass(frozen=True, slots=True)
class Where:
    """The AWS account that rows belong to."""

    source: str
    account_id: str
    environment: str | None
    settings: Settings


@dataclass(slots=True)
class Directory:
    """Immutable ids of one AWS account's objects, by the names and ARNs under which they are referred to."""

    users: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    role_names: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    policies: dict[str, str] = field(default_factory=dict)
    user_names: dict[str, str] = field(default_factory=dict)
    created: dict[str, datetime] = field(default_factory=dict)
    """When the bearer of an id was made: an older event under the same name was about another."""


def policy_id(where: Where, arn: str, directory: Directory) -> str:
    """Return the id of a managed policy.

    A policy of AWS's own has one ARN in every account, never used twice: its id is that ARN behind the account. A
    customer's policy may be deleted and made again under its ARN: its id is AWS's unique id.
    """
    if arn.split(":")[4:5] == ["aws"]:
        return f"{where.account_id}/{arn}"
    return _known(directory.policies, arn, "policy")


def own_policy(where: Where, item: Item, directory: Directory) -> tuple[Entitlement, list[Gap]]:
    """Return a customer managed policy, judged by its default version."""
    versions = [one for one in item.get("PolicyVersionList") or () if one.get("IsDefaultVersion")]
    arn = text(item, "Arn")
    return _policy(
        where,
        policy_id(where, arn, directory),
        arn.rsplit("/", 1)[-1],
        arn,
        description=item.get("Description"),
        document=versions[0].get("Document", "") if versions else "",
    )


def aws_policy(where: Where, item: Item, document: Any) -> tuple[Entitlement, list[Gap]]:
    """Return an AWS managed policy that is attached here; ``document`` None: it could not be read."""
    arn = text(item, "Arn")
    name = text(item, "PolicyName")
    return _policy(
        where, f"{where.account_id}/{arn}", name, arn, description=item.get("Description"), document=document
    )


def holder_rows(
    where: Where, holder: Holder, item: Item, privileged: Mapping[str, bool | None]
) -> tuple[list[Entitlement], list[Gap]]:
    """Return a group or role, and the inline policies of a group, role or user.

    ``privileged`` says it of managed policies by ARN; a group or role is privileged where a policy it holds is.
    """
    holder_id = text(item, f"{holder}Id")
    name = text(item, f"{holder}Name")
    arn = text(item, "Arn")
    rows: list[Entitlement] = []
    gaps: list[Gap] = []
    verdicts = [_held(one, privileged, where.settings) for one in listed(item, "AttachedManagedPolicies")]
    for inline in listed(item, _INLINE[holder]):
        policy = text(inline, "PolicyName")
        row, problems = _policy(
            where,
            f"{holder_id}/{policy}",
            policy,
            f"inline in {arn}",
            description=None,
            document=inline.get("PolicyDocument", ""),
        )
        rows.append(row)
        gaps.extend(problems)
        verdicts.append(row.privileged)
    if holder == "User":
        return rows, gaps
    description = arn
    if holder == "Role":
        description, problems = _trust_text(arn, item)
        gaps.extend(problems)
    rows.insert(
        0,
        Entitlement(
            source=where.source,
            entitlement_id=holder_id,
            kind=_KIND[holder],
            name=name,
            description=description,
            privileged=True if any(verdicts) else None if None in verdicts else False,
            environment=where.environment,
            owner_ref=_owner(item, where.settings),
            membership="assigned" if holder == "Group" else None,
        ),
    )
    return rows, gaps


def holder_grants(where: Where, holder: Holder, item: Item, directory: Directory) -> list[Grant]:
    """Return what a group, role or user holds: policies attached and inline, and a user's groups.

    A permissions boundary narrows what the policies give; it is named as the grant's condition, not evaluated.
    """
    holder_id = text(item, f"{holder}Id")
    kind: PrincipalKind = "account" if holder == "User" else "entitlement"
    boundary = (item.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn")
    held = [policy_id(where, text(one, "PolicyArn"), directory) for one in listed(item, "AttachedManagedPolicies")]
    held += [f"{holder_id}/{text(one, 'PolicyName')}" for one in listed(item, _INLINE[holder])]
    if holder == "User":
        held += [_known(directory.groups, name, "group") for name in listed(item, "GroupList")]
    return [
        Grant(
            source=where.source,
            principal_kind=kind,
            principal_id=holder_id,
            entitlement_id=entitlement,
            assignment="direct",
            condition=f"within permissions boundary {boundary}" if boundary else None,
        )
        for entitlement in dict.fromkeys(held)
    ]


def trusted_accounts(item: Item) -> set[str]:
    """Return the AWS accounts whose users or roles a role's trust policy names one by one."""
    named = (_ARN.fullmatch(trust.principal) for trust in _trusts(item) if trust.kind == "AWS")
    return {match[2] for match in named if match and match[3] != "root"}


def trust_grants(
    where: Where, item: Item, directories: Mapping[str, Directory], unread: Collection[str] = ()
) -> tuple[list[Grant], list[Gap]]:
    """Return who may assume a role, of the users and roles that are read.

    Whole accounts, services, identity providers and principals of other accounts give no row: who stands behind them
    is not known here; the role's description names them. ``unread`` are accounts that are configured and could not
    be read: what a trust policy grants to them is a gap.
    """
    role = text(item, "RoleId")
    found: dict[tuple[PrincipalKind, str], list[str | None]] = {}
    gaps: list[Gap] = []
    for trust in _trusts(item):
        match = _ARN.fullmatch(trust.principal) if trust.kind == "AWS" else None
        if match is None:
            continue
        if match[2] in unread:
            gaps.append(
                Gap("grants", text(item, "Arn"), f"{trust.principal} is trusted, and its account could not be read")
            )
        directory = directories.get(match[2])
        principal = None if directory is None else _principal(trust.principal, match[3], directory)
        if principal is not None:
            found.setdefault(principal, []).append(trust.condition)
    return [
        Grant(
            source=where.source,
            principal_kind=kind,
            principal_id=principal_id,
            entitlement_id=role,
            assignment="eligible",
            condition=None if None in conditions else " or ".join(dict.fromkeys(c for c in conditions if c)),
        )
        for (kind, principal_id), conditions in found.items()
    ], gaps


def _principal(arn: str, resource: str, directory: Directory) -> tuple[PrincipalKind, str] | None:
    """Find a principal by its ARN; None where it does not exist (any more)."""
    if resource.startswith("user/"):
        user = directory.users.get(arn)
        return None if user is None else ("account", user)
    if resource.startswith("assumed-role/"):
        role = directory.role_names.get(resource.split("/")[1])
    else:
        role = directory.roles.get(arn)
    return None if role is None else ("entitlement", role)


def _trust_text(arn: str, item: Item) -> tuple[str, list[Gap]]:
    try:
        named = list(_trusts(item))
        narrowed = policies.denies(item.get("AssumeRolePolicyDocument"))
    except ValueError as error:
        return f"{arn}; its trust policy could not be read", [Gap("entitlements", arn, f"trust policy: {error}")]
    said = "; ".join(dict.fromkeys(_said(one) for one in named)) or "nobody"
    return f"{arn}; trusts {said}" + ("; a Deny statement narrows this" if narrowed else ""), []


def _said(trust: policies.Trust) -> str:
    if trust.kind == "Service":
        who = f"the service {trust.principal}"
    elif trust.kind == "Federated":
        who = f"the identity provider {trust.principal}"
    elif trust.kind != "AWS":
        who = f"{trust.kind} {trust.principal}"
    elif trust.principal == "*":
        who = "everyone"
    elif _ACCOUNT.fullmatch(trust.principal) or trust.principal.endswith(":root"):
        found = _ACCOUNT.search(trust.principal)
        who = f"the whole AWS account {found[0] if found else trust.principal}"
    elif _UNIQUE_ID.fullmatch(trust.principal):
        who = f"the deleted user or role {trust.principal}"
    else:
        who = trust.principal
    return f"{who} if {trust.condition}" if trust.condition else who


def _policy(
    where: Where, entitlement_id: str, name: str, arn: str, *, description: object, document: Any
) -> tuple[Entitlement, list[Gap]]:
    privileged: bool | None = policies.matches(where.settings.privileged_policies, name, arn)
    gaps: list[Gap] = []
    if not privileged:
        try:
            privileged = None if document is None else policies.is_administrative(document)
        except ValueError as error:
            privileged = None
            gaps.append(Gap("entitlements", f"{name} ({arn})", f"the policy document could not be understood: {error}"))
    row = Entitlement(
        source=where.source,
        entitlement_id=entitlement_id,
        kind="policy",
        name=name,
        description=f"{arn}; {description}" if description else arn,
        privileged=privileged,
        environment=where.environment,
    )
    return row, gaps


def _held(item: Item, privileged: Mapping[str, bool | None], settings: Settings) -> bool | None:
    arn = text(item, "PolicyArn")
    if policies.matches(settings.privileged_policies, text(item, "PolicyName"), arn):
        return True
    return privileged.get(arn)


def _owner(item: Item, settings: Settings) -> str | None:
    for tag in item.get("Tags") or ():
        if str(tag.get("Key", "")).casefold() == settings.owner_tag.casefold():
            return str(tag.get("Value", "")) or None
    return None


def _trusts(item: Item) -> Iterator[policies.Trust]:
    return policies.trusts(item.get("AssumeRolePolicyDocument"))


def _known(ids: Mapping[str, str], name: str, what: str) -> str:
    if name not in ids:
        raise Unreachable(
            f"the {what} {name} appeared in AWS while it was read", advice="Run again in a quiet hour.", restart=True
        )
    return ids[name]

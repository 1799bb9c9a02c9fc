"""Users and service principals, as Graph sends them, to accounts. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from reconciler.sdk.records import Account, AccountKind, AccountStatus

from .shapes import ServicePrincipal, User, utc

_EXTERNAL = "#ext#"
_MICROSOFT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
"""The tenant in which Microsoft registers the applications of its own services."""
_KEPT = (
    "userType",
    "employeeType",
    "creationType",
    "externalUserState",
    "passwordPolicies",
    "otherMails",
    "proxyAddresses",
    "onPremisesSyncEnabled",
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesUserPrincipalName",
    "onPremisesSecurityIdentifier",
    "onPremisesLastSyncDateTime",
    "signInSessionsValidFromDateTime",
    "identityParentId",
)
"""Properties of a user that ``attributes`` holds where they have a value."""
SUCCESSFUL = "signInActivity.lastSuccessfulSignInDateTime; lags up to 24 hours"
ATTEMPTED = "signInActivity: latest interactive or non-interactive attempt, successful or not; lags up to 24 hours"
_AGENTS = frozenset({"#microsoft.graph.agentIdentity", "#microsoft.graph.agentUser"})
_encode = msgspec.json.Encoder().encode
_NAMES = {one.encode_name: one.name for one in msgspec.structs.fields(User)}
_PAIRS = tuple((name, _NAMES[name]) for name in _KEPT)


def user_account(source: str, user: User, extra: Sequence[str] = (), *, deleted: bool = False) -> Account:
    """Map a user; ``extra`` names further properties to keep, ``deleted`` says that it came from the deleted items."""
    name = login_of(user, deleted=deleted)
    home = home_address(name)
    status = user_status(user, deleted=deleted)
    last, basis = _last_sign_in(user)
    return Account(
        source=source,
        account_id=user.id,
        login=name,
        display_name=user.display_name,
        email=user.mail or home,
        employee_id=user.employee_id or None,
        kind=user_kind(user),
        raw_status=raw_status(user, deleted=deleted),
        status=status,
        can_sign_in=False if deleted else user.account_enabled,
        created_at=utc(user.created_date_time),
        last_sign_in_at=last,
        last_sign_in_basis=basis,
        password_changed_at=utc(user.last_password_change_date_time),
        deleted_at=utc(user.deleted_date_time) if deleted else None,
        manager_ref=user.manager.id if user.manager is not None else None,
        owner_ref=user.identity_parent_id,
        department=user.department,
        company=user.company_name,
        title=user.job_title,
        attributes=_attributes(user, extra, home),
    )


def user_status(user: User, *, deleted: bool) -> AccountStatus | None:
    """Return the status; an invitation that was not taken up yet is staged."""
    if deleted:
        return "deleted"
    if user.account_enabled is None:
        return None
    if not user.account_enabled:
        return "disabled"
    return "staged" if user.external_user_state == "PendingAcceptance" else "enabled"


def raw_status(user: User, *, deleted: bool) -> str | None:
    """Return the state in Graph's own words; None where it said nothing of it."""
    said = ["in deletedItems"] if deleted else []
    if user.account_enabled is not None:
        said.append(f"accountEnabled={str(user.account_enabled).lower()}")
    if user.external_user_state is not None:
        said.append(f"externalUserState={user.external_user_state}")
    return "; ".join(said) or None


def user_kind(user: User) -> AccountKind | None:
    """Return what uses the account, as far as Graph says; a user type that is not known stays unknown."""
    if user.type in _AGENTS or user.identity_parent_id is not None:
        return "agent"
    if user.is_resource_account:
        return "shared"
    if user.user_type is not None:
        found: AccountKind | None = {"Guest": "guest", "Member": "human"}.get(user.user_type)  # type: ignore[assignment]
        return found or "unknown"
    return "guest" if user.user_principal_name and _EXTERNAL in user.user_principal_name.lower() else None


def login_of(user: User, *, deleted: bool) -> str | None:
    """Return the name that a user signs in with; deletion puts the id without hyphens before it, which is left out."""
    name = user.user_principal_name
    if not deleted or name is None:
        return name
    mark = user.id.replace("-", "")
    return name[len(mark) :] if name.lower().startswith(mark.lower()) else name


def home_address(name: str | None) -> str | None:
    """Return a guest's address at home: ``ada_home.test#EXT#@host.test`` is ada@home.test; None for everybody else."""
    local, mark, _ = (name or "").lower().partition(_EXTERNAL)
    # No domain has an underscore in it, and each has a dot: what else is there is no address.
    user, _, domain = local.rpartition("_")
    return f"{user}@{domain}" if mark and user and "." in domain.strip(".") else None


def is_microsofts(item: ServicePrincipal) -> bool:
    """Return whether a service principal is one of Microsoft's own services, of which every tenant has hundreds."""
    return item.service_principal_type != "ManagedIdentity" and item.app_owner_organization_id == _MICROSOFT


def service_account(source: str, item: ServicePrincipal, owner: str | None = None, *, deleted: bool = False) -> Account:
    """Map a service principal: an application, a managed identity, or an agent; ``owner`` is one of its owners."""
    status, can_sign_in = service_status(item, deleted=deleted)
    said = ["in deletedItems"] if deleted else []
    if item.account_enabled is not None:
        said.append(f"accountEnabled={str(item.account_enabled).lower()}")
    if item.disabled_by_microsoft_status is not None:
        said.append(f"disabledByMicrosoftStatus={item.disabled_by_microsoft_status}")
    kept = {
        "appId": item.app_id,
        "servicePrincipalType": item.service_principal_type,
        "appOwnerOrganizationId": item.app_owner_organization_id,
        "appRoleAssignmentRequired": item.app_role_assignment_required,
        "alternativeNames": item.alternative_names or None,
    }
    return Account(
        source=source,
        account_id=item.id,
        login=item.app_id,
        display_name=item.display_name,
        kind="agent" if item.type in _AGENTS else "service",
        raw_status="; ".join(said) or None,
        status=status,
        can_sign_in=can_sign_in,
        created_at=utc(item.created_date_time),
        deleted_at=utc(item.deleted_date_time) if deleted else None,
        owner_ref=owner,
        attributes=_encode({name: value for name, value in kept.items() if value is not None}).decode(),
    )


def service_status(item: ServicePrincipal, *, deleted: bool = False) -> tuple[AccountStatus | None, bool | None]:
    """Return the status and whether it can be used; what Microsoft itself stopped is suspended."""
    if deleted:
        return "deleted", False
    if item.disabled_by_microsoft_status not in {None, "NotDisabled"}:
        return "suspended", False
    if item.account_enabled is None:
        return None, None
    return ("enabled", True) if item.account_enabled else ("disabled", False)


def _last_sign_in(user: User) -> tuple[datetime | None, str | None]:
    """Return the last sign-in and what that figure is; both are None where Graph gave no activity."""
    activity = user.sign_in_activity
    if activity is None:
        return None, None
    successful = utc(activity.last_successful_sign_in_date_time)
    if successful is not None:
        return successful, SUCCESSFUL
    tried = [utc(activity.last_sign_in_date_time), utc(activity.last_non_interactive_sign_in_date_time)]
    known = [moment for moment in tried if moment is not None]
    return (max(known), ATTEMPTED) if known else (None, None)


def _attributes(user: User, extra: Sequence[str], home: str | None) -> str | None:
    kept = {}
    for name, attribute in _PAIRS:
        value = getattr(user, attribute)
        if value is not None and value != []:
            kept[name] = value
    for name in extra:
        value = getattr(user, name, None)
        if value is not None:
            kept[name] = value
    if home is not None:
        kept["homeAddress"] = home
    return _encode(kept).decode() if kept else None

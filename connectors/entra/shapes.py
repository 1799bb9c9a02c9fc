"""The parts of Graph's objects that are used, decoded straight from the bytes of a page.

Names are the API's own in camel case. Absent and null are the same: the source did not say. An object in which one
value has another type than documented is read value by value, keeps what can be read, and the value is reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import Misbehaved

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_FIRST_YEAR = 1900
"""Graph writes 0001-01-01 where something never happened."""


class Object(Struct, rename="camel", gc=False):
    """Anything with an id; ``type`` says which kind it is where a collection holds several."""

    id: str
    type: str | None = field(name="@odata.type", default=None)


class Ref(Object, gc=False):
    """Another object, by its id alone."""


class SignInActivity(Struct, rename="camel", gc=False):
    """When somebody signed in last, to Microsoft's knowledge some hours ago."""

    last_sign_in_date_time: Instant | None = None
    last_non_interactive_sign_in_date_time: Instant | None = None
    last_successful_sign_in_date_time: Instant | None = None


class User(Object, gc=False):
    """A user, guest or deleted user."""

    user_principal_name: str | None = None
    display_name: str | None = None
    mail: str | None = None
    other_mails: list[str] | None = None
    proxy_addresses: list[str] | None = None
    employee_id: str | None = None
    employee_type: str | None = None
    account_enabled: bool | None = None
    user_type: str | None = None
    creation_type: str | None = None
    external_user_state: str | None = None
    created_date_time: Instant | None = None
    deleted_date_time: Instant | None = None
    last_password_change_date_time: Instant | None = None
    sign_in_sessions_valid_from_date_time: Instant | None = None
    password_policies: str | None = None
    department: str | None = None
    company_name: str | None = None
    job_title: str | None = None
    is_resource_account: bool | None = None
    identity_parent_id: str | None = None
    on_premises_sync_enabled: bool | None = None
    on_premises_immutable_id: str | None = None
    on_premises_sam_account_name: str | None = None
    on_premises_distinguished_name: str | None = None
    on_premises_domain_name: str | None = None
    on_premises_user_principal_name: str | None = None
    on_premises_security_identifier: str | None = None
    on_premises_last_sync_date_time: Instant | None = None
    sign_in_activity: SignInActivity | None = None
    manager: Ref | None = None


class PasswordCredential(Struct, rename="camel", gc=False):
    """A client secret, without the secret."""

    key_id: str
    display_name: str | None = None
    start_date_time: Instant | None = None
    end_date_time: Instant | None = None


class KeyCredential(Struct, rename="camel", gc=False):
    """A certificate or key, without its private half."""

    key_id: str
    display_name: str | None = None
    start_date_time: Instant | None = None
    end_date_time: Instant | None = None
    usage: str | None = None
    type: str | None = None


class AppRole(Struct, rename="camel", gc=False):
    """A role that an application defines."""

    id: str
    display_name: str | None = None
    description: str | None = None
    value: str | None = None
    is_enabled: bool | None = None


class Scope(Struct, rename="camel", gc=False):
    """A delegated permission that an application defines."""

    id: str
    admin_consent_display_name: str | None = None
    admin_consent_description: str | None = None
    value: str | None = None
    is_enabled: bool | None = None


class ServicePrincipal(Object, gc=False):
    """An application, managed identity or agent as it exists in this tenant."""

    app_id: str | None = None
    display_name: str | None = None
    account_enabled: bool | None = None
    disabled_by_microsoft_status: str | None = None
    service_principal_type: str | None = None
    app_owner_organization_id: str | None = None
    app_role_assignment_required: bool | None = None
    alternative_names: list[str] | None = None
    created_date_time: Instant | None = None
    deleted_date_time: Instant | None = None
    app_roles: list[AppRole] | None = None
    oauth2_permission_scopes: list[Scope] | None = field(name="oauth2PermissionScopes", default=None)
    password_credentials: list[PasswordCredential] | None = None
    key_credentials: list[KeyCredential] | None = None


class Application(Object, gc=False):
    """An application's registration."""

    app_id: str | None = None
    display_name: str | None = None
    password_credentials: list[PasswordCredential] | None = None
    key_credentials: list[KeyCredential] | None = None


class Group(Object, gc=False):
    """A group; ``group_types`` holds DynamicMembership where a rule makes its members."""

    display_name: str | None = None
    description: str | None = None
    group_types: list[str] | None = None
    is_assignable_to_role: bool | None = None
    security_enabled: bool | None = None
    visibility: str | None = None
    membership_rule: str | None = None
    membership_rule_processing_state: str | None = None
    on_premises_sync_enabled: bool | None = None


class RoleDefinition(Object, gc=False):
    """A directory role, built in or custom; ``is_privileged`` is beta's, and read where it comes."""

    display_name: str | None = None
    description: str | None = None
    is_built_in: bool | None = None
    is_enabled: bool | None = None
    template_id: str | None = None
    is_privileged: bool | None = None


class RoleAssignment(Object, gc=False):
    """A directory role held, or held for a time, or that may be activated."""

    principal_id: str | None = None
    role_definition_id: str | None = None
    directory_scope_id: str | None = None
    app_scope_id: str | None = None
    condition: str | None = None
    principal: Ref | None = None
    assignment_type: str | None = None
    member_type: str | None = None
    role_assignment_origin_id: str | None = None
    start_date_time: Instant | None = None
    end_date_time: Instant | UnsetType | None = UNSET
    """None: it has no end; ``UNSET``: the source did not say."""


class GroupEligibility(Object, gc=False):
    """A membership or ownership of a group that may be activated."""

    principal_id: str | None = None
    group_id: str | None = None
    access_id: str | None = None
    member_type: str | None = None
    start_date_time: Instant | None = None
    end_date_time: Instant | None = None
    principal: Ref | None = None


class AppRoleAssignment(Object, gc=False):
    """An application's role held by a user, group or service principal."""

    app_role_id: str | None = None
    created_date_time: Instant | None = None
    principal_id: str | None = None
    principal_type: str | None = None
    resource_id: str | None = None


class Consent(Object, gc=False):
    """Delegated permissions: a client may act on a resource for one user, or for everybody."""

    client_id: str | None = None
    consent_type: str | None = None
    principal_id: str | None = None
    resource_id: str | None = None
    scope: str | None = None


class Method(Object, gc=False):
    """A registered authentication method; its type tells which."""

    created_date_time: Instant | None = None
    start_date_time: Instant | None = None
    lifetime_in_minutes: int | None = None
    is_usable: bool | None = None
    last_used_date_time: Instant | None = None


class Who(Struct, rename="camel", gc=False):
    """A user or application that did something."""

    id: str | None = None
    service_principal_id: str | None = None
    app_id: str | None = None
    user_principal_name: str | None = None


class Initiator(Struct, rename="camel", gc=False):
    """Who did it: one of the two."""

    user: Who | None = None
    app: Who | None = None


class Property(Struct, rename="camel", gc=False):
    """A property that an event changed; values are JSON texts."""

    display_name: str | None = None
    new_value: str | None = None
    old_value: str | None = None


class Target(Struct, rename="camel", gc=False):
    """What an event was done to."""

    id: str | None = None
    type: str | None = None
    modified_properties: list[Property] | None = None


class DirectoryAudit(Object, gc=False):
    """A change in the directory."""

    activity_date_time: Instant | None = None
    activity_display_name: str | None = None
    category: str | None = None
    operation_type: str | None = None
    result: str | None = None
    initiated_by: Initiator | None = None
    target_resources: list[Target] | None = None


class SignInStatus(Struct, rename="camel", gc=False):
    """Why a sign-in failed; 0 is success."""

    error_code: int | None = None
    failure_reason: str | None = None


class SignIn(Object, gc=False):
    """A sign-in."""

    created_date_time: Instant | None = None
    user_id: str | None = None
    service_principal_id: str | None = None
    app_id: str | None = None
    resource_id: str | None = None
    status: SignInStatus | None = None


T = TypeVar("T", bound=Object)


class _Page(Struct, Generic[T]):
    value: list[T]
    link: str | None = field(name="@odata.nextLink", default=None)
    count: int | None = field(name="@odata.count", default=None)


class _RawPage(Struct):
    value: list[Raw]
    link: str | UnsetType | None = field(name="@odata.nextLink", default=UNSET)
    count: int | None = field(name="@odata.count", default=None)


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that has another type than documented, in which object."""

    subject: str
    reason: str


@dataclass(frozen=True, slots=True)
class Items(Generic[T]):
    """One page of a collection; ``link`` None is its end, ``count`` None where it was not counted."""

    value: list[T]
    link: str | None
    count: int | None
    problems: Sequence[Problem] = ()


class Shape(Generic[T]):
    """Decodes pages, single objects and raw pages of one kind of object."""

    def __init__(self, kind: type[T]) -> None:
        self.kind = kind
        self._page = msgspec.json.Decoder(_Page[kind])  # type: ignore[valid-type] # a type made at run time
        self._one = msgspec.json.Decoder(kind)

    def page(self, body: bytes, where: str) -> Items[T]:
        """Decode a page; raises ``Misbehaved`` where it is no page at all."""
        try:
            page = self._page.decode(body)
        except msgspec.ValidationError:
            return self._leniently(body, where)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(error, where) from None
        return Items(page.value, page.link, page.count)

    def one(self, body: bytes, where: str) -> tuple[T, Sequence[Problem]]:
        """Decode one object; raises ``Misbehaved`` where it has no id."""
        try:
            return self._one.decode(body), ()
        except msgspec.ValidationError:
            return self._rescue(body, where)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise malformed(error, where) from None

    def raw(self, body: bytes, where: str) -> tuple[list[tuple[T, bytes]], Items[T]]:
        """Decode a page with each object's own bytes beside it, for their digest."""
        page = _raw_page(body, where)
        found: list[tuple[T, bytes]] = []
        problems: list[Problem] = []
        for raw in page.value:
            item, wrong = self.one(bytes(raw), where)
            found.append((item, bytes(raw)))
            problems += wrong
        return found, Items([item for item, _ in found], page.link or None, page.count, problems)

    def _leniently(self, body: bytes, where: str) -> Items[T]:
        page = _raw_page(body, where)
        value: list[T] = []
        problems: list[Problem] = []
        for raw in page.value:
            item, wrong = self.one(bytes(raw), where)
            value.append(item)
            problems += wrong
        return Items(value, page.link or None, page.count, problems)

    def _rescue(self, body: bytes, where: str) -> tuple[T, list[Problem]]:
        """Read an object value by value; what has the wrong type becomes unknown and is named."""
        given = msgspec.json.decode(body)
        subject = given.get("id") if isinstance(given, dict) else None
        if not isinstance(subject, str) or not subject:
            raise Misbehaved(f"{where}: an object without an id", advice="The interface differs from the one known.")
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        for one in msgspec.structs.fields(self.kind):
            if given.get(one.encode_name) is None:
                continue
            try:
                values[one.name] = msgspec.convert(given[one.encode_name], one.type)
            except msgspec.ValidationError as error:
                problems.append(Problem(subject, f"{one.encode_name} is not what Graph documents: {clean(str(error))}"))
        return self.kind(**values), problems


def malformed(error: Exception, where: str) -> Misbehaved:
    """Return the error of an answer that is no whole JSON."""
    return Misbehaved(
        f"{where}: malformed JSON: {clean(str(error))}", advice="Try again; if it stays, check any proxy on the way."
    )


def utc(moment: datetime | UnsetType | None) -> datetime | None:
    """Return an instant in UTC; None where it is unknown or Graph's way of writing "never"."""
    if not isinstance(moment, datetime) or moment.year < _FIRST_YEAR:
        return None
    return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


def _raw_page(body: bytes, where: str) -> _RawPage:
    try:
        page = msgspec.json.decode(body, type=_RawPage)
    except msgspec.ValidationError as error:
        raise Misbehaved(
            f"{where}: the answer is no page: {clean(str(error))}",
            advice="The interface differs from the one this connector knows; check endpoint_url.",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(error, where) from None
    return page

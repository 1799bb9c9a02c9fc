"""The endpoints of IAM Identity Center and its identity store; one method is one page or one object.

Every call waits for its turn: AWS allows 20 a second for everybody together, and raises that for nobody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import msgspec

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Misbehaved, Refused
from reconciler.sdk.pace import Pacer

from .center_types import ENTERPRISE, Assignment, Group, Membership, PermissionSet, SetDetail, User
from .connection import Calls, Connection, Reach
from .json_api import JsonApi, Run, typed
from .paging import fields_of
from .settings import Settings

MISSING = frozenset({"ResourceNotFoundException"})
PrincipalType = Literal["USER", "GROUP"]
T = TypeVar("T")
_SIZE = 100


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """An instance of Identity Center."""

    InstanceArn: str
    IdentityStoreId: str
    OwnerAccountId: str | None = None
    Status: str | None = None


class _Policy(msgspec.Struct, frozen=True):
    Name: str
    Arn: str


class _Reference(msgspec.Struct, frozen=True):
    Name: str
    Path: str | None = None


class _Inline(msgspec.Struct, frozen=True):
    InlinePolicy: str | None = None


@dataclass(frozen=True, slots=True)
class Rows(Generic[T]):
    """One page of typed objects."""

    items: Sequence[T]
    token: str | None
    gaps: Sequence[Gap] = ()


class CenterClient:
    """One instance of Identity Center."""

    def __init__(self, connection: Connection, settings: Settings, run: Run, account_id: str) -> None:
        """Open nothing yet; ``account_id`` is the caller's own, for where no role is configured."""
        wanted = settings.identity_center
        if wanted is None:
            message = "identity_center is not configured"
            raise ValueError(message)
        role = wanted.role_arn
        self.reach = Reach(role.split(":")[4] if role else account_id, role, wanted.external_id)
        self.region = wanted.region or settings.region
        self.connection = connection
        self._wanted = wanted
        self._size = min(settings.page_size, _SIZE)
        pacer = Pacer(concurrency=settings.parallel_calls, per_second=wanted.calls_per_second)
        self._admin, self._store = (
            JsonApi(Calls(connection, self.reach, service, self.region, raw=True), run, pacer, "identity center")
            for service in ("sso-admin", "identitystore")
        )
        self._lock = asyncio.Lock()
        self._instance: Instance | None = None

    async def instance(self) -> Instance:
        """Return the instance to read: the configured one, or the only one there is."""
        async with self._lock:
            if self._instance is None:
                self._instance = await self._discover()
            return self._instance

    async def users(self, token: str | None, size: int | None = None) -> Rows[User]:
        """Return one page of the identity store's users."""
        extra = {"Extensions": [ENTERPRISE]} if self._wanted.enterprise_attributes else {}
        page = await self._store.page(
            "ListUsers", "Users", size=size or self._size, token=token, **await self._in_store(), **extra
        )
        users, gaps = typed(page.items, User, "accounts", "a user")
        return Rows(users, page.token, gaps)

    async def users_named(self, login: str) -> Sequence[User]:
        """Return the user of that user name, as a list."""
        wanted = [{"AttributePath": "UserName", "AttributeValue": login}]
        items = await self._store.every("ListUsers", "Users", size=self._size, **await self._in_store(), Filters=wanted)
        return typed(items, User, "accounts", "a user")[0]

    async def user(self, user_id: str) -> tuple[User, bytes] | None:
        """Return a user and the answer he came in; None where the identity store says that he does not exist."""
        extra = {"Extensions": [ENTERPRISE]} if self._wanted.enterprise_attributes else {}
        body = await self._store.ask("DescribeUser", absent=MISSING, **await self._in_store(), UserId=user_id, **extra)
        if body is None:
            return None
        fields_of(body, self._store.named("DescribeUser"))
        (user,), _ = typed([msgspec.Raw(body)], User, "accounts", "a user")
        if user.UserId != user_id:
            raise Misbehaved(f"{self._store.named('DescribeUser')} gave another user than it was asked for")
        return user, body

    async def user_id(self, identifier: Mapping[str, Any]) -> str | None:
        """Return the id behind an alternate identifier, None where nobody has it."""
        body = await self._store.ask(
            "GetUserId", absent=MISSING, **await self._in_store(), AlternateIdentifier=identifier
        )
        if body is None:
            return None
        fields = fields_of(body, self._store.named("GetUserId"))
        return str(msgspec.json.decode(fields["UserId"])) if "UserId" in fields else None

    async def groups(self, token: str | None, size: int | None = None) -> Rows[Group]:
        """Return one page of groups."""
        page = await self._store.page(
            "ListGroups", "Groups", size=size or self._size, token=token, **await self._in_store()
        )
        groups, gaps = typed(page.items, Group, "entitlements", "a group")
        return Rows(groups, page.token, gaps)

    async def memberships(self, group_id: str, token: str | None) -> Rows[Membership]:
        """Return one page of a group's members."""
        page = await self._store.page(
            "ListGroupMemberships",
            "GroupMemberships",
            size=self._size,
            token=token,
            **await self._in_store(),
            GroupId=group_id,
        )
        found, gaps = typed(page.items, Membership, "grants", "a membership")
        return Rows(found, page.token, gaps)

    async def permission_sets(self, token: str | None, size: int) -> Rows[str]:
        """Return one page of the ARNs of permission sets."""
        page = await self._admin.page(
            "ListPermissionSets", "PermissionSets", size=size, token=token, **await self._in_instance()
        )
        try:
            return Rows([msgspec.json.decode(item, type=str) for item in page.items], page.token)
        except msgspec.DecodeError as error:
            raise Misbehaved(f"{self._admin.named('ListPermissionSets')} gave something that is no ARN") from error

    async def permission_set(self, arn: str) -> SetDetail:
        """Return one permission set and its policies: four calls."""
        given = {**await self._in_instance(), "PermissionSetArn": arn}
        described = await self._admin.one("DescribePermissionSet", "PermissionSet", PermissionSet, **given)
        managed = await self._admin.every(
            "ListManagedPoliciesInPermissionSet", "AttachedManagedPolicies", size=_SIZE, **given
        )
        customer = await self._admin.every(
            "ListCustomerManagedPolicyReferencesInPermissionSet",
            "CustomerManagedPolicyReferences",
            size=_SIZE,
            **given,
        )
        inline = await self._admin.whole("GetInlinePolicyForPermissionSet", _Inline, **given)
        policies, _ = typed(managed, _Policy, "entitlements", "a policy")
        references, _ = typed(customer, _Reference, "entitlements", "a policy")
        return SetDetail(
            described,
            [(one.Name, one.Arn) for one in policies],
            [f"{(one.Path or '/').rstrip('/')}/{one.Name}" for one in references],
            inline.InlinePolicy or None,
        )

    async def assignments(self, kind: PrincipalType, principal_id: str, token: str | None) -> Rows[Assignment]:
        """Return one page of what a user or group is assigned, for a user with what comes through groups."""
        page = await self._admin.page(
            "ListAccountAssignmentsForPrincipal",
            "AccountAssignments",
            size=_SIZE,
            token=token,
            **await self._in_instance(),
            PrincipalType=kind,
            PrincipalId=principal_id,
        )
        found, gaps = typed(page.items, Assignment, "grants", "an assignment")
        return Rows(found, page.token, gaps)

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        self._admin.calls.close()
        self._store.calls.close()

    async def _discover(self) -> Instance:
        raw = await self._admin.every("ListInstances", "Instances", size=10)
        found, _ = typed(raw, Instance, "", "an instance of Identity Center")
        wanted = self._wanted.instance_arn
        chosen = [one for one in found if wanted in {None, one.InstanceArn}]
        if len(chosen) == 1:
            return chosen[0]
        if not chosen:
            told = f"no instance {wanted}" if wanted else "no instance"
            raise Refused(
                f"{told} of IAM Identity Center is to be seen in {self.region} from AWS account "
                f"{self.reach.account_id}",
                advice="Set identity_center.region to the instance's region, and read from the management or the "
                "delegated administrator's account (identity_center.role_arn).",
            )
        raise Refused(
            f"{len(chosen)} instances of IAM Identity Center are to be seen in {self.region}",
            advice="Set identity_center.instance_arn to one of: " + ", ".join(one.InstanceArn for one in chosen),
        )

    async def _in_store(self) -> dict[str, str]:
        return {"IdentityStoreId": (await self.instance()).IdentityStoreId}

    async def _in_instance(self) -> dict[str, str]:
        return {"InstanceArn": (await self.instance()).InstanceArn}

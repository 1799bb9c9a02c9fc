"""Try one cheap call of every kind, to say before a pull which permissions are missing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Refused, SourceError

from . import center
from .center_client import CenterClient
from .client import IamClient
from .failures import NotOffered

Place = tuple[str, str]
"""A table and a partition of it."""
_ALL = ("accounts", "entitlements", "grants", "credentials")
_ACCESS = ("entitlements", "grants")


def check_account(client: IamClient, *, last_accessed: bool = False) -> list[Gap]:
    """Return a gap per permission that this account's credentials lack, and table that needs it; no table: all do.

    What is asked user by user is tried with the first user only: a policy that tells users apart shows in the pull.
    Raises ``Refused`` where the credentials themselves are refused.
    """
    gaps: list[Gap] = []
    for tables, call in _calls(client, last_accessed=last_accessed):
        try:
            call()
        except Refused as refused:
            if not refused.missing_permission.startswith("iam:"):
                raise  # the account is shut as a whole, as where its role may not be assumed: no call will do better
            about = [""] if tables is _ALL else tables
            gaps.extend(account_gap(table, client.account_id, refused) for table in about)
        except NotOffered:
            continue  # the pull decides whether that can be believed, and says so in each account
    return gaps


def within(account_id: str, message: str) -> str:
    """Return a message without the account that it begins with: its place in the coverage says that already."""
    return message.removeprefix(f"AWS account {account_id}").lstrip(",: ")


def account_gap(table: str, account_id: str, error: SourceError) -> Gap:
    """Return the gap of one account, whose id is its partition; an empty ``table`` means every table."""
    return Gap(
        table,
        account_id,
        within(account_id, error.message),
        error.missing_permission if isinstance(error, Refused) else "",
    )


def _calls(client: IamClient, *, last_accessed: bool) -> Iterator[tuple[Sequence[str], Callable[[], Any]]]:
    """Yield each call with the tables that cannot be read whole without it."""
    first: list[str] = []
    arns: list[str] = []

    def users() -> None:
        for user in client.users(None).items[:1]:
            first.append(str(user["UserName"]))
            arns.append(str(user["Arn"]))

    yield _ALL, users
    yield _ALL, client.summary
    yield _ACCESS, lambda: client.roles(None)
    yield _ACCESS, lambda: client.own_policies(None)
    yield _ACCESS, lambda: client.details("Group", None)
    yield ("entitlements",), lambda: _aws_policy(client)
    for user in first:
        yield ("accounts",), lambda: client.tags(user)  # noqa: B023 -- called before the next turn
        for read in (
            client.login_profile,
            client.access_keys,
            client.mfa_devices,
            client.ssh_keys,
            client.service_credentials,
            client.signing_certificates,
        ):
            yield ("accounts", "credentials"), lambda: read(user)  # noqa: B023 -- called before the next turn
        if last_accessed:
            yield ("accounts",), lambda: client.last_access(client.start_last_access(arns[0], "SERVICE_LEVEL"))
        yield ("credentials",), lambda: _last_used(client, user)  # noqa: B023 -- called before the next turn


def _aws_policy(client: IamClient) -> None:
    for policy in client.attached_aws_policies(None).items[:1]:
        client.policy_document(str(policy["Arn"]), str(policy["DefaultVersionId"]))


def _last_used(client: IamClient, user: str) -> None:
    for key in client.access_keys(user)[:1]:
        client.access_key_last_used(str(key["AccessKeyId"]))


async def check_center(client: CenterClient) -> list[Gap]:
    """Return a gap per permission that Identity Center's reader lacks and part of a table that needs it.

    Raises ``Refused`` where the instance itself is not to be seen, or the credentials are refused.
    """
    await client.instance()
    gaps: list[Gap] = []
    for places, call in _center_calls(client):
        try:
            await call()
        except Refused as refused:
            if not refused.missing_permission:
                raise
            gaps += [Gap(table, part, refused.message, refused.missing_permission) for table, part in places]
    return gaps


def center_gaps(error: SourceError) -> list[Gap]:
    """Return the gaps where nothing of Identity Center can be read."""
    permission = error.missing_permission if isinstance(error, Refused) else ""
    return [Gap(table, part, error.message, permission) for table, parts in center.PARTS.items() for part in parts]


def _center_calls(client: CenterClient) -> Iterator[tuple[Sequence[Place], Callable[[], Awaitable[Any]]]]:
    """Yield each call with the parts of tables that cannot be read whole without it."""
    assigned = (("entitlements", center.ASSIGNMENTS), ("grants", center.ASSIGNMENTS))
    groups: list[str] = []
    sets: list[str] = []

    async def first_group() -> None:
        groups.extend(group.GroupId for group in (await client.groups(None, 1)).items)

    async def first_set() -> None:
        sets.extend((await client.permission_sets(None, 1)).items)

    async def first_assignments() -> None:
        for user in (await client.users(None, 1)).items[:1]:
            await client.assignments("USER", user.UserId, None)

    yield (("accounts", center.USERS), *assigned), lambda: client.users(None, 1)
    memberships = ("grants", center.MEMBERSHIPS)
    yield (("entitlements", center.GROUPS), memberships, *assigned), first_group
    for group in groups[:1]:
        yield (memberships,), lambda: client.memberships(group, None)  # noqa: B023 -- called before the next turn
    yield (("entitlements", center.SETS),), first_set
    for arn in sets[:1]:
        places = (("entitlements", center.SETS), ("entitlements", center.ASSIGNMENTS))
        yield places, lambda: client.permission_set(arn)  # noqa: B023 -- called before the next turn
    yield assigned, first_assignments

"""Try one cheap call of every kind, to say before a pull which permissions are missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Refused, SourceError

from .client import IamClient
from .failures import NotOffered

_ALL = ("accounts", "entitlements", "grants", "credentials")
_ACCESS = ("entitlements", "grants")


def check_account(client: IamClient) -> list[Gap]:
    """Return a gap per permission that this account's credentials lack, and table that needs it; no table: all do.

    What is asked user by user is tried with the first user only: a policy that tells users apart shows in the pull.
    Raises ``Refused`` where the credentials themselves are refused.
    """
    gaps: list[Gap] = []
    for tables, call in _calls(client):
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


def _calls(client: IamClient) -> Iterator[tuple[Sequence[str], Callable[[], Any]]]:
    """Yield each call with the tables that cannot be read whole without it."""
    first: list[str] = []

    def users() -> None:
        first.extend(str(user["UserName"]) for user in client.users(None).items[:1])

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
        yield ("credentials",), lambda: _last_used(client, user)  # noqa: B023 -- called before the next turn


def _aws_policy(client: IamClient) -> None:
    for policy in client.attached_aws_policies(None).items[:1]:
        client.policy_document(str(policy["Arn"]), str(policy["DefaultVersionId"]))


def _last_used(client: IamClient, user: str) -> None:
    for key in client.access_keys(user)[:1]:
        client.access_key_last_used(str(key["AccessKeyId"]))

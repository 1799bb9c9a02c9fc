"""Everything about one user that AWS tells only user by user: tags and every class of credential."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from reconciler.sdk.errors import Refused

from .client import IamClient
from .failures import NotOffered
from .fields import Item

Part = Literal[
    "access_keys",
    "tags",
    "login_profile",
    "mfa_devices",
    "ssh_keys",
    "service_credentials",
    "signing_certificates",
]
SIGN_IN_PARTS: tuple[Part, ...] = (
    "login_profile",
    "access_keys",
    "ssh_keys",
    "service_credentials",
    "signing_certificates",
)
"""Parts that can prove who somebody is; the rest describe him or stand beside a proof."""


@dataclass(frozen=True, slots=True)
class Unread:
    """A part that could not be read: what it was, and what AWS said."""

    part: str
    subject: str
    refused: Refused


@dataclass(frozen=True, slots=True)
class Access:
    """When a user last called any service, and what; ``at`` None: not within the time that AWS looks back."""

    at: datetime | None
    what: str = ""


@dataclass(frozen=True, slots=True)
class UserDetail:
    """One user; ``parts`` holds None for a part that was refused, and an empty list only where AWS sent one."""

    user: Item
    parts: Mapping[Part, Sequence[Item] | None]
    last_used: Mapping[str, Item | None]
    unread: Sequence[Unread]
    not_offered: Sequence[Part] = ()
    """Parts that an AWS-compatible server says it does not have at all."""
    last_access: Access | None = None
    """Last access to any service; None where it was not asked for or could not be told."""


def read_user(client: IamClient, user: Item) -> UserDetail:
    """Read every part of one user; a refused part is kept as unread, any other failure is raised.

    The access keys come first: AWS answers "no such entity" alike for a user without a login profile and for a user
    who is gone, and only the other lists tell them apart.
    """
    name = str(user["UserName"])
    unread: list[Unread] = []
    readers: dict[Part, Callable[[str], list[Item]]] = {part: getattr(client, part) for part in get_args(Part)}
    parts: dict[Part, Sequence[Item] | None] = {}
    not_offered: list[Part] = []
    for part, read in readers.items():
        try:
            parts[part] = read(name)
        except Refused as refused:
            parts[part] = None
            unread.append(_unread(part, name, refused))
        except NotOffered:
            if part != "service_credentials":
                raise
            parts[part] = []
            not_offered.append(part)
    last_used: dict[str, Item | None] = {}
    for key in parts["access_keys"] or ():
        key_id = str(key["AccessKeyId"])
        try:
            last_used[key_id] = client.access_key_last_used(key_id)
        except Refused as refused:
            last_used[key_id] = None
            unread.append(_unread("access_key_last_used", name, refused))
    return UserDetail(user, parts, last_used, unread, not_offered)


def _unread(part: str, subject: str, refused: Refused) -> Unread:
    """Keep a missing permission; raise where the credentials themselves are refused."""
    if not refused.missing_permission:
        raise refused
    return Unread(part, subject, refused)

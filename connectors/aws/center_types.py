"""What IAM Identity Center sends, reduced to the fields that are used; the first field is the object's id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

ENTERPRISE = "aws:identitystore:enterprise"
"""The one extension that a user can be asked for with."""


class ExternalId(msgspec.Struct, frozen=True, gc=False):
    """The id that an identity provider gave."""

    Issuer: str | None = None
    Id: str | None = None


class Email(msgspec.Struct, frozen=True, gc=False):
    """One mail address of a user."""

    Value: str | None = None
    Primary: bool | None = None


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user of the identity store."""

    UserId: str
    UserName: str | None = None
    UserArn: str | None = None
    DisplayName: str | None = None
    Emails: list[Email] | None = None
    ExternalIds: list[ExternalId] | None = None
    UserType: str | None = None
    Title: str | None = None
    UserStatus: str | None = None
    CreatedAt: float | None = None
    Extensions: dict[str, Any] | None = None


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A group of the identity store."""

    GroupId: str
    DisplayName: str | None = None
    Description: str | None = None
    ExternalIds: list[ExternalId] | None = None


class MemberId(msgspec.Struct, frozen=True, gc=False):
    """Who a membership is of: today always a user."""

    UserId: str | None = None


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """A user in a group."""

    MembershipId: str
    MemberId: MemberId | None = None
    CreatedAt: float | None = None


class PermissionSet(msgspec.Struct, frozen=True, kw_only=True):
    """A permission set: what an assignment gives in an AWS account."""

    PermissionSetArn: str
    Name: str | None = None
    Description: str | None = None
    SessionDuration: str | None = None


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """A permission set in an AWS account, held by a user or group."""

    PermissionSetArn: str
    AccountId: str
    PrincipalId: str
    PrincipalType: str


@dataclass(frozen=True, slots=True)
class SetDetail:
    """A permission set with what it gives: policies of AWS's (name, ARN), customers' by name, and one inline."""

    described: PermissionSet
    managed: Sequence[tuple[str, str]]
    customer: Sequence[str]
    inline: str | None

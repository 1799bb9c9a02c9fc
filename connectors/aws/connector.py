"""Map IAM users and their credentials to estate rows. Pure: no network, no clock."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.records import Account, Credential, CredentialKind, CredentialStatus

from .details import SIGN_IN_PARTS, Part, Unread, UserDetail
from .fields import Item, instant, text
from .settings import Settings

STATUS: Mapping[str, CredentialStatus] = {"Active": "active", "Inactive": "inactive", "Expired": "expired"}
"""AWS's status of a credential -> ours; one that AWS adds later stays unknown."""
SIGN_IN_BASIS = "AWS PasswordLastUsed: console sign-in with the password only; empty: none since 20 October 2014"
ACCESS_BASIS = "AWS service last accessed (400 days kept, denied attempts too, up to four hours late)"
KEY_USE_BEGAN = datetime(2015, 4, 22, tzinfo=UTC)
"""Since when IAM keeps the last use of access keys (IAM API reference, AccessKeyLastUsed)."""
ROOT_SIGN_IN_BASIS = "AWS reports no last sign-in of the root user"
_NAMED_IN_GAP = 5


def account_row(
    source: str, aws_account: str, account_name: str | None, detail: UserDetail, settings: Settings
) -> Account:
    """Return the account of one IAM user."""
    user = detail.user
    tags = detail.parts["tags"]
    kept = {text(tag, "Key"): str(tag.get("Value", "")) for tag in tags or ()}
    mfa = detail.parts["mfa_devices"]
    used, basis = last_use(detail)
    wanted = {name: value for name in settings.attribute_tags if (value := tag_value(kept, name)) is not None}
    attributes = {
        "arn": text(user, "Arn"),
        "aws_account": aws_account,
        "aws_account_name": account_name,
        "path": user.get("Path"),
        "tags": wanted,
        "not_offered": list(detail.not_offered),
    }
    return Account(
        source=source,
        account_id=text(user, "UserId"),
        login=text(user, "UserName"),
        display_name=tag_value(kept, settings.display_name_tag),
        email=tag_value(kept, settings.email_tag),
        employee_id=tag_value(kept, settings.employee_id_tag),
        owner_ref=tag_value(kept, settings.owner_tag),
        raw_status=raw_status(detail),
        status="enabled",
        can_sign_in=can_sign_in(detail),
        created_at=instant(user.get("CreateDate")),
        last_sign_in_at=used,
        last_sign_in_basis=basis,
        mfa_enrolled=None if mfa is None else bool(mfa),
        attributes=json.dumps({name: value for name, value in attributes.items() if value}, sort_keys=True),
    )


def last_use(detail: UserDetail) -> tuple[datetime | None, str]:
    """Return the last use of a user and what that figure is: the later of password and service access."""
    password = instant(detail.user.get("PasswordLastUsed"))
    access = detail.last_access
    if access is None or (password is not None and (access.at is None or password >= access.at)):
        return password, SIGN_IN_BASIS
    if access.at is None:
        return None, f"{ACCESS_BASIS}: none; and {SIGN_IN_BASIS}"
    return access.at, f"{ACCESS_BASIS}: {access.what}"


def root_row(source: str, aws_account: str, account_name: str | None, summary: Mapping[str, int]) -> Account:
    """Return the account of an AWS account's root user, from IAM's own counters.

    A root user without password and keys (AWS Organizations can take both away) cannot sign in; where IAM does not
    say whether there is a password, only a key proves that it can.
    """
    password = summary.get("AccountPasswordPresent")
    keys = summary.get("AccountAccessKeysPresent")
    mfa = summary.get("AccountMFAEnabled")
    if password or keys:
        usable: bool | None = True
    else:
        usable = None if password is None or keys is None else False
    attributes = {
        "arn": f"arn:aws:iam::{aws_account}:root",
        "aws_account": aws_account,
        "aws_account_name": account_name,
    }
    return Account(
        source=source,
        account_id=f"{aws_account}:root",
        login="root",
        kind="shared",
        raw_status=f"password={_said(password)} access_keys={_said(keys)}",
        status="enabled",
        can_sign_in=usable,
        last_sign_in_basis=ROOT_SIGN_IN_BASIS,
        mfa_enrolled=None if mfa is None else bool(mfa),
        attributes=json.dumps({name: value for name, value in attributes.items() if value}, sort_keys=True),
    )


def can_sign_in(detail: UserDetail) -> bool | None:
    """Say whether anything of the user proves who he is: True as soon as one thing does, None where one is unread."""
    if any(_proofs(part, detail.parts[part] or ()) for part in SIGN_IN_PARTS):
        return True
    return None if any(detail.parts[part] is None for part in SIGN_IN_PARTS) else False


def raw_status(detail: UserDetail) -> str:
    """Say what the user has, active of all, ``?`` for what could not be read; AWS has no status of its own."""
    said = []
    for part in SIGN_IN_PARTS:
        items = detail.parts[part]
        if part in detail.not_offered:
            said.append(f"{part}=not offered")
        else:
            said.append(f"{part}=?" if items is None else f"{part}={_proofs(part, items)}/{len(items)}")
    return " ".join(said)


def credential_rows(source: str, detail: UserDetail) -> Iterator[Credential]:
    """Yield every credential of one user; secrets are not part of what AWS sends, and nothing else is kept."""
    user_id = text(detail.user, "UserId")

    def row(credential_id: str, kind: CredentialKind, created: object, **more: Any) -> Credential:
        return Credential(
            source=source,
            credential_id=credential_id,
            account_id=user_id,
            kind=kind,
            created_at=instant(created),
            **more,
        )

    for profile in detail.parts["login_profile"] or ():
        yield row(
            f"{user_id}/login_profile",
            "login_profile",
            profile.get("CreateDate"),
            status="active",
            last_used_at=instant(detail.user.get("PasswordLastUsed")),
            last_used_basis=SIGN_IN_BASIS,
        )
    for key in detail.parts["access_keys"] or ():
        yield _access_key(row, key, detail)
    for device in detail.parts["mfa_devices"] or ():
        enabled = device.get("EnableDate")
        serial = text(device, "SerialNumber")
        yield row(f"{user_id}/{serial}", "mfa_factor", enabled, status="active", rotated_at=instant(enabled))
    for part, key_name, kind in (
        ("ssh_keys", "SSHPublicKeyId", "ssh_key"),
        ("signing_certificates", "CertificateId", "certificate"),
    ):
        for item in detail.parts[part] or ():  # type: ignore[index]  # mypy widens the literals of the tuple
            uploaded = item.get("UploadDate")
            yield row(
                text(item, key_name),
                kind,  # type: ignore[arg-type]  # as above
                uploaded,
                status=STATUS.get(str(item.get("Status"))),
                rotated_at=instant(uploaded),
            )
    for item in detail.parts["service_credentials"] or ():
        yield row(
            text(item, "ServiceSpecificCredentialId"),
            "service_credential",
            item.get("CreateDate"),
            status=STATUS.get(str(item.get("Status"))),
            expires_at=instant(item.get("ExpirationDate")),
        )


def account_gaps(details: Sequence[UserDetail]) -> list[Gap]:
    """Name what was refused and left a column of an account unknown.

    A refused credential list is no gap here where another credential already proves that the user can sign in.
    """
    telling = [
        unread
        for detail in details
        for unread in detail.unread
        if unread.part in {"tags", "mfa_devices", "last_access"}
        or (unread.part in SIGN_IN_PARTS and can_sign_in(detail) is None)
    ]
    return gaps("accounts", telling)


def credential_gaps(details: Sequence[UserDetail]) -> list[Gap]:
    """Name what was refused and left credentials, or their last use, unknown."""
    elsewhere = {"tags", "last_access"}
    return gaps("credentials", [one for detail in details for one in detail.unread if one.part not in elsewhere])


def gaps(table: str, unread: Iterable[Unread]) -> list[Gap]:
    """Fold what was refused for one and the same reason into one gap that names the first few objects."""
    folded: dict[tuple[str, str], list[Unread]] = {}
    for one in unread:
        folded.setdefault((one.part, one.refused.missing_permission), []).append(one)
    found = []
    for (part, permission), group in folded.items():
        names = list(dict.fromkeys(one.subject for one in group))
        more = f" and {len(names) - _NAMED_IN_GAP} more" if len(names) > _NAMED_IN_GAP else ""
        found.append(
            Gap(
                table=table,
                subject=f"{part.replace('_', ' ')} of {', '.join(names[:_NAMED_IN_GAP])}{more}",
                reason=group[0].refused.message,
                missing_permission=permission,
            )
        )
    return found


def tag_value(tags: Mapping[str, str], name: str) -> str | None:
    """Return the value of a tag: the exact name first, else the one tag that differs in case or separators only.

    Two such tags with different values say nothing: None.
    """
    if name in tags:
        return tags[name] or None
    near = {value for tag, value in tags.items() if _plain(tag) == _plain(name)}
    return near.pop() or None if len(near) == 1 else None


def _access_key(row: Any, key: Item, detail: UserDetail) -> Credential:
    key_id = text(key, "AccessKeyId")
    created = instant(key.get("CreateDate"))
    used = detail.last_used.get(key_id)
    at = None if used is None else instant(used.get("LastUsedDate"))
    if used is None:
        basis = None
    elif at is not None:
        basis = f"AWS GetAccessKeyLastUsed: {used.get('ServiceName')} in {used.get('Region')}"
    elif created is not None and created > KEY_USE_BEGAN:
        basis = "AWS GetAccessKeyLastUsed: never used"
    else:
        basis = "AWS GetAccessKeyLastUsed: not used since 22 April 2015; earlier use is not known"
    credential: Credential = row(
        key_id,
        "access_key",
        key.get("CreateDate"),
        status=STATUS.get(str(key.get("Status"))),
        rotated_at=created,
        last_used_at=at,
        last_used_basis=basis,
    )
    return credential


def _proofs(part: Part, items: Sequence[Item]) -> int:
    """Count the credentials that work; a login profile works while it exists."""
    if part == "login_profile":
        return len(items)
    return sum(1 for item in items if item.get("Status") == "Active")


def _plain(tag: str) -> str:
    return re.sub(r"[\s._:-]", "", tag).casefold()


def _said(value: int | None) -> str:
    return "?" if value is None else str(value)

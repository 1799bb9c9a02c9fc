"""The company's Active Directory, as entries for the LDAP simulator."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from tests.demo.company import FIRST_NIGHT, PRIVILEGED, Account, Company

DOMAIN = "DC=meridian,DC=example"
STAFF, SERVICES, GROUPS = f"OU=Staff,{DOMAIN}", f"OU=Services,{DOMAIN}", f"OU=Groups,{DOMAIN}"
READER, PASSWORD = f"CN=reconciler,{SERVICES}", "demo-reader"
CANARY = f"CN=canary,{SERVICES}"
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_SPACE = uuid.UUID("5f0c3b2e-7a51-4c1e-9b1f-0e6a4d9c2b77")
_ENABLED, _DISABLED = "512", "514"
_DOMAIN_USERS = 513
_FIRST_NUMBER = 1000

Entry = dict[str, list[str | bytes]]


def account_id(uid: str) -> str:
    """Return the objectGUID of an account."""
    return str(uuid.uuid5(_SPACE, f"account {uid}"))


def group_id(name: str) -> str:
    """Return the objectGUID of a group."""
    return str(uuid.uuid5(_SPACE, f"group {name}"))


def entries(company: Company) -> Mapping[str, Entry]:
    """Return the whole directory: DN -> attributes."""
    found: dict[str, Entry] = {
        DOMAIN: {"objectClass": ["top", "domainDNS"], "dc": ["meridian"]},
        **{dn: {"objectClass": ["top", "organizationalUnit"]} for dn in (STAFF, SERVICES, GROUPS)},
    }
    members: dict[str, list[str]] = {
        name: [_group_dn(one) for one in nested] for name, nested in company.groups.items()
    }
    for account in company.accounts.values():
        found[_dn(account)] = _account(account, company)
        for group in account.groups:
            members[group].append(_dn(account))
    found[f"CN=Domain Users,CN=Users,{DOMAIN}"] = {
        "objectClass": ["top", "group"],
        "cn": ["Domain Users"],
        "objectGUID": [uuid.UUID(group_id("Domain Users")).bytes_le],
        "objectSid": [_sid(_DOMAIN_USERS)],
    }
    for name, dns in members.items():
        found[_group_dn(name)] = {
            "objectClass": ["top", "group"],
            "cn": [name],
            "objectGUID": [uuid.UUID(group_id(name)).bytes_le],
            "objectSid": [_sid(_number(f"group {name}"))],
            "description": [f"Members of {name}"],
            "member": list(dns),
            **({"adminCount": ["1"]} if name in PRIVILEGED else {}),
        }
    return found


def _account(account: Account, company: Company) -> Entry:
    person = account.person
    created = FIRST_NIGHT - timedelta(days=900)
    idle = account.idle_days or 2 + len(account.uid) % 9
    entry: Entry = {
        "objectClass": ["top", "person", "organizationalPerson", "user"],
        "objectCategory": [f"CN=Person,CN=Schema,CN=Configuration,{DOMAIN}"],
        "objectGUID": [uuid.UUID(account_id(account.uid)).bytes_le],
        "objectSid": [_sid(_number(f"account {account.uid}"))],
        "primaryGroupID": [str(_DOMAIN_USERS)],
        "cn": [account.uid],
        "sAMAccountName": [account.uid],
        "userAccountControl": [_DISABLED if account.locked else _ENABLED],
        "lastLogonTimestamp": [_file_time(company.as_of - timedelta(days=idle))],
    }
    if account.certificate:
        entry["userCertificate"] = [account.certificate]
    if person is not None:
        created = datetime(person.starts_on.year, person.starts_on.month, person.starts_on.day, 7, 0, tzinfo=UTC)
        entry |= {
            "displayName": [person.name],
            "title": [person.title],
            "company": ["Meridian Instruments" if person.kind == "employee" else "External"],
            "mail": [account.mail or person.email],
        }
        if person.department:
            entry["department"] = [person.department]
        if account.numbered and person.employee_id:
            entry["employeeID"] = [person.employee_id]
    elif account.mail:
        entry["mail"] = [account.mail]
    return entry | {
        "whenCreated": [f"{created:%Y%m%d%H%M%S}.0Z"],
        "pwdLastSet": [_file_time(company.as_of - timedelta(days=20 + len(account.uid)))],
    }


def _dn(account: Account) -> str:
    return f"CN={account.uid},{STAFF if account.person else SERVICES}"


def _group_dn(name: str) -> str:
    return f"CN={name},{GROUPS}"


def _number(name: str) -> int:
    return _FIRST_NUMBER + uuid.uuid5(_SPACE, name).int % 2**30


def _sid(number: int) -> bytes:
    """Return an objectSid of the domain as the directory stores it: S-1-5-21-1-2-3-NUMBER."""
    parts = (21, 1, 2, 3, number)
    return bytes((1, len(parts))) + (5).to_bytes(6, "big") + b"".join(part.to_bytes(4, "little") for part in parts)


def _file_time(instant: datetime) -> str:
    return str((instant - _EPOCH) // timedelta(microseconds=1) * 10)

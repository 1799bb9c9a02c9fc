"""A small company as LDAP entries: people in every state, and groups of every kind."""

from __future__ import annotations

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.servers.certificates import Authority
from tests.servers.slapd import SUFFIX, Entries

PEOPLE, GROUPS, SECRET = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}", f"ou=secret,{SUFFIX}"
SSH = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFGpMJ4pmAgm1WgYyXhQcfMcBvOkvvfAfjMp9dqKC2Wc ada@laptop"

CERTIFICATE = x509.load_pem_x509_certificate(Authority("People").issue(["ada"])[0]).public_bytes(Encoding.DER)


def person(uid: str, number: int, **more: list[str | bytes]) -> dict[str, list[str | bytes]]:
    """Return the attributes of a person who may sign in on POSIX hosts."""
    entry: dict[str, list[str | bytes]] = {
        "objectClass": ["inetOrgPerson", "posixAccount", "shadowAccount", "ldapPublicKey"],
        "uid": [uid],
        "cn": [uid.capitalize()],
        "sn": [uid.capitalize()],
        "mail": [f"{uid}@acme.test"],
        "employeeNumber": [f"{number:04d}"],
        "uidNumber": [str(10_000 + number)],
        "gidNumber": ["500"],
        "homeDirectory": [f"/home/{uid}"],
        "userPassword": ["planted-secret"],
    }
    return entry | more


def group(kind: str, name: str, *members: str, **more: list[str | bytes]) -> dict[str, list[str | bytes]]:
    """Return the attributes of a group; its members go where the kind keeps them."""
    attribute = {"posixGroup": "memberUid", "groupOfUniqueNames": "uniqueMember"}.get(kind, "member")
    entry: dict[str, list[str | bytes]] = {"objectClass": [kind], "cn": [name]}
    if members:
        entry[attribute] = list(members)
    return entry | more


def company() -> Entries:
    """Return the entries below the suffix."""
    entries: dict[str, dict[str, list[str | bytes]]] = {
        dn: {"objectClass": ["organizationalUnit"], "ou": [dn.partition(",")[0][3:]]} for dn in (PEOPLE, GROUPS, SECRET)
    }
    entries[f"uid=ada,{PEOPLE}"] = person(
        "ada",
        1,
        displayName=["Ada L."],
        title=["Engineer"],
        o=["Acme BV"],
        departmentNumber=["R&D"],
        manager=[f"uid=bob,{PEOPLE}"],
        sshPublicKey=[SSH, f"{SSH} again"],
        pwdChangedTime=["20260301120000Z"],
        pwdLastSuccess=["20261120070000Z"],
        createTimestamp=["20250102030405Z"],
    )
    entries[f"uid=ada,{PEOPLE}"]["userCertificate;binary"] = [CERTIFICATE]
    entries[f"uid=ada,{PEOPLE}"]["uid"].append("a.lovelace")
    entries[f"uid=bob,{PEOPLE}"] = person("bob", 2, pwdAccountLockedTime=["20261119101112Z"])
    entries[f"uid=cyd,{PEOPLE}"] = person("cyd", 3, pwdAccountLockedTime=["000001010000Z"], shadowExpire=["20000"])
    entries[f"uid=dé\\, x,{PEOPLE}"] = person("dé, x", 4, gidNumber=["501"])
    entries[f"cn=backup,{SUFFIX}"] = {
        "objectClass": ["organizationalRole", "simpleSecurityObject"],
        "cn": ["backup"],
        "userPassword": ["planted-secret"],
    }
    entries[f"uid=eve,{SECRET}"] = person("eve", 5)
    one, two, three = (f"cn={name},{GROUPS}" for name in ("one", "two", "three"))
    # one > two > three > one: a circle three deep, with a person at each step
    entries[one] = group("groupOfNames", "one", two, f"UID=Ada,  OU=People,{SUFFIX}", owner=[f"uid=bob,{PEOPLE}"])
    entries[two] = group("groupOfNames", "two", three, f"uid=bob,{PEOPLE}", description=["second"])
    entries[three] = group("groupOfUniqueNames", "three", one, f"uid=cyd,{PEOPLE}#'0101'B")
    entries[f"cn=odd,{GROUPS}"] = group(
        "groupOfMembers", "odd", f"uid=gone,{PEOPLE}", PEOPLE, f"uid=d\\C3\\A9\\2c x,{PEOPLE}"
    )
    entries[f"cn=empty,{GROUPS}"] = group("groupOfMembers", "empty")
    entries[f"cn=unix,{GROUPS}"] = group("posixGroup", "unix", "ada", "dé, x", "nobody-here", gidNumber=["500"])
    entries[f"cn=staff,{GROUPS}"] = {
        "objectClass": ["groupOfURLs"],
        "cn": ["staff"],
        "memberURL": [f"ldap:///{PEOPLE}??sub?(|(uid=bob)(uid=cyd))"],
    }
    entries[f"cn=vault,{GROUPS}"] = group("groupOfNames", "vault", f"uid=eve,{SECRET}")
    return entries

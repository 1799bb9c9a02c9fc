"""A small domain for a real Samba: people in every state, nested groups in a circle, a managed service account."""

from __future__ import annotations

from tests.connectors.ldap.company import CERTIFICATE
from tests.servers.samba import SUFFIX, Samba

USERS = f"CN=Users,{SUFFIX}"
PEOPLE: dict[str, dict[str, object]] = {
    "ann": {
        "userAccountControl": "544",
        "mail": "ann@corp.test",
        "employeeID": "0007",
        "userPrincipalName": "ann.a@corp.test",
        "proxyAddresses": ["SMTP:ann@corp.test", "smtp:annie@old.test"],
        "manager": f"CN=ben,{USERS}",
        "department": "R&D",
        "company": "Acme BV",
        "title": "Engineer",
        "userCertificate": [CERTIFICATE],
    },
    "ben": {"userAccountControl": "546"},
    "cas": {"userAccountControl": "544", "accountExpires": "132223104000000000"},
    "dee": {"userAccountControl": "544", "accountExpires": "0"},
}


def add(samba: Samba, name: str, **given: object) -> str:
    """Add a user and return its DN."""
    administrator = samba.administrator()
    dn = f"CN={name},{USERS}"
    administrator.add(dn, "user", {"sAMAccountName": name, **given})
    administrator.unbind()
    return dn


def delete(samba: Samba, dn: str) -> None:
    """Delete an entry."""
    administrator = samba.administrator()
    administrator.delete(dn)
    administrator.unbind()


def populate(samba: Samba) -> None:
    """Fill the domain."""
    administrator = samba.administrator()
    for name in ("ben", "ann", "cas", "dee"):
        administrator.add(f"CN={name},{USERS}", "user", {"sAMAccountName": name, **PEOPLE[name]})
    one, two, three = (f"CN={name},{USERS}" for name in ("one", "two", "three"))
    for dn in (one, two, three):
        administrator.add(dn, "group", {"sAMAccountName": dn[3:].partition(",")[0]})
    for dn, members in (
        (one, [two, f"CN=ann,{USERS}"]),
        (two, [three, f"CN=ben,{USERS}"]),
        (three, [one, f"CN=cas,{USERS}"]),
    ):
        administrator.modify(dn, {"member": [("MODIFY_ADD", members)]})
    administrator.search(three, "(objectClass=*)", "BASE", attributes=["objectSid"])
    number = int.from_bytes(administrator.response[0]["raw_attributes"]["objectSid"][0][-4:], "little")
    administrator.modify(f"CN=cas,{USERS}", {"primaryGroupID": [("MODIFY_REPLACE", [str(number)])]})
    service = {"sAMAccountName": "svc$", "msDS-ManagedPasswordInterval": "30", "dNSHostName": "svc.corp.test"}
    above = f"CN=Managed Service Accounts,{SUFFIX}"
    administrator.add(f"CN=svc,{above}", "msDS-GroupManagedServiceAccount", service | {"userAccountControl": "4096"})
    administrator.unbind()

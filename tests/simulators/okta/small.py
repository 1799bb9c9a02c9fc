"""A small org with every kind of object: each user state, each group type, people, services and administrators."""

from __future__ import annotations

from datetime import timedelta
from math import inf
from typing import Any

from reconciler.clock import now
from tests.simulators.okta import shapes
from tests.simulators.okta.org import Org
from tests.simulators.okta.rows import Row
from tests.simulators.okta.server import ADMIN

STATES = ("STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED")
SECRET = "planted-client-secret-Zk3vQ"
"""A secret that the API hands out in clear, and that nobody may write down."""


def uid(name: str) -> str:
    """Return the id of the user called ``name``."""
    return f"00u1sim{name:0<13.13}"


def small_org(*, search_lag: float = 0.0) -> Org:
    """Return an org of some twenty people, in memory."""
    org = Org(search_lag=inf if search_lag else 0.0)
    _people(org)
    _groups(org)
    _apps(org)
    _credentials(org)
    _administrators(org)
    _events(org)
    org.search_lag = search_lag
    org.reindex()
    return org


def _people(org: Org) -> None:
    def add(name: str, **fields: Any) -> None:
        profile: Row = {"employeeNumber": str(1000 + len(org.rows["users"])), "department": "Engineering"}
        profile |= fields.pop("profile", {})
        org.put("users", shapes.user(uid(name), f"{name}@example.test", first=name.title(), profile=profile, **fields))

    org.put("users", shapes.user(ADMIN, "admin@example.test", first="Root", last_login=shapes.day(1800)))
    for state in STATES:
        add(state.lower().replace("_", "."), status=state)
    add("leaving", status="ACTIVE", transitioningToStatus="DEPROVISIONED")
    add("ann", last_login=shapes.day(1799), profile={"manager": "Root Okt", "managerId": ADMIN, "title": "Lead"})
    add("ann2", profile={"email": "ANN@example.test", "login": "ann.second@example.test"})
    add("bob", credentials={"provider": {"type": "ACTIVE_DIRECTORY", "name": "example.test"}})
    add("contractor", profile={"userType": "Contractor", "organization": "Supplier Ltd", "employeeNumber": None})
    add("svc.backup", profile={"userType": "Service", "firstName": None, "lastName": None})
    add("no.password", credentials={"provider": {"type": "FEDERATION", "name": "FEDERATION"}}, passwordChanged=None)


def _groups(org: Org) -> None:
    org.put("groups", shapes.group("00g1simeveryone00000", "Everyone", kind="BUILT_IN", description="All users"))
    org.put("groups", shapes.group("00g1simengineering00", "Engineering", description="Builds it"))
    org.put("groups", shapes.group("00g1simdynamic000000", "Contractors", description="By rule"))
    org.put("groups", shapes.group("00g1simempty00000000", "Empty"))
    org.put("groups", shapes.group("00g1simadmins0000000", "Admins of apps"))
    directory = shapes.group(
        "00g1simdirectory0000", "CN=Staff,DC=example,DC=test", kind="APP_GROUP", source={"id": "0oa1simdirectory0000"}
    )
    directory["profile"] |= {"dn": "CN=Staff,DC=example,DC=test", "samAccountName": "Staff", "externalId": "c3RhZmY="}
    org.put("groups", directory)
    users = org.rows["users"]
    org.join(
        "00g1simeveryone00000",
        *(users[index]["id"] for index in range(len(users)) if users[index]["status"] != "DEPROVISIONED"),
    )
    org.join("00g1simengineering00", uid("ann"), uid("bob"), uid("suspended"), uid("locked.out"))
    org.join("00g1simdynamic000000", uid("contractor"))
    org.join("00g1simadmins0000000", uid("bob"))
    org.join("00g1simdirectory0000", uid("bob"))
    is_contractor = 'user.userType=="Contractor"'
    org.put("groups/rules", shapes.rule("0pr1simcontractors00", "Contractors", is_contractor, ["00g1simdynamic000000"]))
    org.put(
        "groups/rules", shapes.rule("0pr1siminactive00000", "Once", "true", ["00g1simempty00000000"], status="INACTIVE")
    )
    org.put("groups/rules", shapes.rule("0pr1siminvalid000000", "Broken", "user.gone", [], status="INVALID"))
    owner = {
        "id": uid("ann"),
        "type": "USER",
        "resolved": True,
        "originType": "OKTA_DIRECTORY",
        "originId": None,
        "displayName": "Ann Okt",
        "lastUpdated": shapes.day(3),
    }
    org.add("groups/00g1simengineering00/owners", owner)


def _apps(org: Org) -> None:
    wiki = org.put("apps", shapes.app("0oa1simwiki000000000", "Wiki", name="wiki_saml"))
    org.put("apps", shapes.app("0oa1simretired000000", "Retired", status="INACTIVE"))
    org.put("apps", shapes.app("0oa1simdirectory0000", "example.test", name="active_directory", mode="AUTO_LOGIN"))
    web = org.put("apps", shapes.app("0oa1simweb0000000000", "Portal", name="oidc_client", mode="OPENID_CONNECT"))
    key = {"kty": "RSA", "kid": "key-1", "e": "AQAB", "n": "u4VQ"}
    org.put("apps", shapes.service_app("0oa1simreconciler000", "Reconciler", keys=[key]))
    org.put("apps", shapes.service_app("0oa1simbatch00000000", "Batch"))
    org.add("apps/0oa1simwiki000000000/groups", shapes.app_group(wiki["id"], "00g1simengineering00"))
    org.add("groups/00g1simengineering00/apps", wiki)
    org.add(
        "apps/0oa1simwiki000000000/users",
        shapes.app_user(wiki["id"], uid("ann"), "ann@example.test", scope="GROUP"),
        shapes.app_user(
            wiki["id"], uid("bob"), "bob@example.test", scope="GROUP", status="PROVISIONED", externalId="77"
        ),
        shapes.app_user(wiki["id"], uid("contractor"), "contractor@example.test"),
        shapes.app_user(wiki["id"], uid("suspended"), "suspended@example.test", scope="GROUP", status="SUSPENDED"),
    )
    org.add("apps/0oa1simweb0000000000/users", shapes.app_user(web["id"], uid("ann"), "ann@example.test"))
    org.add(f"users/{uid('ann')}/appLinks", shapes.app_link(wiki, uid("ann"), 0), shapes.app_link(web, uid("ann"), 1))
    org.add(
        "apps/0oa1simbatch00000000/credentials/secrets",
        shapes.client_secret("ocs1simfirst00000000", secret=SECRET),
        shapes.client_secret("ocs1simsecond0000000", secret=SECRET + "-old", status="INACTIVE"),
    )
    org.add(
        "apps/0oa1simweb0000000000/credentials/secrets",
        shapes.client_secret("ocs1simweb0000000000", secret=SECRET + "-web"),
    )
    org.add("apps/0oa1simreconciler000/credentials/jwks", shapes.registered_key("pks1simfirst00000000", key))
    for number, scope in enumerate(("okta.users.read", "okta.groups.read", "okta.apps.read")):
        org.add(
            "apps/0oa1simreconciler000/grants",
            shapes.scope_grant(f"oag1sim{number:013d}", scope, "0oa1simreconciler000"),
        )


def _credentials(org: Org) -> None:
    ann, bob = uid("ann"), uid("bob")
    org.add(
        f"users/{ann}/factors",
        shapes.factor(
            "opf1simpush000000000", "push", user_id=ann, profile={"credentialId": "ann@example.test", "name": "Phone"}
        ),
        shapes.factor("fwf1simwebauthn00000", "webauthn", "FIDO", user_id=ann, profile={"authenticatorName": "Key"}),
        shapes.factor(
            "sms1simpending000000",
            "sms",
            user_id=ann,
            status="PENDING_ACTIVATION",
            profile={"phoneNumber": "+1 XXX-XXX-1337"},
        ),
    )
    org.add(f"users/{bob}/factors", shapes.factor("ost1simtotp000000000", "token:software:totp", "GOOGLE", user_id=bob))
    org.add(
        f"users/{ann}/grants",
        shapes.scope_grant("oag1simann0000000000", "offline_access", "0oa1simweb0000000000", user_id=ann),
    )
    org.add(f"users/{ann}/clients", shapes.client("0oa1simweb0000000000", "Portal"))
    org.add(
        f"users/{ann}/clients/0oa1simweb0000000000/tokens",
        shapes.refresh_token("oar1simann0000000000", "0oa1simweb0000000000", ann),
    )
    org.add(
        "apps/0oa1simweb0000000000/tokens", shapes.refresh_token("oar1simann0000000000", "0oa1simweb0000000000", ann)
    )
    org.put("api-tokens", shapes.api_token("00T1simadmin00000000", "Reconciler", ADMIN))
    org.put(
        "api-tokens",
        shapes.api_token("00T1simold0000000000", "Old script", uid("deprovisioned"), expires=shapes.day(100)),
    )


def _administrators(org: Org) -> None:
    bob, batch = uid("bob"), "0oa1simbatch00000000"
    org.add("iam/assignees/users", shapes.assignee(ADMIN), shapes.assignee(uid("ann")), shapes.assignee(bob))
    org.add(f"users/{ADMIN}/roles", shapes.role("ra11simsuper00000000", "SUPER_ADMIN", f"/users/{ADMIN}"))
    custom = shapes.custom_role(
        "irb1simann0000000000", "cr01simhelp000000000", "Help desk", "iam1simstaff00000000", f"/users/{uid('ann')}"
    )
    org.add(
        f"users/{uid('ann')}/roles",
        shapes.role("gra1simann0000000000", "GROUP_MEMBERSHIP_ADMIN", f"/users/{uid('ann')}"),
        custom,
    )
    org.add(f"users/{uid('ann')}/roles/gra1simann0000000000/targets/groups", org.rows["groups"][0])
    group_role = shapes.role("ra11simappadmin00000", "APP_ADMIN", "/groups/00g1simadmins0000000", assignment="GROUP")
    org.add("groups/00g1simadmins0000000/roles", group_role)
    org.add(f"users/{bob}/roles", group_role)
    target = {"name": "wiki_saml", "displayName": "Wiki", "status": "ACTIVE", "id": "0oa1simwiki000000000"}
    org.add("groups/00g1simadmins0000000/roles/ra11simappadmin00000/targets/catalog/apps", target)
    org.add(
        f"clients/{batch}/roles",
        shapes.role("ra11simclient0000000", "READ_ONLY_ADMIN", f"/oauth2/v1/clients/{batch}", assignment="CLIENT"),
    )
    org.put("iam/roles", shapes.iam_role("cr01simhelp000000000", "Help desk", "Resets passwords"))
    for label in ("okta.users.read", "okta.users.credentials.resetPassword"):
        org.add("iam/roles/cr01simhelp000000000/permissions", shapes.permission(label, "cr01simhelp000000000"))
    staff = "iam1simstaff00000000"
    org.put("iam/resource-sets", shapes.resource_set(staff, "Staff", "People of the house"))
    org.add(
        f"iam/resource-sets/{staff}/resources",
        shapes.resource("ire1simgroup00000000", "/api/v1/groups/00g1simengineering00", "groups"),
    )
    org.add(f"iam/resource-sets/{staff}/bindings", shapes.binding(staff, "cr01simhelp000000000"))
    org.add(
        f"iam/resource-sets/{staff}/bindings/cr01simhelp000000000/members",
        shapes.binding_member("irb1simann0000000000", f"/api/v1/users/{uid('ann')}"),
    )


def _events(org: Org) -> None:
    admin = shapes.party(ADMIN, "User", "Root Okt", "admin@example.test")
    ann = shapes.party(uid("ann"), "User", "Ann Okt", "ann@example.test")
    group = shapes.party("00g1simengineering00", "UserGroup", "Engineering")
    told: tuple[tuple[str, Row, list[Row]], ...] = (
        ("user.lifecycle.create", admin, [ann]),
        ("user.lifecycle.activate", admin, [ann]),
        ("group.user_membership.add", admin, [ann, group]),
        ("user.session.start", ann, []),
        ("user.account.privilege.grant", admin, [ann]),
        ("system.api_token.create", admin, []),
        ("something.nobody.knows", admin, []),
    )
    for number, (kind, actor, targets) in enumerate(told):
        uuid = f"00000000-0000-11f0-8000-{number:012d}"
        org.put(
            "logs",
            shapes.event(
                uuid, shapes.stamp(now() - timedelta(hours=len(told) - number)), kind, actor=actor, targets=targets
            ),
        )

"""The company's Microsoft Entra tenant, as objects for the Graph simulator: guests of suppliers, IT, applications."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from tests.demo.company import ENTRA, ENTRA_ROLES, FIRST_NIGHT, App, Company, EntraUser
from tests.simulators.graph import objects as make
from tests.simulators.graph.answers import Json
from tests.simulators.graph.tenant import Tenant

_DOMAIN = "meridian.example"
_SPACE = uuid.UUID("b52cb1c6-6d1f-4f42-a1c5-5f7f4a0b7a11")
_ROLES = "roleManagement/directory"
_MICROSOFT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"
_GROUPS = {"Partners": False, "IT staff": True}
"""Group -> whether its members follow from a rule."""


def user_id(login: str) -> str:
    """Return the object id of a user."""
    return make.guid("user", _number(f"user {login}"))


def service_id(name: str) -> str:
    """Return the object id of an application's service principal."""
    return make.guid("servicePrincipal", _number(f"app {name}"))


def role_id(name: str) -> str:
    """Return the id of a directory role."""
    return str(uuid.uuid5(_SPACE, f"role {name}"))


def group_id(name: str) -> str:
    """Return the object id of a group."""
    return make.guid("group", _number(f"group {name}"))


def graph_id() -> str:
    """Return the object id of Microsoft's own service, of which apps hold scopes."""
    return make.guid("servicePrincipal", 1)


def secret_id(name: str) -> str:
    """Return the id of an application's client secret."""
    number = _number(f"app {name}")
    return f"{make.guid('application', number)}/client_secret/{make.guid('key', number)}"


def build(company: Company) -> Tenant:
    """Return the whole tenant; the same company gives the same tenant."""
    tenant = Tenant(domain=_DOMAIN)
    for name, dynamic in _GROUPS.items():
        rule = {"groupTypes": ["DynamicMembership"], "membershipRule": 'user.department -eq "IT"'} if dynamic else {}
        tenant.add("groups", make.group(_number(f"group {name}"), name, isAssignableToRole=False, **rule))
    tenant.add(f"{_ROLES}/roleDefinitions", *(make.role_definition(role_id(name), name) for name in ENTRA_ROLES))
    for user in company.entra.values():
        tenant.add("users", _user(user))
        for group in user.groups:
            tenant.link("members", group_id(group), user_id(user.login))
        tenant.authentication[user_id(user.login)] = [
            make.method("password", _number(f"password {user.login}")),
            make.method("microsoftAuthenticator", _number(f"phone {user.login}"), displayName="Phone"),
        ]
        tenant.add(
            "reports/authenticationMethods/userRegistrationDetails",
            make.registration(_user(user), "microsoftAuthenticatorPush"),
        )
    _assign(tenant, company)
    graph = make.service_principal(1, "Microsoft Graph", appOwnerOrganizationId=_MICROSOFT)
    tenant.add("servicePrincipals", graph)
    for app in company.apps.values():
        _register(tenant, app, graph)
    _use_apps(tenant, company)
    _trace(tenant, company)
    return tenant


def _user(user: EntraUser) -> Json:
    person, number = user.person, _number(f"user {user.login}")
    known: Json = {
        "accountEnabled": user.enabled,
        "createdDateTime": _text(FIRST_NIGHT - timedelta(days=300)),
        "signInActivity": make.signed_in(_text(FIRST_NIGHT - timedelta(days=2 + len(user.login)))),
    }
    if user.guest:
        mail = person.email if person else user.mail or f"{user.login}@gone.example"
        return make.guest(number, mail, person.name if person else user.login, _DOMAIN, **known)
    if person is None:
        return make.user(number, user.login, user.login, _DOMAIN, **known)
    more = {"employeeId": person.employee_id, "department": person.department, "jobTitle": person.title}
    return make.user(number, person.login, person.name, _DOMAIN, **known, **more)


def _assign(tenant: Tenant, company: Company) -> None:
    number = 0
    for user in company.entra.values():
        for name in user.roles:
            number += 1
            held = make.role_assignment(number, user_id(user.login), role_id(name))
            schedule = make.role_schedule(number, user_id(user.login), role_id(name), assignment="Assigned")
            tenant.add(f"{_ROLES}/roleAssignments", held)
            tenant.add(f"{_ROLES}/roleAssignmentSchedules", schedule)
            tenant.add(f"{_ROLES}/roleAssignmentScheduleInstances", make.role_instance(schedule, held["id"]))
        for name in user.eligible:
            number += 1
            schedule = make.role_schedule(number, user_id(user.login), role_id(name))
            tenant.add(f"{_ROLES}/roleEligibilitySchedules", schedule)
            tenant.add(f"{_ROLES}/roleEligibilityScheduleInstances", make.role_instance(schedule))


def _register(tenant: Tenant, app: App, graph: Json) -> None:
    number = _number(f"app {app.name}")
    secrets = []
    if app.secret_made is not None:
        ends = _text(app.secret_made + timedelta(days=730))
        secrets = [make.password_credential(number, ends, _text(app.secret_made))]
    service = make.service_principal(
        number, app.name, accountEnabled=app.enabled, appOwnerOrganizationId=tenant.tenant_id
    )
    tenant.add("servicePrincipals", service)
    if app.owner is not None:
        tenant.link("owners", service["id"], user_id(app.owner))
    tenant.add("applications", make.application(number, app.name, passwordCredentials=secrets))
    tenant.add("oauth2PermissionGrants", make.permission_grant(number, service, graph, "User.Read"))


def _use_apps(tenant: Tenant, company: Company) -> None:
    services = {row["displayName"]: row for row in tenant.collections["servicePrincipals"]}
    held = [(user, app) for user in company.entra.values() for app in user.apps]
    for number, (user, app) in enumerate(held, start=1):
        assigned = make.app_role_assignment(number, _user(user), "User", services[app])
        tenant.add("appRoleAssignments", assigned)


def _trace(tenant: Tenant, company: Company) -> None:
    """Add what the tenant recorded: an old change, so that the log reaches back, and the story's own events."""
    rows = {row["id"]: row for row in tenant.collections["users"]}
    first = tenant.collections["users"][0]
    tenant.add("auditLogs/directoryAudits", make.audit(1, _text(company.days(-29)), "Update user", first))
    told = (event for event in company.events if event.source == ENTRA and event.at <= company.as_of)
    for number, event in enumerate(told, start=2):
        user = rows[user_id(event.login)]
        if event.kind == "signIn":
            tenant.add("auditLogs/signIns", make.sign_in(number, _text(event.at), user))
        else:
            target = make.target(user, "User")
            tenant.add("auditLogs/directoryAudits", make.audit(number, _text(event.at), event.kind, first, target))
    tenant.add("auditLogs/signIns", make.sign_in(1, _text(company.days(-1)), first))


def _number(name: str) -> int:
    return uuid.uuid5(_SPACE, name).int % 2**40


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"

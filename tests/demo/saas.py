"""The company's Okta org, as objects for the Okta simulator: everybody who works there, and the apps they use."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta

from tests.demo.company import FIRST_NIGHT, OKTA, OKTA_GROUPS, Company, Event, OktaUser
from tests.simulators.okta import shapes
from tests.simulators.okta.org import Org

READER = "svc-reconciler"
_EVERYONE, _CONTRACTORS = "Everyone", "Contractors"
_SPACE = uuid.UUID("0d6e0d4f-9a39-4c43-8f1c-3a7d6a1c5e02")
_GITHUB, _EXPENSES, _BATCH = "GitHub", "Expenses", "Payroll batch"


def user_id(login: str) -> str:
    """Return the id of a user."""
    return _id("00u", login)


def group_id(name: str) -> str:
    """Return the id of a group."""
    return _id("00g", name)


def event_id(event: Event) -> str:
    """Return the id of an event of the System Log."""
    return str(uuid.uuid5(_SPACE, f"{event.kind} {event.login} {event.group} {event.at}"))


def app_id(name: str) -> str:
    """Return the id of an app."""
    return _id("0oa", name)


def service_keys() -> tuple[str, ...]:
    """Return the ids of the service app's key and secret."""
    return f"{service_id()}/{_id('pks', _BATCH)}", f"{service_id()}/{_id('ocs', _BATCH)}"


def service_id() -> str:
    """Return the id of the one service app."""
    return _id("0oa", _BATCH)


def build(company: Company) -> Org:
    """Return the whole org; the same company gives the same org."""
    org = Org()
    for name, kind in ((_EVERYONE, "BUILT_IN"), (_CONTRACTORS, "OKTA_GROUP")):
        org.put("groups", shapes.group(group_id(name), name, kind=kind))
    expression = 'user.userType=="contractor"'
    org.put("groups/rules", shapes.rule(_id("0pr", "rule"), _CONTRACTORS, expression, [group_id(_CONTRACTORS)]))
    for name in OKTA_GROUPS:
        org.put("groups", shapes.group(group_id(name), name))
    github = org.put("apps", shapes.app(_id("0oa", _GITHUB), _GITHUB))
    expenses = org.put("apps", shapes.app(_id("0oa", _EXPENSES), _EXPENSES, name="oidc_client", mode="OPENID_CONNECT"))
    org.add(f"apps/{github['id']}/groups", shapes.app_group(github["id"], group_id("GitHub users")))
    org.add(f"groups/{group_id('GitHub users')}/apps", github)
    for user in company.okta.values():
        _add(org, user, company)
        if "GitHub users" in user.groups:
            row = shapes.app_user(github["id"], user_id(user.login), _login(user), scope="GROUP")
            org.add(f"apps/{github['id']}/users", row)
        if _EXPENSES in user.apps:
            row = shapes.app_user(expenses["id"], user_id(user.login), _login(user))
            org.add(f"apps/{expenses['id']}/users", row | {"created": _text(FIRST_NIGHT - timedelta(days=59))})
    _serve(org, company)
    _trace(org, company)
    reader = user_id(READER)
    org.add("iam/assignees/users", shapes.assignee(reader))
    org.add(f"users/{reader}/roles", shapes.role(_id("ra1", "reader"), "SUPER_ADMIN", f"/users/{reader}"))
    token = shapes.api_token(_id("00T", "reader"), "Nightly reconciliation", reader)
    org.put("api-tokens", token | {"created": _text(company.days(-30))})
    return org


def _serve(org: Org, company: Company) -> None:
    """Add what machines use: a service app with its keys, scopes and role, and one person's refresh token."""
    key = {"kty": "RSA", "kid": "batch-1", "e": "AQAB", "n": "u4VQ"}
    made = _text(company.days(-12))
    org.put("apps", shapes.service_app(service_id(), _BATCH, keys=[key]))
    registered = shapes.registered_key(_id("pks", _BATCH), key, created=made)
    org.add(f"apps/{service_id()}/credentials/jwks", registered)
    scope = shapes.scope_grant(_id("oag", _BATCH), "okta.users.read", service_id())
    org.add(f"apps/{service_id()}/grants", scope)
    role = shapes.role(_id("ra1", _BATCH), "READ_ONLY_ADMIN", f"/oauth2/v1/clients/{service_id()}", assignment="CLIENT")
    org.add(f"clients/{service_id()}/roles", role)
    user = company.okta[company.staff("Finance")[0].login]
    token = shapes.refresh_token(_id("oar", user.login), _id("0oa", _EXPENSES), user_id(user.login))
    org.add(f"users/{user_id(user.login)}/clients", shapes.client(_id("0oa", _EXPENSES), _EXPENSES))
    org.add(f"users/{user_id(user.login)}/clients/{_id('0oa', _EXPENSES)}/tokens", token)
    org.add(f"apps/{_id('0oa', _EXPENSES)}/tokens", token)
    secret = shapes.client_secret(_id("ocs", _BATCH), secret="shown-never", created=made)
    org.add(f"apps/{service_id()}/credentials/secrets", secret)
    org.put("iam/roles", shapes.iam_role(_id("cr0", "desk"), "Service desk", "Resets passwords"))


def _trace(org: Org, company: Company) -> None:
    """Add the System Log: a change long ago, so that it reaches back, and the story's own events."""
    reader = company.okta[READER]
    old = Event(OKTA, company.days(-89), "user.account.update_profile", company.staff("Sales")[0].login)
    told = [old, *(event for event in company.events if event.source == OKTA and event.at <= company.as_of)]
    for event in sorted(told, key=lambda event: event.at):
        user = company.okta[event.login]
        targets = [shapes.party(user_id(user.login), "User", user.login, _login(user))]
        if event.group is not None:
            app = event.group == _EXPENSES
            held = _id("0oa", _EXPENSES) if app else group_id(event.group)
            targets.append(shapes.party(held, "AppInstance" if app else "UserGroup", event.group))
        data = {"requestUri": "/api/v1/users"} | ({"ticket": event.ticket} if event.ticket else {})
        org.put(
            "logs",
            shapes.event(
                event_id(event),
                _text(event.at),
                event.kind,
                actor=shapes.party(user_id(reader.login), "User", reader.login, _login(reader)),
                targets=targets,
                debugContext={"debugData": data},
            ),
        )


def _add(org: Org, user: OktaUser, company: Company) -> None:
    person = user.person
    made = _text(FIRST_NIGHT - timedelta(days=400))
    given, _, family = (person.name if person else user.login).partition(" ")
    profile = {"firstName": given, "lastName": family}
    if person is not None:
        known = {"employeeNumber": person.employee_id, "department": person.department, "userType": person.kind}
        profile |= {name: value for name, value in known.items() if value is not None}
    row = shapes.user(
        user_id(user.login),
        _login(user),
        status=user.status,
        created=made,
        last_login=_text(company.days(-2)) if person else None,
        profile=profile,
        transitioningToStatus=None,
    )
    org.put("users", row)
    groups = list(user.groups)
    if user.status != "DEPROVISIONED":
        groups.append(_EVERYONE)
    if person is not None and person.kind == "contractor" and user.status != "DEPROVISIONED":
        groups.append(_CONTRACTORS)
    for group in groups:
        org.join(group_id(group), user_id(user.login))
    if user.status == "ACTIVE":
        factor = shapes.factor(_id("opf", user.login), "push", user_id=user_id(user.login), profile={"name": "Phone"})
        org.add(f"users/{user_id(user.login)}/factors", factor)


def _login(user: OktaUser) -> str:
    return user.person.email if user.person else f"{user.login}@meridian.example"


def _id(prefix: str, name: str) -> str:
    return prefix + "1demo" + hashlib.sha256(f"{prefix} {name}".encode()).hexdigest()[: 20 - len(prefix) - 5]


def _text(instant: datetime) -> str:
    return shapes.stamp(instant)

"""What follows from all that was planted: one cause may be seen by several rules, and some of it nobody can know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from tests.demo import directory, saas, tenant
from tests.demo.company import AWS, ENTRA, LDAP, OKTA, Approval, Event, Person
from tests.demo.stage import (
    Stage,
    Subject,
    of_account,
    of_cloud_member,
    of_guest,
    of_held,
    of_membership,
    of_okta_user,
    of_record,
    of_secret,
    of_user,
)


def all_of_them(stage: Stage) -> None:
    """Claim what follows."""
    _record_closings(stage)
    for follow in (_offboarded_by_half, _strangers, _powers, _undated_grants, _undated_leavers, _keys):
        follow(stage)


def _record_closings(stage: Stage) -> None:
    """Let Okta's log tell of every closed account: in time, unless it was planted otherwise."""
    for user in stage.company.okta.values():
        person = user.person
        if person is None or person.ends_on is None or user.login in stage.silent:
            continue
        if user.status == "DEPROVISIONED" or user.login in stage.reopened:
            end = datetime.combine(person.ends_on + timedelta(days=1), time(), ZoneInfo(person.office.zone))
            at = stage.late.get(user.login, end + timedelta(hours=6))
            stage.company.events.append(Event(OKTA, at, "user.lifecycle.deactivate", user.login))


def _accounts(stage: Stage, person: Person) -> Iterator[tuple[str, Subject, bool]]:
    """Yield (source, subject, whether it can be used) of each account of a person."""
    company = stage.company
    if person.login in company.accounts:
        yield LDAP, of_account(person.login), not company.account_of(person).locked
    if person.login in company.okta:
        yield OKTA, of_okta_user(person.login), company.okta[person.login].status == "ACTIVE"
    if person.login in company.entra:
        yield ENTRA, of_guest(person.login), company.entra[person.login].enabled
    if person.login in company.cloud:
        user = company.cloud[person.login]
        yield AWS, of_user(person.login), user.console or any(key.active for key in user.keys)


def _offboarded_by_half(stage: Stage) -> None:
    """IG-LVR-006: closed in one source, usable in another."""
    for person in stage.company.people:
        dated = person.ends_on is not None and stage.is_over(person.ends_on, person.office.zone)
        if not dated and person.status is None:
            continue
        held = list(_accounts(stage, person))
        closed = {source for source, _, usable in held if not usable}
        for source, subject, usable in held:
            verdict = "violation" if dated else "not_evaluable"
            stage.claim("IG-LVR-006", subject, when=usable and bool(closed - {source}), verdict=verdict)


def _strangers(stage: Stage) -> None:
    """IG-SUP-002 and IG-SUP-007 ask of accounts of nobody, too, whether they are guests."""
    for claim in [claim for claim in stage.claims if claim.rule_id in {"IG-ORP-001", "IG-ORP-002"}]:
        for rule in ("IG-SUP-002", "IG-SUP-007"):
            stage.claim(rule, claim.subject, verdict="not_evaluable")
    guests = [user.login for user in stage.company.entra.values() if user.person is None and user.guest]
    for login in guests:
        stage.claim("IG-ORP-001", of_guest(login))
        stage.claim("IG-SUP-007", of_guest(login))
    stage.claim("IG-SUP-002", of_guest("ghost"))  # the other one's domain is a supplier's


def _powers(stage: Stage) -> None:
    """IG-PRV-001 outside the directory: what is held without an end, and what nobody says the power of."""
    company = stage.company
    for user in company.cloud.values():
        if "administrators" in user.groups:
            stage.claim("IG-PRV-001", of_cloud_member(user.name, "administrators"))
    for holder, role in ((saas.user_id(saas.READER), "SUPER_ADMIN"), (saas.service_id(), "READ_ONLY_ADMIN")):
        stage.claim("IG-PRV-001", of_held(OKTA, holder, role))
    for app in company.apps.values():
        if app.enabled:  # what lies behind a scope of Microsoft's own service is not listed
            held = of_held(ENTRA, tenant.service_id(app.name), f"{tenant.graph_id()}/User.Read")
            stage.claim("IG-PRV-001", held, verdict="not_evaluable")
    for member in company.entra.values():
        for name in member.apps:
            held = of_held(ENTRA, tenant.user_id(member.login), tenant.service_id(name))
            stage.claim("IG-PRV-001", held, verdict="not_evaluable")


def _undated_grants(stage: Stage) -> None:
    """IG-APR-003: the directory and AWS do not say since when somebody holds what was approved."""
    company = stage.company
    approved: dict[tuple[str, str | None], list[Approval]] = defaultdict(list)
    for approval in company.approvals:
        if approval.decision == "approved" and approval.kind != "role_change":
            approved[approval.person.person_id, approval.system].append(approval)

    for uid, person, group in [(a.uid, a.person, group) for a in company.accounts.values() for group in a.groups]:
        if person is not None and group not in {"suppliers", f"dept-{person.department.lower()}"}:
            when = _speak(approved[person.person_id, LDAP], group, directory.group_id(group))
            stage.claim("IG-APR-003", of_membership(uid, group), when=when, verdict="not_evaluable")
    for name, person, group in [(u.name, u.person, group) for u in company.cloud.values() for group in u.groups]:
        if person is not None:
            when = _speak(approved[person.person_id, AWS], group)
            stage.claim("IG-APR-003", of_cloud_member(name, group), when=when, verdict="not_evaluable")


def _speak(approvals: list[Approval], group: str, group_id: str = "") -> bool:
    """Tell whether one of the approvals means the group, by name, pattern or id."""
    wanted = {str(one.entitlement).lower() for one in approvals}
    return group_id in wanted or any(fnmatchcase(group.lower(), one) for one in wanted)


def _undated_leavers(stage: Stage) -> None:
    """Who is said to have left, though nobody wrote down when: what events prove cannot be judged."""
    for person in stage.company.people:
        if person.status is not None:
            for rule in ("IG-LVR-005", "IG-LVR-008"):
                stage.claim(rule, of_okta_user(person.login), verdict="not_evaluable")


def _keys(stage: Stage) -> None:
    """IG-CRD-002, IG-CRD-003: Okta does not say when a service's key ends, nor the directory whether one is used."""
    for claim in list(stage.claims):
        if claim.rule_id == "IG-LVR-002" and claim.verdict == "not_evaluable":
            stage.claim("IG-CRD-002", claim.subject, verdict="not_evaluable")
    for name in saas.service_keys():
        stage.claim("IG-CRD-003", of_record(source=OKTA, credential_id=name), verdict="not_evaluable")
    for app in stage.company.apps.values():
        made = app.secret_made
        if app.enabled and made is not None and made + timedelta(days=90) < stage.company.as_of:
            stage.claim("IG-CRD-002", of_secret(app.name), verdict="not_evaluable")

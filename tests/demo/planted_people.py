"""What is wrong with people, their access and their accounts, beyond the first eight rules; and what only looks so."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from tests.demo import directory, saas, tenant
from tests.demo.company import (
    AWS,
    ENTRA,
    FIRST_NIGHT,
    LDAP,
    OKTA,
    Account,
    App,
    CloudUser,
    EntraUser,
    Event,
    Exemption,
    Key,
    Special,
)
from tests.demo.stage import (
    DAY_ONE,
    Stage,
    of_account,
    of_event,
    of_guest,
    of_key,
    of_membership,
    of_okta_app,
    of_okta_user,
    of_record,
    of_secret,
    of_user,
)


def all_of_them(stage: Stage) -> None:
    """Break what this module breaks; what happens in Okta is recorded before its users are made."""
    for plant in (_identities, _movers, _privilege, _conflicts, _suppliers, _machines, _dormant, _offboarding):
        plant(stage)


def _identities(stage: Stage) -> None:
    """IG-ORP-002, IG-ORP-003: a desk that two people share, and an address that was given to somebody else."""
    company = stage.company
    for _ in range(2):
        stage.pick(department="Support").also = "front.desk@meridian.example"
    company.accounts["frontdesk"] = Account("frontdesk", None, mail="front.desk@meridian.example")
    stage.claim("IG-ORP-002", of_account("frontdesk"))
    married, newcomer = stage.pick(department="Sales"), stage.pick(department="Sales")
    account = company.account_of(married)
    account.numbered, account.mail = False, married.email
    if stage.night > 1:
        company.account_of(newcomer).mail = newcomer.email
        newcomer.also, married.email = married.email, f"{married.login}.new@meridian.example"
    stage.claim("IG-ORP-003", of_account(account.uid), when=stage.night > 1)


def _movers(stage: Stage) -> None:
    """IG-MOV-001, IG-MOV-002: access of the position before; beside it a move that is not long ago."""
    company = stage.company
    for days in (-45, -25.5):
        person = stage.pick(department="Sales")
        company.grant(person, "crm-managers")
        person.department = "Support"
        moved = FIRST_NIGHT + timedelta(days=days)
        company.approve(person, None, None, kind="role_change", decided_at=moved)
        over = moved + timedelta(days=30) < company.as_of
        stage.spenders.append(person)
        stage.claim("IG-MOV-001", of_okta_app(person.login, "Expenses"), when=over)
        for group in ("dept-sales", "crm-managers"):  # the directory does not say since when
            stage.claim("IG-MOV-001", of_membership(person.login, group), when=over, verdict="not_evaluable")
    for recorded in (False, True):
        person = stage.pick()
        ticket = company.approve(person, OKTA, "Help desk", kind="role_change", decision="approved").approval_id
        company.approvals[-1].decided_at = FIRST_NIGHT - timedelta(days=6, hours=2)
        if not recorded:
            company.approvals.pop()
        at = FIRST_NIGHT - timedelta(days=6)
        event = Event(OKTA, at, "user.account.privilege.grant", person.login, ticket=ticket if recorded else None)
        company.events.append(event)
        stage.claim("IG-MOV-002", of_event(event), when=not recorded)
        if recorded:
            late = company.approvals[-1].decided_at + timedelta(days=7) < company.as_of
            stage.claim("IG-APR-004", of_record(approval_id=ticket, source=OKTA), when=late)


def _privilege(stage: Stage) -> None:
    """IG-PRV-001 to IG-PRV-003, IG-LVR-003; the exceptions that cover some of it, one of them for three nights."""
    company = stage.company
    deep = stage.pick(department="Engineering")
    company.groups["night-shift"] = []
    company.groups["release-managers"].append("night-shift")
    company.grant(deep, "night-shift")
    stage.claim(
        "IG-PRV-003",
        lambda ids: of_account(deep.login)(ids) | {"entitlement_id": directory.group_id("prod-deployers")},
    )
    bare = next(user for user in company.cloud.values() if "administrators" in user.groups)
    bare.mfa = stage.night >= 3  # enrolled on night 3
    stage.claim("IG-PRV-002", of_user(bare.name), when=not bare.mfa)
    closed = stage.pick(department="Engineering")
    company.grant(closed, "prod-deployers")
    company.account_of(closed).locked = True
    stage.claim("IG-LVR-003", of_account(closed.login))
    for number, (group, days) in enumerate((("payroll-editors", 2.5), ("erp-admins", 200), ("prod-deployers", 200))):
        end = FIRST_NIGHT + timedelta(days=days)
        reason = "Just-in-time access is being introduced"
        company.exemptions.append(
            Exemption(f"E-11{number}", "IG-PRV-001", LDAP, None, reason, end, group=group),
        )
    watch = EntraUser("breakglass-cloud", None)
    company.entra[watch.login] = watch
    company.special.append(Special(ENTRA, tenant.user_id(watch.login), "break_glass", "Emergency access to the tenant"))
    company.events.append(Event(ENTRA, FIRST_NIGHT - timedelta(days=3), "signIn", watch.login))
    stage.claim("IG-PRV-004", of_guest(watch.login))
    # The directory keeps no record of use that could be read.
    stage.claim("IG-PRV-004", of_account("breakglass-1"), verdict="not_evaluable")


def _conflicts(stage: Stage) -> None:
    """IG-SOD-001: both sides in the directory, and one side there and the other in Okta."""
    company = stage.company
    inside, across = stage.pick(department="Finance"), stage.pick(department="Finance")
    company.grant(inside, "finance-approvers")
    company.grant(inside, "crm-managers")
    company.grant(across, "erp-admins")
    stage.claim("IG-SOD-001", of_record(conflict="invoices and customers", holder=inside.person_id))
    stage.claim("IG-SOD-001", of_record(conflict="ledger and expenses", holder=across.person_id))
    stage.spenders.append(across)


def _suppliers(stage: Stage) -> None:
    """IG-SUP-003 to IG-SUP-006 and IG-SUP-008."""
    company = stage.company
    for person in company.people:
        if person.supplier_id == "S-05":
            stage.claim("IG-SUP-003", of_account(person.login))
            stage.claim("IG-SUP-003", of_guest(person.login))
    software = company.contracts["C-02-2025"]
    software.scope = (*software.scope, "lab-control")
    first, second = [person for person in company.people if person.supplier_id == "S-02"][1:3]
    company.grant(first, "crm-managers")
    company.grant(second, "lab-control")
    stage.claim("IG-SUP-004", of_membership(first.login, "crm-managers"))
    company.contracts["C-01-2025"].headcount = 7
    company.contracts["C-01-2025"].ends_on = DAY_ONE + timedelta(days=25)
    stage.claim("IG-SUP-006", of_record(contract_id="C-01-2025"))
    company.entra["support"] = EntraUser("support", None, guest=True, mail="support@corvid.example")
    stage.claim("IG-SUP-005", of_guest("support"))
    for contract in company.contracts.values():
        near = contract.ends_on < DAY_ONE + timedelta(days=29)
        when = near and contract.status == "active" and not _ended(stage, contract.ends_on)
        stage.claim("IG-SUP-008", of_record(contract_id=contract.contract_id), when=when)


def _ended(stage: Stage, last_day: date) -> bool:
    """Tell whether a last day is over in the estate's zone, without any grace."""
    return stage.company.today > last_day


def _machines(stage: Stage) -> None:
    """IG-LVR-007, IG-NHI-001, IG-NHI-002, IG-CRD-002, IG-CRD-003."""
    company = stage.company
    left = next(user for user in company.entra.values() if not user.guest and user.person and user.person.ends_on)
    company.apps["Invoice export"].owner = left.login
    assert left.person is not None
    owned = {"person_id": left.person.person_id, "source": ENTRA, "object_kind": "account"}
    stage.claim("IG-LVR-007", of_record(**owned, object_id=tenant.service_id("Invoice export")))
    gone = stage.pick()
    stage.leave(gone, -60)
    del company.accounts[gone.login]
    scanner = next(one for one in company.special if one.name == "svc-scan")
    company.special[company.special.index(scanner)] = replace(scanner, steward=gone.person_id, owner_role=None)
    stage.claim("IG-NHI-001", of_account("svc-scan"))
    company.apps["Visitor list"] = App("Visitor list", company.days(-730 + 12))
    company.special.append(Special(ENTRA, tenant.service_id("Visitor list"), "service", "Application Visitor list"))
    stage.claim("IG-CRD-003", of_secret("Visitor list"))
    stage.claim("IG-CRD-001", of_secret("Visitor list"))
    company.events.append(Event(OKTA, FIRST_NIGHT - timedelta(days=1), "user.session.start", saas.READER))
    stage.claim("IG-NHI-002", of_okta_user(saas.READER))
    made = Key(FIRST_NIGHT - timedelta(days=160), used=FIRST_NIGHT - timedelta(days=120))
    company.cloud["old-exporter"] = CloudUser("old-exporter", None, keys=[made])
    company.special.append(Special(AWS, "old-exporter", "service", "Wrote the ledger's export"))
    for rule in ("IG-CRD-001", "IG-CRD-002"):
        stage.claim(rule, of_key("old-exporter"))


def _dormant(stage: Stage) -> None:
    """IG-ORP-004: not used for long; beside it one that slept almost as long."""
    for days in (160, 85):
        sleeper = stage.company.account_of(stage.pick())
        sleeper.idle_days = days
        stage.claim("IG-ORP-004", of_account(sleeper.uid), when=days > 104)


def _offboarding(stage: Stage) -> None:
    """IG-LVR-004, IG-LVR-005, IG-LVR-008: closed without a record, closed late, opened again."""
    company = stage.company
    unproven, proven, late, again = (stage.pick("Europe/Amsterdam") for _ in range(4))
    for person, days in ((unproven, -12), (proven, -13), (late, -20), (again, -25)):
        stage.leave(person, days)
        company.account_of(person).locked = True
    for person in (unproven, proven):
        decided = FIRST_NIGHT - timedelta(days=14)
        company.approve(person, OKTA, None, kind="termination", decided_at=decided)
    stage.silent.add(unproven.login)
    stage.claim("IG-LVR-004", of_okta_user(unproven.login))
    stage.claim("IG-LVR-005", of_okta_user(unproven.login), verdict="not_evaluable")
    stage.late[late.login] = FIRST_NIGHT - timedelta(days=15)
    stage.claim("IG-LVR-005", of_okta_user(late.login))
    opened = Event(OKTA, FIRST_NIGHT - timedelta(days=5), "user.lifecycle.reactivate", again.login)
    company.events.append(opened)
    stage.reopened.add(again.login)
    for rule in ("IG-LVR-001", "IG-LVR-008"):
        stage.claim(rule, of_okta_user(again.login))
    stage.claim("IG-APR-009", of_event(opened))

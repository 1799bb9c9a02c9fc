"""What is wrong in the company, night by night, and what only looks wrong.

Every function here breaks something on purpose and says which findings must follow; nothing else may be found. The
deadlines are worked out here from the calendar, not by the product.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta

from tests.demo import directory, following, planted_people, planted_records, saas, tenant
from tests.demo.certificate import made_up_certificate
from tests.demo.cloud import Ids
from tests.demo.company import (
    AWS,
    DESK,
    ENTRA,
    FIRST_NIGHT,
    KEEPERS,
    LDAP,
    OKTA,
    OKTA_GROUPS,
    ZONE,
    Account,
    App,
    CloudUser,
    Company,
    EntraUser,
    Event,
    Exemption,
    Key,
    OktaUser,
    Special,
    build,
)
from tests.demo.stage import (
    DAY_ONE,
    Claim,
    Stage,
    carried_out,
    cloud_people,
    give_in_okta,
    of_account,
    of_certificate,
    of_cloud_grant,
    of_directory_role,
    of_excepted,
    of_guest,
    of_key,
    of_membership,
    of_okta_member,
    of_okta_user,
    of_record,
    of_secret,
    of_user,
)


def broken(night: int) -> tuple[Company, list[Claim]]:
    """Return the company as it stands on that night, and every finding that must be there."""
    company = build(night)
    holders = {approval.person.person_id for approval in company.approvals if approval.kind != "onboarding"}
    managers = {person.manager_id for person in company.people}
    plain = [person for person in company.people if person.person_id not in holders | managers | {*KEEPERS, DESK}]
    random.Random(7).shuffle(plain)
    stage = Stage(company, night, pool=plain)
    for plant in (
        _old_leavers,
        _leavers_with_accounts,
        _leavers_with_keys,
        _orphans,
        _unapproved,
        _expired_approvals,
        _contracts,
        _exceptions,
        _old_keys,
        _entra,
        planted_people.all_of_them,
        _okta,
        planted_records.all_of_them,
        following.all_of_them,
    ):
        plant(stage)
    return company, stage.claims


def _old_leavers(stage: Stage) -> None:
    """Left long ago and offboarded as they should be: nothing to find."""
    for number in range(14):
        person = stage.pick()
        stage.leave(person, -30 - 3 * number)
        account = stage.company.account_of(person)
        if number % 3:
            account.locked, account.groups = True, []
        else:
            del stage.company.accounts[person.login]


def _leavers_with_accounts(stage: Stage) -> None:
    """IG-LVR-001: accounts that outlive their people; beside them last days that are not over everywhere yet."""
    for days, zone, mended in (
        (-41, None, ()),
        (-17, None, ()),
        (-9, None, (2,)),  # disabled on night 2, enabled again on night 3: reopened
        (-6, None, range(2, 99)),
        (-3, "Asia/Tokyo", ()),
        (-2, "Europe/Amsterdam", ()),
        (-2, "America/New_York", ()),  # that day ends later in Boston: silent on night 1
        (-1, "Europe/Berlin", ()),  # the grace runs until night 2
        (0, "Europe/Amsterdam", ()),  # last day today: not over before night 3
        (30, None, ()),  # has given notice
    ):
        person = stage.pick(zone)
        over = stage.leave(person, days)
        account = stage.company.account_of(person)
        account.locked = stage.night in mended
        stage.claim("IG-LVR-001", of_account(account.uid), when=over and not account.locked)
    unnumbered = stage.pick()  # linked by mail alone, and a leaver all the same
    stage.company.account_of(unnumbered).numbered = False
    stage.claim("IG-LVR-001", of_account(unnumbered.login), when=stage.leave(unnumbered, -12))
    undated = stage.pick()  # said to have left, but nobody wrote down when
    undated.status = "left"
    stage.claim("IG-LVR-001", of_account(undated.login), verdict="not_evaluable")


def _leavers_with_keys(stage: Stage) -> None:
    """IG-LVR-002: keys that outlive the account or its owner."""
    company = stage.company
    for days, console, active in ((-20, True, True), (-5, False, True), (-26, False, False), (-1, False, True)):
        person = stage.pick("Europe/Amsterdam")
        company.account_of(person).locked = True
        key = Key(company.days(-40), active=active, used=company.days(-25))
        company.cloud[person.login] = CloudUser(person.login, person, console=console, keys=[key])
        over = stage.leave(person, days)
        revoked = days == -5 and stage.night >= 2  # the second night mends it
        key.active = active and not revoked
        stage.claim("IG-LVR-002", of_key(person.login), when=over and key.active)
        stage.claim("IG-LVR-001", of_user(person.login), when=over and (key.active or console))
    person = stage.pick()  # disabled, and a certificate of which the directory does not say whether it is revoked
    stage.leave(person, -15)
    account = company.account_of(person)
    account.locked, account.certificate = True, made_up_certificate()
    stage.claim("IG-LVR-002", of_certificate(account), verdict="not_evaluable")


def _orphans(stage: Stage) -> None:
    """IG-ORP-001: accounts that nobody owns and no register names; beside them registered and disabled ones."""
    company, night = stage.company, stage.night
    for uid, nights in (
        ("temp.intern", range(1, 99)),
        ("old-scanner", range(1, 99)),
        ("t.testuser", range(1, 2)),  # removed on night 2
        ("plotter", range(1, 99)),
        ("vendor-demo", range(2, 99)),
    ):
        if night in nights:
            company.accounts[uid] = Account(uid, None)
            stage.claim("IG-ORP-001", of_account(uid), when=uid != "plotter" or night == 1)
    if night > 1:
        company.special.append(Special(LDAP, "PLOTTER", "service", "Large-format plotter"))
    company.accounts["closed-project"] = Account("closed-project", None, locked=True)
    fresh = [Key(company.days(-12), used=company.days(-1))]
    company.cloud["legacy-deploy"] = CloudUser("legacy-deploy", None, keys=fresh)
    company.cloud["idle-bot"] = CloudUser("idle-bot", None, keys=[Key(company.days(-12), active=False)])
    stage.claim("IG-ORP-001", of_user("legacy-deploy"))


def _unapproved(stage: Stage) -> None:
    """IG-APR-001: access that nobody approved; beside it access that an approval covers in its own way."""
    company, night = stage.company, stage.night
    for department, group, mended, first in (
        ("Engineering", "domain-admins", 99, 1),
        ("Sales", "finance-approvers", 99, 1),
        ("Support", "payroll-editors", 2, 1),  # revoked on night 2
        ("Research", "prod-deployers", 99, 2),
    ):
        person = stage.pick(department=department)
        if first <= night < mended:
            company.account_of(person).groups.append(group)
            stage.claim("IG-APR-001", of_membership(person.login, group))
    late = stage.pick(department="Engineering")  # approved on night 2, after the fact
    company.account_of(late).groups.append("release-managers")
    stage.claim("IG-APR-001", of_membership(late.login, "release-managers"), when=night == 1)
    if night > 1:
        company.approve(late, LDAP, "release-managers")
    rejected, elsewhere = stage.pick(department="Sales"), stage.pick(department="Finance")
    company.grant(rejected, "crm-managers", decision="rejected")
    company.account_of(elsewhere).groups.append("finance-approvers")
    wrong = company.approve(elsewhere, AWS, "finance-approvers")
    stage.claim("IG-APR-004", of_record(approval_id=wrong.approval_id, source=AWS))
    stage.claim("IG-APR-008", of_membership(rejected.login, "crm-managers"))
    for person, group in ((rejected, "crm-managers"), (elsewhere, "finance-approvers")):
        stage.claim("IG-APR-001", of_membership(person.login, group))
    by_pattern, by_id = stage.pick(department="Sales"), stage.pick(department="Quality")
    company.account_of(by_pattern).groups.append("crm-managers")
    company.approve(by_pattern, LDAP, "CRM-*")
    company.account_of(by_id).groups.append("audit-readers")
    company.approve(by_id, LDAP, directory.group_id("audit-readers"), valid_until=company.days(200))
    debugger, builder = [person.login for person in cloud_people(stage)][:2]
    company.cloud[debugger].policies.append("incident-debug")
    stage.claim("IG-APR-001", of_cloud_grant(debugger, lambda ids: ids.policies["incident-debug"]))
    company.cloud[builder].groups.append("billing")
    stage.claim("IG-APR-001", of_cloud_grant(builder, lambda ids: ids.groups["billing"]))


def _expired_approvals(stage: Stage) -> None:
    """IG-APR-002: access whose approval has ended; beside it renewals and approvals that still run."""
    company = stage.company
    for department, group, ended, renewed in (
        ("Finance", "finance-approvers", FIRST_NIGHT - timedelta(days=12), False),
        ("IT", "erp-admins", FIRST_NIGHT - timedelta(days=80), False),
        ("Research", "lab-control", FIRST_NIGHT - timedelta(days=3), stage.night > 1),
        ("Quality", "audit-readers", FIRST_NIGHT + timedelta(hours=6), False),
        ("Sales", "crm-managers", FIRST_NIGHT - timedelta(days=30), True),
        ("Engineering", "prod-deployers", FIRST_NIGHT + timedelta(days=90), False),
    ):
        person = stage.pick(department=department)
        company.grant(person, group, valid_until=ended)
        if renewed:
            company.approve(person, LDAP, group, justification="Renewed")
        stage.claim("IG-APR-002", of_membership(person.login, group), when=ended < company.as_of and not renewed)


def _contracts(stage: Stage) -> None:
    """IG-SUP-001: suppliers' people whose contract is over; beside them contracts that end today or were renewed."""
    company = stage.company
    calibration, logistics, optics = (company.contracts[f"C-{n}-2025"] for n in ("03", "04", "05"))
    calibration.ends_on = date(2026, 2, 28)
    logistics.ends_on = DAY_ONE  # today: over on night 3
    optics.ends_on = DAY_ONE - timedelta(days=1)  # the grace runs until night 2
    spot = replace(company.contracts["C-02-2025"], contract_id="C-02-SPOT", status="terminated")
    company.contracts[spot.contract_id] = spot
    renewal = replace(calibration, contract_id="C-03-2026", starts_on=date(2026, 3, 18), ends_on=date(2027, 3, 31))
    company.contracts[renewal.contract_id] = renewal
    sent = {id_: [p for p in company.people if p.supplier_id == id_] for id_ in ("S-02", "S-03")}
    sent["S-02"][0].contract_id = spot.contract_id
    for person in sent["S-03"][:2]:
        company.account_of(person).locked = True
    if stage.night > 1:
        for person in sent["S-03"]:
            person.contract_id = renewal.contract_id
    for person in company.people:
        if person.contract_id is not None:
            contract = company.contracts[person.contract_id]
            over = contract.status == "terminated" or stage.is_over(contract.ends_on, ZONE)
            stage.claim("IG-SUP-001", of_account(person.login), when=over and not company.account_of(person).locked)
            # The guest in the cloud outlives the contract, and two of them the account in the directory.
            stage.claim("IG-SUP-001", of_guest(person.login), when=over)


def _exceptions(stage: Stage) -> None:
    """IG-EXC-001: exceptions that are over while what they covered is still there."""
    company, night = stage.company, stage.night
    bench = Exemption("E-101", "IG-ORP-001", LDAP, "lab-shared", "Replaced in spring", FIRST_NIGHT - timedelta(days=10))
    debug = Exemption("E-102", "IG-PRV-001", AWS, "ci-pipeline", "Migration", FIRST_NIGHT + timedelta(hours=6))
    closed = Exemption("E-103", "IG-LVR-001", LDAP, "closed-project", "Archive", FIRST_NIGHT - timedelta(days=40))
    old = Exemption("E-104", "IG-ORP-001", LDAP, "svc-print", "Old printers", FIRST_NIGHT - timedelta(days=5))
    renewed = replace(old, exception_id="E-105", expires_at=FIRST_NIGHT + timedelta(days=120))
    running = Exemption("E-106", "IG-ORP-001", LDAP, "svc-scan", "Audit", FIRST_NIGHT + timedelta(days=60))
    admin = stage.pick(department="IT")
    held = company.approve(admin, LDAP, "domain-admins")
    stage.claim("IG-APR-004", of_record(approval_id=held.approval_id, source=LDAP), when=night > 1)
    grant = Exemption(
        "E-107",
        "IG-PRV-001",
        LDAP,
        admin.login,
        "Domain migration",
        FIRST_NIGHT - timedelta(days=2),
        person=admin,
        group="domain-admins",
    )
    if night == 1:  # revoked on night 2
        company.account_of(admin).groups.append("domain-admins")
    company.exemptions += [bench, debug, closed, old, renewed, running, grant]
    for exemption, when in ((bench, True), (debug, night > 1), (grant, night == 1)):
        name = str(exemption.account)
        account = of_account(name) if exemption.source == LDAP else of_user(name)
        stage.claim("IG-EXC-001", of_excepted(exemption, account), when=when)


def _old_keys(stage: Stage) -> None:
    """IG-CRD-001: keys past 90 days; beside them younger, inactive and replaced ones."""
    company = stage.company
    owners = [person.login for person in cloud_people(stage)][2:8]
    for name, age in zip([*owners, "backup-writer"], (412, 200, 91, 89.5, 500, 80, 700), strict=True):
        made = FIRST_NIGHT - timedelta(days=age)
        user = company.cloud[name]
        user.keys = [Key(made, used=FIRST_NIGHT - timedelta(days=2))]
        if age == 500 or (age == 200 and stage.night > 1):  # replaced, the second one on night 2
            user.keys[0].active = False
            user.keys.append(Key(FIRST_NIGHT - timedelta(hours=5)))
        old = made < company.as_of - timedelta(days=90)
        stage.claim("IG-CRD-001", of_key(name), when=old and user.keys[0].active)


def _entra(stage: Stage) -> None:
    """Entra: a leaver, roles without approval or past it, a guest of nobody, secrets of applications."""
    company = stage.company
    left, given, ended = (stage.pick(department="IT") for _ in range(3))
    over = stage.leave(left, -8)
    company.account_of(left).locked = True  # disabled in the directory, and forgotten in the cloud until night 3
    company.entra[left.login] = EntraUser(left.login, left, enabled=stage.night < 3)
    stage.claim("IG-LVR-001", of_guest(left.login), when=over and stage.night < 3)
    for person in company.staff("IT"):
        if person.status is None:
            company.entra[person.login] = EntraUser(person.login, person, groups=["IT staff"])
    for person, role in zip(
        company.staff("IT")[:3], ("Global Administrator", "Global Reader", "User Administrator"), strict=True
    ):
        company.entra[person.login].eligible.append(role)
        company.approve(person, ENTRA, role)
    for person in company.staff("IT")[3:6]:
        company.entra[person.login].apps.append("Payroll sync")
        company.approve(person, ENTRA, "Payroll sync")
    company.entra[given.login].roles.append("Global Reader")
    stage.claim("IG-APR-001", of_directory_role(given.login, "Global Reader", "direct"))
    company.entra[ended.login].eligible.append("User Administrator")
    company.approve(ended, ENTRA, "User Administrator", valid_until=FIRST_NIGHT - timedelta(days=5))
    stage.claim("IG-APR-002", of_directory_role(ended.login, "User Administrator", "eligible"))
    if stage.night >= 3:
        company.events.append(Event(ENTRA, FIRST_NIGHT + timedelta(days=1.5), "Disable account", left.login))
    stage.claim("IG-LVR-005", of_guest(left.login), when=stage.night >= 3)
    company.entra["ghost"] = EntraUser("ghost", None, guest=True)
    company.apps["Old reporting"] = App("Old reporting", company.days(-30), enabled=False)
    stage.claim("IG-LVR-002", of_secret("Old reporting"))
    stage.claim("IG-CRD-001", of_secret("Payroll sync"))
    for name in company.apps:
        company.special.append(Special(ENTRA, tenant.service_id(name), "service", f"Application {name}"))


def _okta(stage: Stage) -> None:
    """Okta: everybody is there and leavers are deactivated, but for what was forgotten or never approved."""
    company = stage.company
    forgotten, given, ended = stage.pick(), stage.pick(department="Sales"), stage.pick(department="Engineering")
    over = stage.leave(forgotten, -11)
    company.account_of(forgotten).locked = True
    for person in company.people:
        if person.kind != "supplier":
            last, zone = person.ends_on, person.office.zone
            gone = person.status is not None or (last is not None and stage.is_over(last, zone))
            kept = person is forgotten or person.login in stage.reopened
            status = "DEPROVISIONED" if gone and not kept else "ACTIVE"
            company.okta[person.login] = OktaUser(person.login, person, status)
    stage.claim("IG-LVR-001", of_okta_user(forgotten.login), when=over)
    for group, (department, size) in OKTA_GROUPS.items():
        staff = [person for person in company.staff(department) if person not in (given, ended) and not person.status]
        for person in staff[:size]:
            give_in_okta(stage, person, group)
    for person in [*stage.spenders, *(one for one in company.staff("Finance")[:5] if one not in stage.spenders)]:
        give_in_okta(stage, person, "Expenses")
    company.okta[given.login].groups.append("GitHub users")
    stage.claim("IG-APR-001", of_okta_member(given.login, "GitHub users"))
    company.okta[ended.login].groups.append("CRM users")
    ending = company.approve(ended, OKTA, "CRM users", valid_until=FIRST_NIGHT - timedelta(days=21))
    carried_out(stage, ending)
    stage.claim("IG-APR-002", of_okta_member(ended.login, "CRM users"))
    company.okta["demo.screen"] = OktaUser("demo.screen", None)
    for rule in ("IG-ORP-001", "IG-ORP-004"):
        stage.claim(rule, of_okta_user("demo.screen"))
    company.okta[saas.READER] = OktaUser(saas.READER, None)
    company.special.append(Special(OKTA, saas.user_id(saas.READER), "service", "Reads Okta for the reconciliation"))
    company.special.append(Special(OKTA, saas.service_id(), "service", "Sends the payroll"))


def subjects(claims: list[Claim], ids: Ids) -> list[Mapping[str, object]]:
    """Write claims as plain values: rule_id, verdict, subject."""
    return [{"rule_id": c.rule_id, "verdict": c.verdict, "subject": c.subject(ids)} for c in claims]

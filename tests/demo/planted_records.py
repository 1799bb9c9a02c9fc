"""What is wrong with the records of governance: approvals, reviews, exceptions, roles, documents, tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.demo.company import FIRST_NIGHT, HELD_DIRECTLY, KEEPERS, LDAP, OKTA, PRIVILEGED, Exemption, Review
from tests.demo.governance import DAY_ONE, DOCUMENTS
from tests.demo.stage import (
    OKTA_DECIDED,
    Stage,
    carried_out,
    of_account,
    of_event,
    of_excepted,
    of_membership,
    of_okta_member,
    of_record,
    of_review,
)


def all_of_them(stage: Stage) -> None:
    """Break what this module breaks."""
    for plant in (_approvals, _approvers, _reviews, _exceptions, _governance):
        plant(stage)


def _approvals(stage: Stage) -> None:
    """IG-APR-003, IG-APR-004, IG-APR-009: carried out too early, never, or without its number."""
    company = stage.company
    early, unnumbered = stage.pick(department="Support"), stage.pick(department="Support")
    for person in (early, unnumbered):
        approval = company.approve(person, OKTA, "CRM users", decided_at=OKTA_DECIDED)
        company.okta[person.login].groups.append("CRM users")
        carried_out(stage, approval)
    company.events[-1].ticket = None
    stage.claim("IG-APR-009", of_event(company.events[-1]))
    company.events[-2].at = OKTA_DECIDED - timedelta(days=2)
    stage.claim("IG-APR-003", of_okta_member(early.login, "CRM users"))
    for days in (-10, -3.5):
        decided = FIRST_NIGHT + timedelta(days=days)
        approval = company.approve(stage.pick(department="Support"), OKTA, "CRM users", decided_at=decided)
        over = decided + timedelta(days=7) < company.as_of
        stage.claim("IG-APR-004", of_record(approval_id=approval.approval_id, source=OKTA), when=over)


def _approvers(stage: Stage) -> None:
    """IG-APR-005 to IG-APR-007: who decided on their own, without the role, or without the training."""
    company = stage.company
    alone, stranger = stage.pick(department="Research"), stage.pick(department="Quality")
    company.grant(alone, "lab-control", requested_by=alone.manager_id)
    stage.claim("IG-APR-005", of_record(approval_id=company.approvals[-1].approval_id))
    company.grant(stranger, "audit-readers", approved_by=stage.pick(department="Quality").person_id)
    stage.claim("IG-APR-006", of_record(approval_id=company.approvals[-1].approval_id))
    lapsed = next(person.manager_id for person in company.staff("Sales") if person.manager_id)
    company.untrained[lapsed] = DAY_ONE - timedelta(days=100)
    stage.claim("IG-APR-007", of_record(person_id=lapsed, source=None))
    operator = next(
        account.person
        for account in company.accounts.values()
        if account.person and "domain-admins" in account.groups and account.person.department == "Engineering"
    )
    company.untrained[operator.person_id] = None
    stage.claim("IG-APR-007", of_record(person_id=operator.person_id, source=LDAP))


def _reviews(stage: Stage) -> None:
    """IG-REC-001 to IG-REC-004, in a campaign that is else in order."""
    company, due = stage.company, FIRST_NIGHT + timedelta(days=40)
    reviewed = [
        (account, group)
        for group in ("erp-admins", "audit-readers", "crm-managers")
        for account in company.accounts.values()
        if group in account.groups and account.person is not None and account.person.manager_id is not None
        if account.person.manager_id != account.person.person_id and account.person.department in HELD_DIRECTLY[group]
    ]
    for number, (account, group) in enumerate(reviewed, start=1):
        assert account.person is not None  # that was asked above
        decided = FIRST_NIGHT - timedelta(days=30) + timedelta(minutes=7 * number)
        reviewer = account.person.manager_id or KEEPERS[1]
        company.reviews.append(Review(f"R-{number:03}", account.uid, group, reviewer, "keep", decided, due))
    late, later, revoked, lately, own = company.reviews[:5]
    for review, days in ((late, -5), (later, 2.5)):
        review.decision, review.decided_at = "undecided", None
        review.due_at = FIRST_NIGHT + timedelta(days=days)
        stage.claim("IG-REC-001", of_review(review), when=review.due_at < company.as_of)
    for review, days in ((revoked, -20), (lately, -3.5)):
        review.decision, review.decided_at = "revoke", FIRST_NIGHT + timedelta(days=days)
        over = review.decided_at + timedelta(days=7) < company.as_of
        stage.claim("IG-REC-002", of_review(review), when=over)
    owner = company.accounts[own.uid].person
    assert owner is not None
    own.reviewer = owner.person_id
    stage.claim("IG-REC-003", of_review(own))
    for number, person in enumerate(company.staff("Operations")[1:25]):
        at = FIRST_NIGHT - timedelta(days=12) + timedelta(seconds=2 * number)
        stamped = Review(f"R-5{number:02}", person.login, "dept-operations", KEEPERS[0], "keep", at, due)
        company.reviews.append(stamped)
    stage.claim("IG-REC-004", of_review(company.reviews[-24]))


def _exceptions(stage: Stage) -> None:
    """IG-EXC-001 of the exception that ends on night 4, IG-EXC-002 to IG-EXC-004, and what is suppressed."""
    company = stage.company
    gone = next(person for person in company.people if person.ends_on and person.ends_on < DAY_ONE - timedelta(days=20))
    rule, end = "IG-ORP-004", FIRST_NIGHT + timedelta(days=100)
    bare = Exemption("E-120", rule, LDAP, "svc-print", "Prints rarely", end, compensation=None, review_owner=None)
    left = Exemption("E-121", rule, LDAP, "svc-scan", "Scans rarely", end, review_owner=gone.person_id)
    long_ago = datetime(2025, 1, 5, 10, 0, tzinfo=UTC)
    long = Exemption("E-122", rule, LDAP, "lab-shared", "Used in summer", end, approved_at=long_ago)
    company.exemptions += [bare, left, long]
    for number, exemption in enumerate((bare, left, long), start=2):
        stage.claim(f"IG-EXC-00{number}", of_record(exception_id=exemption.exception_id))
    _cover(stage)


def _cover(stage: Stage) -> None:
    """IG-PRV-001 in the directory: what no exception covers, and what one covered until it ended (IG-EXC-001)."""
    covers = {one.group: one for one in stage.company.exemptions if one.exception_id.startswith("E-11")}
    for account in stage.company.accounts.values():
        for group in () if account.locked else set(PRIVILEGED).intersection(account.groups):
            cover = covers.get(group)
            covered = cover is not None and cover.expires_at > stage.company.as_of
            verdict = "suppressed" if covered else "violation"
            stage.claim("IG-PRV-001", of_membership(account.uid, group), verdict=verdict)
            if cover is not None:
                stage.claim("IG-EXC-001", of_excepted(cover, of_account(account.uid)), when=not covered)


def _governance(stage: Stage) -> None:
    """IG-GOV-001, IG-GOV-002 and IG-GOV-004."""
    company = stage.company
    for number, (_, _, days) in enumerate(DOCUMENTS, start=1):
        over = company.today > DAY_ONE + timedelta(days=days)
        stage.claim("IG-GOV-001", of_record(document_id=f"D-{number:02}"), when=over)
    company.vacant.add("training-coordinator")
    stage.claim("IG-GOV-002", of_record(role="training-coordinator"))
    company.failed_tests.add("IG-C-10")
    company.overdue_tests.add("IG-C-21")
    for control_id in ("IG-C-10", "IG-C-21"):
        stage.claim("IG-GOV-004", of_record(control_id=control_id))

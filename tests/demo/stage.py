"""One night's company while it is being broken, and how the subjects of findings are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tests.demo import directory, saas, tenant
from tests.demo.certificate import credential_part
from tests.demo.cloud import Ids
from tests.demo.company import (
    AWS,
    ENTRA,
    FIRST_NIGHT,
    LDAP,
    OKTA,
    Account,
    Approval,
    Company,
    Event,
    Exemption,
    Person,
    Review,
)

Subject = Callable[[Ids], dict[str, str | None]]
_GRACE = timedelta(hours=24)
DAY_ONE = FIRST_NIGHT.date()


@dataclass(frozen=True, slots=True)
class Claim:
    """A finding that must be there: its rule, verdict and, once the ids are known, its subject."""

    rule_id: str
    subject: Subject
    verdict: str = "violation"


@dataclass(slots=True)
class Stage:
    """The company of one night while it is being broken."""

    company: Company
    night: int
    claims: list[Claim] = field(default_factory=list)
    pool: list[Person] = field(default_factory=list)
    silent: set[str] = field(default_factory=set)
    """Whose account Okta closed without any record of it."""
    late: dict[str, datetime] = field(default_factory=dict)
    """Whose account Okta closed at an hour of its own."""
    reopened: set[str] = field(default_factory=set)
    """Whose account Okta opened again."""
    spenders: list[Person] = field(default_factory=list)
    """Who is given the expenses app as well."""

    def claim(self, rule_id: str, subject: Subject, *, when: bool = True, verdict: str = "violation") -> None:
        """Say that a finding must follow, where ``when`` holds."""
        if when:
            self.claims.append(Claim(rule_id, subject, verdict))

    def pick(self, zone: str | None = None, department: str | None = None, kind: str = "employee") -> Person:
        """Take a person without special access whom nothing else concerns."""
        for person in self.pool:
            if zone in {None, person.office.zone} and department in {None, person.department} and kind == person.kind:
                self.pool.remove(person)
                return person
        message = f"nobody left: {zone} {department} {kind}"
        raise LookupError(message)

    def is_over(self, last_day: date, zone: str) -> bool:
        """Tell whether the grace after a last day, inclusive, has passed."""
        end = datetime.combine(last_day + timedelta(days=1), time(), ZoneInfo(zone))
        return end + _GRACE <= self.company.as_of

    def leave(self, person: Person, days: int) -> bool:
        """Let a person's last day be so many days from the first night; tell whether access must have ended."""
        person.ends_on = DAY_ONE + timedelta(days=days)
        return self.is_over(person.ends_on, person.office.zone)


def of_account(uid: str) -> Subject:
    return lambda _ids: {"source": LDAP, "account_id": directory.account_id(uid)}


def of_user(name: str) -> Subject:
    return lambda ids: {"source": AWS, "account_id": ids.users[name]}


def of_key(name: str, number: int = 0) -> Subject:
    return lambda ids: {"source": AWS, "credential_id": ids.keys[name][number]}


def of_membership(uid: str, group: str) -> Subject:
    return lambda _ids: {
        "source": LDAP,
        "principal_kind": "account",
        "principal_id": directory.account_id(uid),
        "entitlement_id": directory.group_id(group),
        "assignment": "direct",
    }


def of_cloud_grant(name: str, held: Callable[[Ids], str]) -> Subject:
    return lambda ids: {
        "source": AWS,
        "principal_kind": "account",
        "principal_id": ids.users[name],
        "entitlement_id": held(ids),
        "assignment": "direct",
    }


def of_cloud_member(name: str, group: str) -> Subject:
    """Name a cloud user's membership of a cloud group."""
    return of_cloud_grant(name, lambda ids: ids.groups[group])


def of_excepted(exemption: Exemption, account: Subject) -> Subject:
    return lambda ids: {"exception_id": exemption.exception_id, **account(ids)}


def of_okta_user(login: str) -> Subject:
    return lambda _ids: {"source": OKTA, "account_id": saas.user_id(login)}


def of_held(source: str, holder: str, entitlement: str) -> Subject:
    """Name what an account holds, by the ids of both."""
    return lambda _ids: {
        "source": source,
        "principal_kind": "account",
        "principal_id": holder,
        "entitlement_id": entitlement,
        "assignment": "direct",
    }


def of_okta_app(login: str, app: str) -> Subject:
    """Name a person's own assignment to an app of Okta."""
    return lambda ids: of_okta_member(login, app)(ids) | {"entitlement_id": saas.app_id(app)}


def of_okta_member(login: str, group: str) -> Subject:
    return lambda _ids: {
        "source": OKTA,
        "principal_kind": "account",
        "principal_id": saas.user_id(login),
        "entitlement_id": saas.group_id(group),
        "assignment": "direct",
    }


def of_guest(login: str) -> Subject:
    return lambda _ids: {"source": ENTRA, "account_id": tenant.user_id(login)}


def of_directory_role(login: str, role: str, assignment: str) -> Subject:
    return lambda _ids: {
        "source": ENTRA,
        "principal_kind": "account",
        "principal_id": tenant.user_id(login),
        "entitlement_id": tenant.role_id(role),
        "assignment": assignment,
    }


def of_secret(app: str) -> Subject:
    return lambda _ids: {"source": ENTRA, "credential_id": tenant.secret_id(app)}


def of_certificate(account: Account) -> Subject:
    assert account.certificate is not None
    credential = f"{directory.account_id(account.uid)}:certificate:{credential_part(account.certificate)}"
    return lambda _ids: {"source": LDAP, "credential_id": credential}


def cloud_people(stage: Stage) -> list[Person]:
    """Return the people with a cloud user who stay, in a fixed order."""
    users = (user.person for user in stage.company.cloud.values())
    return [person for person in users if person is not None and person.ends_on is None]


OKTA_DECIDED = FIRST_NIGHT - timedelta(days=60)
"""When access in Okta was decided on: so lately that its log still tells what came of it."""


def give_in_okta(stage: Stage, person: Person, held: str) -> None:
    """Give a person a group or an app of Okta as it should be: approved, carried out, recorded with its number."""
    user = stage.company.okta[person.login]
    (user.apps if held == "Expenses" else user.groups).append(held)
    carried_out(stage, stage.company.approve(person, OKTA, held, decided_at=OKTA_DECIDED))


def carried_out(stage: Stage, approval: Approval) -> None:
    """Let Okta's log tell that an approval was carried out some hours after it was decided."""
    held = str(approval.entitlement)
    kind = "application.user_membership.add" if held == "Expenses" else "group.user_membership.add"
    at = max(approval.decided_at, OKTA_DECIDED) + timedelta(hours=5)
    stage.company.events.append(Event(OKTA, at, kind, approval.person.login, held, approval.approval_id))


def of_event(event: Event) -> Subject:
    """Name an event of Okta's log."""
    return lambda _ids: {"source": OKTA, "event_id": saas.event_id(event)}


def of_record(**named: str | None) -> Subject:
    """Name a governance record by its key."""
    return lambda _ids: dict(named)


def of_review(review: Review) -> Subject:
    """Name a review."""
    return lambda _ids: {
        "review_id": review.review_id,
        "source": LDAP,
        "account_id": directory.account_id(review.uid),
        "entitlement_id": directory.group_id(review.group),
    }

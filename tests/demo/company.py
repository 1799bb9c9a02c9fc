"""Meridian Instruments, a made-up company of 500 people: who works there, what they may use, what was approved.

Everything here is as it should be; ``planted`` adds what is wrong. The same seed gives the same company, and every
date is relative to the first night of the story.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TypeVar
from zoneinfo import ZoneInfo

from tests.demo.names import DEPARTMENTS, OFFICES, SUPPLIERS, Office

ESTATE = "Meridian Instruments"
ZONE = "Europe/Amsterdam"
FIRST_NIGHT = datetime(2026, 3, 17, 2, 15, tzinfo=UTC)
LDAP, AWS, ENTRA, OKTA = "corp-ldap", "aws", "entra", "okta"
OKTA_GROUPS = {"GitHub users": ("Engineering", 24), "CRM users": ("Sales", 20)}
"""Okta group -> the department whose people hold it, and how many of them."""
ENTRA_ROLES = ("Global Administrator", "Global Reader", "User Administrator")
HEADCOUNT = 500
KEEPERS = ("P-0001", "P-0002")
"""Who answers for special accounts, and who for exceptions."""
DESK = "P-0020"
"""Who carries out what was approved."""
AGENCY = "S-06"
"""Supplier of the contractors."""
K = TypeVar("K", str, int)
CONTRACTORS = 52


@dataclass(slots=True)
class Person:
    """Somebody whom the company answers for; ``ends_on`` is the last day, inclusive, in the office's zone."""

    person_id: str
    name: str
    login: str
    email: str
    kind: str
    department: str
    title: str
    office: Office
    starts_on: date
    employee_id: str | None = None
    ends_on: date | None = None
    manager_id: str | None = None
    supplier_id: str | None = None
    contract_id: str | None = None
    status: str | None = None
    """What the register says; None: what follows from the last day."""
    also: str | None = None
    """A second address, perhaps of several people."""


@dataclass(slots=True)
class Account:
    """A directory account; ``locked`` is how this directory disables one."""

    uid: str
    person: Person | None
    locked: bool = False
    numbered: bool = True
    """Whether it carries the personnel number."""
    mail: str | None = None
    certificate: bytes | None = None
    """A client certificate, DER."""
    idle_days: int | None = None
    """Days since the last sign-in; None: a few."""
    groups: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Key:
    """An access key of a cloud user, by when it was made; ``used`` None: never."""

    created: datetime
    active: bool = True
    used: datetime | None = None


@dataclass(slots=True)
class CloudUser:
    """An AWS IAM user."""

    name: str
    person: Person | None
    console: bool = False
    mfa: bool = True
    """Whether a second factor is enrolled; asked of administrators only."""
    groups: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    keys: list[Key] = field(default_factory=list)


@dataclass(slots=True)
class EntraUser:
    """A user of the Entra tenant: a supplier's guest, or a member."""

    login: str
    person: Person | None
    guest: bool = False
    mail: str | None = None
    """Address of a guest who is nobody known."""
    enabled: bool = True
    groups: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    """Directory roles held for good."""
    eligible: list[str] = field(default_factory=list)
    """Directory roles that may be activated."""
    apps: list[str] = field(default_factory=list)


@dataclass(slots=True)
class OktaUser:
    """A user of the Okta org, in one of its own states."""

    login: str
    person: Person | None
    status: str = "ACTIVE"
    groups: list[str] = field(default_factory=list)
    apps: list[str] = field(default_factory=list)


@dataclass(slots=True)
class App:
    """An application registered in the Entra tenant; ``secret_made`` is when its client secret was made, if any."""

    name: str
    secret_made: datetime | None = None
    enabled: bool = True
    owner: str | None = None
    """Login of the Entra user who owns it."""


@dataclass(slots=True)
class Approval:
    """A decision on access; ``system`` and ``entitlement`` as the register names them."""

    approval_id: str
    person: Person
    system: str | None
    entitlement: str | None
    decided_at: datetime
    approved_by: str
    requested_by: str
    executed_by: str
    valid_until: datetime | None = None
    decision: str = "approved"
    kind: str = "access_request"
    justification: str = "Needed for the role"


@dataclass(slots=True)
class Contract:
    """A supplier's contract; the last day is inclusive."""

    contract_id: str
    supplier_id: str
    starts_on: date
    ends_on: date
    headcount: int
    scope: tuple[str, ...] = ("suppliers", "Partners")
    status: str = "active"


@dataclass(slots=True)
class Exemption:
    """An accepted deviation; ``account`` is a directory uid or cloud user name of ``source``, None: any."""

    exception_id: str
    rule_id: str
    source: str
    account: str | None
    reason: str
    expires_at: datetime
    person: Person | None = None
    group: str | None = None
    compensation: str | None = "Weekly review of the sign-in log"
    approved_at: datetime = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)
    review_owner: str | None = KEEPERS[1]


@dataclass(slots=True)
class Special:
    """An account in the register of those that are nobody's own."""

    source: str
    name: str
    kind: str
    purpose: str
    steward: str | None = KEEPERS[0]
    owner_role: str | None = "IT manager"


@dataclass(slots=True)
class Event:
    """What a system recorded of somebody; ``login`` is whom it was done to, ``ticket`` the approval it names."""

    source: str
    at: datetime
    kind: str
    """The source's own name of it."""
    login: str
    group: str | None = None
    ticket: str | None = None


@dataclass(slots=True)
class Review:
    """A decision of a recertification on a membership of the directory."""

    review_id: str
    uid: str
    group: str
    reviewer: str
    decision: str
    decided_at: datetime | None
    due_at: datetime


@dataclass(slots=True)
class Company:
    """The whole estate as it stands at one instant."""

    as_of: datetime
    people: list[Person]
    accounts: dict[str, Account]
    groups: dict[str, list[str]]
    """Directory group -> groups that are members of it."""
    cloud: dict[str, CloudUser]
    approvals: list[Approval]
    contracts: dict[str, Contract]
    entra: dict[str, EntraUser] = field(default_factory=dict)
    apps: dict[str, App] = field(default_factory=dict)
    okta: dict[str, OktaUser] = field(default_factory=dict)
    exemptions: list[Exemption] = field(default_factory=list)
    special: list[Special] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    untrained: dict[str, date | None] = field(default_factory=dict)
    """Who lacks the training that everybody else has -> last day of the one they had."""
    vacant: set[str] = field(default_factory=set)
    """Governance roles whose holder's term is over."""
    failed_tests: set[str] = field(default_factory=set)
    """Controls whose last test failed."""
    overdue_tests: set[str] = field(default_factory=set)
    """Controls that were not tested in time."""

    @property
    def today(self) -> date:
        """The date of the run in the estate's zone."""
        return self.as_of.astimezone(ZoneInfo(ZONE)).date()

    def days(self, number: float) -> datetime:
        """Return the instant so many days before (negative) or after the run."""
        return self.as_of + timedelta(days=number)

    def staff(self, department: str | None = None, kind: str = "employee") -> list[Person]:
        """Return the people of a kind who have no last day, in a fixed order."""
        return [
            person
            for person in self.people
            if person.kind == kind and person.ends_on is None and department in {None, person.department}
        ]

    def account_of(self, person: Person) -> Account:
        """Return a person's directory account."""
        return self.accounts[person.login]

    def approve(self, person: Person, system: str | None, entitlement: str | None, **more: object) -> Approval:
        """Add an approval, decided on a working day before the first night and carried out by the service desk."""
        named: dict[str, object] = {
            "decided_at": datetime.combine(max(person.starts_on, date(2024, 1, 8)), time(9, 30), UTC),
            "approved_by": person.manager_id or KEEPERS[1],
            "requested_by": person.person_id,
            "executed_by": DESK,
        }
        number = f"A-{len(self.approvals) + 1:05}"
        approval = Approval(number, person, system, entitlement, **named | more)  # type: ignore[arg-type]  # by name
        self.approvals.append(approval)
        return approval

    def grant(self, person: Person, group: str, **more: object) -> None:
        """Put a person's account into a directory group, with the approval for it."""
        self.account_of(person).groups.append(group)
        self.approve(person, LDAP, group, **more)

    def grant_cloud(self, person: Person, group: str, **more: object) -> None:
        """Put a person's cloud user into a cloud group, with the approval for it."""
        self.cloud[person.login].groups.append(group)
        self.approve(person, AWS, group, **more)


NESTED = {
    "all-staff": [f"dept-{name.lower()}" for name in DEPARTMENTS],
    "vpn-users": ["all-staff", "suppliers"],
    "git-developers": ["dept-engineering", "dept-research"],
    "prod-deployers": ["release-managers"],
    "release-managers": ["prod-deployers"],  # a cycle, as real directories have them
    "erp-users": ["dept-finance", "dept-operations"],
    "crm-users": ["dept-sales", "dept-support"],
}
HELD_DIRECTLY = {
    "finance-approvers": ("Finance", 9),
    "payroll-editors": ("People", 4),
    "erp-admins": ("IT", 4),
    "domain-admins": ("IT", 5),
    "release-managers": ("Engineering", 7),
    "prod-deployers": ("Engineering", 14),
    "lab-control": ("Research", 12),
    "audit-readers": ("Quality", 8),
    "crm-managers": ("Sales", 10),
}
"""Group -> the department whose people hold it, and how many of them."""
PRIVILEGED = ("domain-admins", "erp-admins", "payroll-editors", "prod-deployers")
CLOUD_GROUPS = {
    "developers": ("Engineering", 30),
    "deployers": ("Engineering", 10),
    "readers": ("Research", 8),
    "billing": ("Finance", 4),
    "administrators": ("IT", 4),
}


def build(night: int = 1) -> Company:
    """Make the company as it stands on the given night of the story, with nothing wrong in it."""
    chance = random.Random(20260317)
    company = Company(
        as_of=FIRST_NIGHT + timedelta(days=night - 1),
        people=[],
        accounts={},
        groups={name: list(members) for name, members in NESTED.items()},
        cloud={},
        approvals=[],
        contracts={},
    )
    _hire(company, chance)
    _sign_suppliers(company, chance)
    _open_accounts(company, chance)
    _open_cloud(company, chance)
    _invite_guests(company)
    _register(company)
    return company


def _hire(company: Company, chance: random.Random) -> None:
    names = _names(chance)
    suppliers = sum(size for _, _, size in SUPPLIERS.values())
    for number in range(1, HEADCOUNT - suppliers + 1):
        office, name, login = next(names)
        department = _weighted(chance, {name: share for name, (share, _) in DEPARTMENTS.items()})
        kind = "contractor" if number > HEADCOUNT - suppliers - CONTRACTORS else "employee"
        person = Person(
            person_id=f"P-{number:04}",
            name=name,
            login=login,
            email=f"{login}@meridian.example",
            kind=kind,
            department=department,
            title=chance.choice(DEPARTMENTS[department][1]),
            office=office,
            starts_on=FIRST_NIGHT.date() - timedelta(days=chance.randint(120, 4000)),
            employee_id=f"{100_000 + number}",
        )
        person.manager_id = _manager(company, department)
        if kind == "contractor":
            person.supplier_id, person.contract_id = AGENCY, f"C-{AGENCY[2:]}-2025"
        company.people.append(person)


def _sign_suppliers(company: Company, chance: random.Random) -> None:
    names = _names(chance, taken={person.login for person in company.people})
    number = 0
    agency = Contract(
        f"C-{AGENCY[2:]}-2025", AGENCY, date(2025, 1, 1), date(2026, 12, 31), CONTRACTORS, scope=("dept-*", "Everyone")
    )
    company.contracts[agency.contract_id] = agency
    for supplier_id, (_, domain, size) in SUPPLIERS.items():
        contract = Contract(
            contract_id=f"C-{supplier_id[2:]}-2025",
            supplier_id=supplier_id,
            starts_on=date(2025, 4, 1),
            ends_on=date(2026, 12, 31),
            headcount=size + 2,
        )
        company.contracts[contract.contract_id] = contract
        for _ in range(size):
            number += 1
            office, name, login = next(names)
            company.people.append(
                Person(
                    person_id=f"X-{number:03}",
                    name=name,
                    login=f"x-{login}",
                    email=f"{login}@{domain}",
                    kind="supplier",
                    department="",
                    title="External specialist",
                    office=office,
                    starts_on=date(2025, 4, 1) + timedelta(days=chance.randint(0, 200)),
                    manager_id=company.staff("Operations")[0].person_id,
                    supplier_id=supplier_id,
                    contract_id=contract.contract_id,
                )
            )


def _open_accounts(company: Company, chance: random.Random) -> None:
    for person in company.people:
        company.accounts[person.login] = Account(person.login, person, numbered=person.employee_id is not None)
        group = f"dept-{person.department.lower()}" if person.department else "suppliers"
        company.account_of(person).groups.append(group)
    for account in company.accounts.values():
        for name in account.groups:
            company.groups.setdefault(name, [])
    for person in company.people:
        wanted = "suppliers" if person.kind == "supplier" else f"dept-{person.department.lower()}"
        company.approve(person, LDAP, wanted, kind="onboarding", justification="Works here")
    for group, (department, size) in HELD_DIRECTLY.items():
        company.groups.setdefault(group, [])
        staff = company.staff(department)
        for person in chance.sample(staff, min(size, len(staff))):
            company.grant(person, group)


def _open_cloud(company: Company, chance: random.Random) -> None:
    for group, (department, size) in CLOUD_GROUPS.items():
        staff = company.staff(department)
        for person in chance.sample(staff, min(size, len(staff))):
            if person.login not in company.cloud:
                user = CloudUser(person.login, person, console=chance.random() < 0.5)
                age = chance.randint(4, 55)
                user.keys.append(Key(FIRST_NIGHT - timedelta(days=age), used=FIRST_NIGHT - timedelta(hours=age)))
                company.cloud[person.login] = user
            company.grant_cloud(person, group)


def _invite_guests(company: Company) -> None:
    for person in company.staff(kind="supplier"):
        company.entra[person.login] = EntraUser(person.login, person, guest=True, groups=["Partners"])
        company.approve(person, ENTRA, "Partners", kind="onboarding", justification="Works here")


def _register(company: Company) -> None:
    for uid, kind, purpose in (
        ("reconciler", "service", "Reads the directory for the nightly reconciliation"),
        ("canary", "service", "Proves that the reader sees the directory"),
        ("svc-backup", "service", "Nightly backup of file shares"),
        ("svc-scan", "service", "Vulnerability scanner"),
        ("svc-print", "service", "Print server"),
        ("lab-shared", "shared", "Bench computer of the optics laboratory"),
        ("breakglass-1", "break_glass", "Emergency access of the administrators"),
    ):
        company.accounts[uid] = Account(uid, None, numbered=False)
        if uid != "svc-backup":  # the configuration registers that one
            company.special.append(Special(LDAP, uid, kind, purpose))
    for name, age in (("Payroll sync", 210), ("Invoice export", 20), ("reconciler", 30)):
        company.apps[name] = App(name, FIRST_NIGHT - timedelta(days=age))
    for name, purpose in (("ci-pipeline", "Build server"), ("backup-writer", "Writes the off-site copy")):
        key = Key(FIRST_NIGHT - timedelta(days=20), used=FIRST_NIGHT - timedelta(hours=1))
        company.cloud[name] = CloudUser(name, None, keys=[key])
        company.special.append(Special(AWS, name, "service", purpose))


def _manager(company: Company, department: str) -> str | None:
    colleagues = [person for person in company.people if person.department == department and person.kind == "employee"]
    return colleagues[0].person_id if colleagues else company.people[0].person_id if company.people else None


def _names(chance: random.Random, taken: set[str] | None = None) -> Iterator[tuple[Office, str, str]]:
    """Yield (office, full name, sign-in name) without end; no two share a sign-in name."""
    used = set(taken or ())
    while True:
        office = OFFICES[_weighted(chance, {index: office.share for index, office in enumerate(OFFICES)})]
        given, family = chance.choice(office.given), chance.choice(office.family)
        plain = f"{_ascii(given)}.{_ascii(family)}"
        login = next(name for name in (plain, *(f"{plain}{n}" for n in range(2, 99))) if name not in used)
        used.add(login)
        yield office, f"{given} {family}", login


def _ascii(text: str) -> str:
    spelled = text.lower().replace("ß", "ss").replace("ø", "o").replace("ł", "l")
    bare = unicodedata.normalize("NFKD", spelled).encode("ascii", "ignore").decode()
    return "".join(letter for letter in bare if letter.isalpha())


def _weighted(chance: random.Random, shares: dict[K, int]) -> K:
    return chance.choices(list(shares), weights=list(shares.values()))[0]

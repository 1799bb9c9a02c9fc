"""What the supplier rules must find, and what is nearly so: contracts, qualifications, scopes and guests."""

from __future__ import annotations

from datetime import date
from typing import Any

from reconciler.sdk.records import Account, Contract, SpecialAccount, Supplier
from tests.truth.company import Company, Staff, approve, hold, person, staff
from tests.truth.world import CLOUD, DAY, DIRECTORY, TODAY, World, entitlement, when

COPIES = 2
"""How often each thing is planted."""

MARS = "Mars/Olympus"
YESTERDAY = TODAY - DAY
TWO_DAYS_AGO = TODAY - 2 * DAY
TOMORROW = TODAY + DAY


def plant(world: World, firm: Company) -> None:
    """Plant hits and near misses of every supplier rule."""
    for _ in range(COPIES):
        _contract_ended(world, firm)
        _contract_of_unknown_end(world, firm)
        _no_contract(world, firm)
        _guest_without_contract(world, firm)
        _not_qualified(world, firm)
        _out_of_scope(world, firm)
        _shared(world, firm)
        _shared_by_candidates(world, firm)
        _headcount(world, firm)
        _guest_without_sponsor(world, firm)
        _sponsor_of_unknown_state(world, firm)
        _ending_soon(world, firm)


def _contract_ended(world: World, firm: Company) -> None:
    def engaged(day: date | None, zone: str | None = "Europe/Paris", status: str = "active", **values: Any) -> Staff:
        return _staff(world, firm, _contract(world, firm, ends_on=day, time_zone=zone, status=status), **values)

    hits = [
        engaged(TODAY - 10 * DAY),
        engaged(TWO_DAYS_AGO),
        # to the second: two hours behind Greenwich the day after the last one ends as the judged instant begins
        engaged(TWO_DAYS_AGO, "America/Noronha"),
        engaged(TWO_DAYS_AGO, None),
        engaged(TODAY + 300 * DAY, status="Terminated"),
        engaged(None, status=" EXPIRED"),
        engaged(TODAY - 10 * DAY, kind="employee"),
        engaged(date(2024, 2, 29), kind=None),
    ]
    for each in hits:
        for account in (each.account, each.cloud):
            world.violates("IG-SUP-001", account.source, account.account_id)
    engaged(TWO_DAYS_AGO, "America/Sao_Paulo")
    engaged(YESTERDAY)
    engaged(TODAY + 300 * DAY, status="expired")
    engaged(date(2028, 2, 29))
    engaged(TODAY - 10 * DAY, kind="employee", supplier_id=None)
    off = engaged(TODAY - 10 * DAY)
    _close(world, off.account)
    world.violates("IG-SUP-001", CLOUD, off.cloud.account_id)


def _contract_of_unknown_end(world: World, firm: Company) -> None:
    near = _contract(world, firm, ends_on=YESTERDAY, time_zone=MARS)
    endless = _contract(world, firm, ends_on=None, status=None)
    for contract in (near, endless):
        world.unknown("IG-SUP-008", contract.contract_id)
        _unknown_both(world, "IG-SUP-001", _staff(world, firm, contract))
    over = _contract(world, firm, ends_on=TODAY - 10 * DAY)
    _unknown_both(world, "IG-SUP-001", _staff(world, firm, over, kind=None, supplier_id=None))
    unlisted = _staff(world, firm, _contract(world, firm), contract_id=world.number("C-unlisted"))
    _unknown_both(world, "IG-SUP-001", unlisted)
    _unknown_scope(world, unlisted)
    doubted = _staff(world, firm, over)
    _unsure(world, doubted.account)
    world.unknown("IG-SUP-001", DIRECTORY, doubted.account.account_id)
    world.violates("IG-SUP-001", CLOUD, doubted.cloud.account_id)
    _staff(world, firm, _contract(world, firm, ends_on=TODAY + 90 * DAY, time_zone=MARS))


def _no_contract(world: World, firm: Company) -> None:
    def sent(supplier: Supplier | None, **values: Any) -> Staff:
        made = {"kind": "contractor", "supplier_id": supplier.supplier_id if supplier else None}
        return staff(world, firm, **(made | values))

    def under(**values: Any) -> Staff:
        return sent(_supplier_of(world, _contract(world, firm, **values)))

    hits = [sent(None), sent(None, kind="external")]
    # somebody's, under no contract that is known by name: what it covers cannot be said
    backed = [under(ends_on=TODAY - 10 * DAY), under(starts_on=TOMORROW), under(status="Cancelled")]
    backed += [sent(_supplier(world), kind="employee")]
    for each in [*hits, *backed]:
        for account in (each.account, each.cloud):
            world.violates("IG-SUP-002", account.source, account.account_id)
    fine = [
        under(),
        under(starts_on=TODAY),
        under(ends_on=YESTERDAY),
        under(ends_on=TWO_DAYS_AGO, time_zone="Etc/GMT+3"),
    ]
    unknown = [under(ends_on=None, status=None)]
    world.unknown("IG-SUP-008", _last(world).contract_id)
    unknown.append(under(ends_on=YESTERDAY, time_zone=MARS))
    world.unknown("IG-SUP-008", _last(world).contract_id)
    for each in unknown:
        _unknown_both(world, "IG-SUP-002", each)
    for each in [*backed, *fine, *unknown]:
        _unknown_scope(world, each)
    _unknown_both(world, "IG-SUP-002", sent(None, kind=None))
    off, doubted = sent(None), sent(None)
    _close(world, off.account)
    _unsure(world, doubted.account)
    world.unknown("IG-SUP-002", DIRECTORY, doubted.account.account_id)
    for each in (off, doubted):
        world.violates("IG-SUP-002", CLOUD, each.cloud.account_id)


def _guest_without_contract(world: World, firm: Company) -> None:
    """Guests whom no person stands for: the domain of their mail says whose they are. All are orphans as well."""
    ended = _supplier_of(world, _contract(world, firm, ends_on=TODAY - 10 * DAY))
    for domain in ("unheard.example", "sub.good.example", "notgood.example", str((ended.domains or [])[0])):
        world.violates("IG-SUP-002", DIRECTORY, _orphan(world, firm, f"pat@{domain}").account_id)
    _orphan(world, firm, "pat@GOOD.example")
    _orphan(world, firm, "pat@unheard.example", kind="human")
    mailless = _orphan(world, firm, None)
    world.unknown("IG-SUP-002", DIRECTORY, mailless.account_id)
    world.unknown("IG-SUP-003", DIRECTORY, mailless.account_id)
    kindless = _orphan(world, firm, "pat@unheard.example", kind=None)
    world.unknown("IG-SUP-002", DIRECTORY, kindless.account_id)
    _close(world, _guest(world, firm, "pat@unheard.example"))
    _register(world, firm, _guest(world, firm, "pat@unheard.example"))


def _not_qualified(world: World, firm: Company) -> None:
    def of(**values: Any) -> Contract:
        return _contract(world, firm, _supplier(world, **values))

    bad = [of(status="suspended"), of(status="disqualified", qualified_until=None)]
    bad += [of(qualified_until=YESTERDAY), of(status=None, qualified_until=date(2024, 2, 29))]
    for contract in bad:
        each = _staff(world, firm, contract)
        guest = _orphan(world, firm, f"sam@{_domain(world, contract)}")
        for account in (each.account, each.cloud, guest):
            world.violates("IG-SUP-003", account.source, account.account_id)
    by_contract = _staff(world, firm, bad[0], supplier_id=None)
    world.violates("IG-SUP-003", CLOUD, by_contract.cloud.account_id)
    _close(world, by_contract.account)
    for contract in (of(qualified_until=TODAY), of(status="conditional"), of(qualified_until=None)):
        _staff(world, firm, contract)
        _orphan(world, firm, f"sam@{_domain(world, contract)}")
    _staff(world, firm, bad[0], kind="employee", supplier_id=None)
    _register(world, firm, _guest(world, firm, f"sam@{_domain(world, bad[0])}"))
    _unknown_both(world, "IG-SUP-003", _staff(world, firm, of(status=None)))
    _unknown_both(world, "IG-SUP-003", _staff(world, firm, of(), supplier_id=world.number("S-unlisted")))
    doubted = _staff(world, firm, bad[1])
    _unsure(world, doubted.account)
    world.unknown("IG-SUP-003", DIRECTORY, doubted.account.account_id)
    world.violates("IG-SUP-003", CLOUD, doubted.cloud.account_id)
    twins = [f"{world.number('twin').lower()}.example"]
    for status in ("qualified", "suspended"):
        of(domains=twins, status=status)
    world.unknown("IG-SUP-003", DIRECTORY, _orphan(world, firm, f"sam@{twins[0]}").account_id)


def _out_of_scope(world: World, firm: Company) -> None:
    office, ledger = firm.office, firm.ledger
    for scope, missed in (
        (["Office"], [ledger]),
        ([], [office, ledger]),
        (["Off?", "Ledge"], [office, ledger]),
        (["", "off*"], [ledger]),
    ):
        each = _staff(world, firm, _contract(world, firm, scope=scope))
        for held in missed:
            world.violates("IG-SUP-004", *_held(each, held.source, held.entitlement_id))
    for fine in ([" OFFICE ", "ledger"], ["Off?ce", "L*r"], [office.entitlement_id.upper(), ledger.entitlement_id]):
        _staff(world, firm, _contract(world, firm, scope=fine))
    unscoped = _staff(world, firm, _contract(world, firm, scope=None))
    _unknown_scope(world, unscoped)
    each = _staff(world, firm, firm.contract)
    for name, assignment in (("Vault", "direct"), ("Vault", "dynamic"), ("LEDGER", "direct"), ("", "direct")):
        extra = entitlement(world, CLOUD, name)
        if not name:
            extra = world.change("entitlements", extra, name=None)
        hold(world, firm, each.cloud, extra, approve(world, firm, each.person, extra), assignment=assignment)
        if name == "Vault" and assignment == "direct":
            world.violates("IG-SUP-004", *_held(each, CLOUD, extra.entitlement_id))
        elif not name:
            world.unknown("IG-SUP-004", *_held(each, CLOUD, extra.entitlement_id))
    special = _staff(world, firm, _contract(world, firm, scope=["Ledger"]))
    _register(world, firm, special.account)


def _shared(world: World, firm: Company) -> None:
    def mailed(email: str | None, **values: Any) -> Account:
        each = _staff(world, firm, firm.contract)
        return world.change("accounts", each.account, email=email, **values)

    hits = [mailed("Support@good.example"), mailed("it-helpdesk@good.example"), mailed(None, login="noreply")]
    hits += [mailed("info@good.example", kind="guest"), _orphan(world, firm, "sales.team@good.example")]
    for account in hits:
        world.violates("IG-SUP-005", DIRECTORY, account.account_id)
    mailed("sam.admin@good.example")
    mailed("supporter@good.example")
    mailed(None, login="bob")
    _close(world, mailed("support@good.example"))
    _register(world, firm, mailed("support@good.example"))
    inside = staff(world, firm)
    world.change("accounts", inside.account, email="support@acme.example")
    unsure = mailed("support@good.example")
    _unsure(world, unsure)
    stranger = staff(world, firm, kind=None, contract_id=firm.contract.contract_id)
    strange = world.change("accounts", stranger.account, email="billing@good.example")
    hidden = mailed(None, login=f"{world.number('hid')}#EXT#@acme", kind="guest")
    for account in (unsure, strange, hidden):
        world.unknown("IG-SUP-005", DIRECTORY, account.account_id)


def _shared_by_candidates(world: World, firm: Company) -> None:
    """Accounts that carry an address of two people: ambiguous, and the supplier rule's where one is a supplier's."""
    outsider = {"kind": "contractor", "supplier_id": "S-1", "contract_id": firm.contract.contract_id}

    def claimed(*kinds: dict[str, Any], **values: Any) -> Account:
        address = f"{world.number('both').lower()}@good.example"
        for each in kinds:
            person(world, manager=firm.boss, emails=[address], **each)
        return _guest(world, firm, address, **({"kind": "human"} | values))

    for account in (
        claimed(outsider, outsider),
        claimed(outsider, {}),
        claimed({"kind": "employee", "supplier_id": "S-1"}, {}, {}),
        claimed({}, {}, kind="guest"),
    ):
        world.violates("IG-SUP-005", DIRECTORY, account.account_id)
    world.violates("IG-ORP-002", DIRECTORY, claimed({}, {}).account_id)
    strangers = claimed({"kind": None}, {})
    world.unknown("IG-SUP-005", DIRECTORY, strangers.account_id)
    world.violates("IG-ORP-002", DIRECTORY, strangers.account_id)
    _close(world, claimed(outsider, outsider))
    claimed(outsider)
    _register(world, firm, claimed(outsider, outsider))


def _headcount(world: World, firm: Company) -> None:
    def filled(headcount: int | None, *people: dict[str, Any]) -> tuple[Contract, list[Staff]]:
        contract = _contract(world, firm, headcount=headcount)
        return contract, [_staff(world, firm, contract, **each) for each in people]

    for contract, _ in (filled(1, {}, {}), filled(0, {}), filled(2, {}, {"kind": "employee"}, {"kind": None})):
        world.violates("IG-SUP-006", contract.contract_id)
    over, people = filled(1, {}, {})
    _close(world, people[0].account)
    world.violates("IG-SUP-006", over.contract_id)
    filled(2, {}, {})
    filled(1, {}, {"kind": "employee", "supplier_id": None})
    filled(0)
    _, people = filled(1, {}, {})
    _close(world, people[1].account)
    _close(world, people[1].cloud)
    open_ended, _ = filled(None, {})
    doubtful, people = filled(1, {}, {})
    _unsure(world, people[1].account)
    _close(world, people[1].cloud)
    strange, _ = filled(1, {}, {"kind": None, "supplier_id": None})
    for contract in (open_ended, doubtful, strange):
        world.unknown("IG-SUP-006", contract.contract_id)


def _guest_without_sponsor(world: World, firm: Company) -> None:
    def gone(**values: Any) -> str:
        return person(world, manager=firm.boss, **values).person_id

    def guest(**values: Any) -> Account:
        return _sponsored(world, firm, **values)

    late = {"time_zone": "America/Los_Angeles"}
    owned = _contract(world, firm, business_owner=gone(ends_on=TODAY - 20 * DAY))
    hits = [
        guest(),
        guest(manager_ref=gone(ends_on=YESTERDAY)),
        guest(manager_ref=gone(status="Left")),
        guest(manager_ref=gone(kind="contractor", supplier_id="S-1", contract_id=firm.contract.contract_id)),
        guest(manager_ref=gone(supplier_id="S-1", contract_id=firm.contract.contract_id)),
        guest(manager_ref="whoever"),
        guest(manager=gone(ends_on=date(2024, 2, 29))),
        guest(contract=owned),
        guest(kind="guest", manager="P-unheard"),
        _orphan(world, firm, "pat@good.example", manager_ref=None),
    ]
    for account in hits:
        world.violates("IG-SUP-007", DIRECTORY, account.account_id)
    guest(manager_ref=gone(ends_on=TODAY))
    guest(manager_ref=gone(ends_on=YESTERDAY, **late))
    guest(manager_ref=f" {firm.boss.person_id.lower()} ")
    guest(owner_ref=str((firm.boss.emails or [""])[0]).upper())
    guest(owner_ref=_account_of(world, firm.boss.employee_id).account_id)
    guest(manager=firm.boss.person_id)
    guest(contract=firm.contract)
    guest(kind="human")
    _close(world, guest())
    _register(world, firm, guest())
    world.change("accounts", staff(world, firm).account, kind=None)


def _sponsor_of_unknown_state(world: World, firm: Company) -> None:
    def sponsor(**values: Any) -> str:
        return person(world, manager=firm.boss, **values).person_id

    unlinked = _orphan(world, firm, "pat@good.example")
    unsure = _sponsored(world, firm)
    _unsure(world, unsure)
    for account in (
        _sponsored(world, firm, manager_ref=sponsor(kind=None)),
        _sponsored(world, firm, manager_ref=sponsor(status="terminated", ends_on=TODAY + 9 * DAY)),
        _sponsored(world, firm, manager_ref=sponsor(ends_on=YESTERDAY, time_zone=MARS)),
        _sponsored(world, firm, manager_ref=unlinked.account_id),
        _sponsored(world, firm, kind=None),
        unsure,
    ):
        world.unknown("IG-SUP-007", DIRECTORY, account.account_id)


def _ending_soon(world: World, firm: Company) -> None:
    for day, zone in (
        (TODAY, "Europe/Paris"),
        (TODAY + 10 * DAY, None),
        (TODAY + 29 * DAY, "Europe/Paris"),
        (TODAY + 29 * DAY, "America/Noronha"),
        (YESTERDAY, "America/Los_Angeles"),
    ):
        contract = _contract(world, firm, ends_on=day, time_zone=zone)
        world.violates("IG-SUP-008", contract.contract_id)
    said = _contract(world, firm, ends_on=TODAY + 10 * DAY, status="expired")
    world.violates("IG-SUP-008", said.contract_id)
    for day, zone in (
        (TODAY + 30 * DAY, "Europe/Paris"),
        (TODAY + 29 * DAY, "America/Los_Angeles"),
        (YESTERDAY, "Europe/Paris"),
        (TODAY + 35 * DAY, MARS),
        (date(2028, 2, 29), "Europe/Paris"),
    ):
        _contract(world, firm, ends_on=day, time_zone=zone)
    _contract(world, firm, ends_on=TODAY + 10 * DAY, status="TERMINATED")
    _contract(world, firm, ends_on=None, status="closed")
    _contract(world, firm, ends_on=None)
    unknown: list[tuple[date | None, str | None]] = [
        (TODAY + 10 * DAY, "active"),
        (TODAY + 30 * DAY, "active"),
        (None, None),
    ]
    for last, status in unknown:
        contract = _contract(world, firm, ends_on=last, status=status, time_zone=MARS)
        world.unknown("IG-SUP-008", contract.contract_id)


def _supplier(world: World, **values: Any) -> Supplier:
    """Add a supplier in order, with a mail domain of its own."""
    supplier_id = world.number("S-planted")
    made: dict[str, Any] = {
        "name": f"Supplier {supplier_id[-6:]}",
        "domains": [f"{supplier_id.lower()}.example"],
        "status": "qualified",
        "qualified_until": TODAY + 300 * DAY,
        "owner_role": "supplier manager",
    }
    return world.add("suppliers", Supplier(supplier_id=supplier_id, **(made | values)))


def _contract(world: World, firm: Company, supplier: Supplier | None = None, **values: Any) -> Contract:
    """Add a contract in order, with a supplier of its own where none is given."""
    made: dict[str, Any] = {
        "supplier_id": (supplier or _supplier(world)).supplier_id,
        "status": "active",
        "starts_on": TODAY - 400 * DAY,
        "ends_on": TODAY + 300 * DAY,
        "time_zone": "Europe/Paris",
        "scope": ["Office", "Ledger"],
        "headcount": 1000,
        "business_owner": firm.boss.person_id,
    }
    return world.add("contracts", Contract(contract_id=world.number("C-planted"), **(made | values)))


def _staff(world: World, firm: Company, contract: Contract, **values: Any) -> Staff:
    """Add a person who works under a contract, with everything else in order."""
    made = {"kind": "contractor", "supplier_id": contract.supplier_id, "contract_id": contract.contract_id}
    return staff(world, firm, **(made | values))


def _sponsored(
    world: World, firm: Company, *, contract: Contract | None = None, manager: str | None = None, **values: Any
) -> Account:
    """Add a guest account of a supplier's person for whom, by the records, nobody but ``manager`` answers."""
    each = _staff(world, firm, contract or _contract(world, firm, business_owner=None), manager_id=manager)
    return world.change("accounts", each.account, **({"kind": "guest"} | values))


def _guest(world: World, firm: Company, email: str | None, **values: Any) -> Account:
    """Add an account that no personnel number links; the boss answers for it."""
    account_id = world.number("acc-guest")
    made: dict[str, Any] = {
        "login": account_id,
        "email": email,
        "kind": "guest",
        "raw_status": "ACTIVE",
        "status": "enabled",
        "can_sign_in": True,
        "created_at": when(100),
        "last_sign_in_at": when(2),
        "last_sign_in_basis": "sign-in log",
        "mfa_enrolled": True,
        "manager_ref": firm.boss.person_id,
        "attributes": "{}",
    }
    return world.add("accounts", Account(source=DIRECTORY, account_id=account_id, **(made | values)))


def _orphan(world: World, firm: Company, email: str | None, **values: Any) -> Account:
    """Add such an account that can be used and that nobody fits."""
    account = _guest(world, firm, email, **values)
    world.violates("IG-ORP-001", DIRECTORY, account.account_id)
    return account


def _register(world: World, firm: Company, account: Account) -> None:
    """Register an account as a shared one that the boss looks after."""
    world.add(
        "special_accounts",
        SpecialAccount(
            source=account.source,
            account_id=account.account_id.upper(),
            kind="shared",
            steward=firm.boss.person_id,
            purpose="front desk",
            reviewed_on=TODAY - 30 * DAY,
            review_due_on=TODAY + 300 * DAY,
        ),
    )


def _current(world: World, account: Account) -> Account:
    return next(a for a in world.rows["accounts"] if isinstance(a, Account) and a.account_id == account.account_id)


def _account_of(world: World, employee_id: str | None) -> Account:
    return next(a for a in world.rows["accounts"] if isinstance(a, Account) and a.employee_id == employee_id)


def _close(world: World, account: Account) -> None:
    world.change("accounts", _current(world, account), status="disabled", raw_status="OFF", can_sign_in=False)


def _unsure(world: World, account: Account) -> None:
    """Make it unknown whether an account can be used."""
    world.change("accounts", _current(world, account), status="suspended", raw_status="HELD", can_sign_in=None)


def _supplier_of(world: World, contract: Contract) -> Supplier:
    return next(s for s in world.rows["suppliers"] if isinstance(s, Supplier) and s.supplier_id == contract.supplier_id)


def _domain(world: World, contract: Contract) -> str:
    return str((_supplier_of(world, contract).domains or [""])[0])


def _last(world: World) -> Contract:
    contract = world.rows["contracts"][-1]
    assert isinstance(contract, Contract)
    return contract


def _held(each: Staff, source: str, entitlement_id: str) -> tuple[str, str, str, str, str]:
    account = each.account if source == DIRECTORY else each.cloud
    return (source, "account", account.account_id, entitlement_id, "direct")


def _unknown_both(world: World, rule_id: str, each: Staff) -> None:
    for account in (each.account, each.cloud):
        world.unknown(rule_id, account.source, account.account_id)


def _unknown_scope(world: World, each: Staff) -> None:
    """Say that whether the contract covers what a person holds is unknown."""
    for made in (each.grant, each.ledger):
        world.unknown("IG-SUP-004", made.source, "account", made.principal_id, made.entitlement_id, "direct")

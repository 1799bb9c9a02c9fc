"""Run one night of the demonstration: serve the company, run the product, compare with what was planted."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO
from unittest.mock import patch

from tests.demo import cloud, directory, governance, planted, saas, tenant
from tests.demo.company import ESTATE, LDAP, ZONE, Company
from tests.demo.names import DEPARTMENTS
from tests.servers.moto_server import KEYS, serve
from tests.simulators.graph.server import CLIENT_ID, SECRET, GraphSimulator
from tests.simulators.ldap_server import Faults, LdapServer
from tests.simulators.okta.auth import Principal
from tests.simulators.okta.server import TOKEN, OktaSimulator

NIGHTS = 14
"""Nights that the story has; after them it starts anew."""

_ACROSS = ("IG-LVR-006", "IG-SOD-001", "IG-SUP-006")
"""Rules that compare systems: with one of them in the dark they judge nothing."""
_MARK = "night.json"
_START: dict[str, Any] = {"night": 0, "open": []}
_LDAP_PASSWORD = "MERIDIAN_LDAP_PASSWORD"
_ENTRA_SECRET = "MERIDIAN_ENTRA_SECRET"
_OKTA_TOKEN = "MERIDIAN_OKTA_TOKEN"
_CONFIG = """\
# Written by `make demo`. The servers of this company run only while the demonstration does.
[estate]
name = "{name}"
time_zone = "{zone}"

[store]
database = "sqlite:///reconciler.db"
snapshots = "snapshots"

[sources.corp-ldap]
connector = "ldap"
url = "{ldap}"
bind_dn = "{reader}"
bind_password = "env:{variable}"
base_dn = "{base}"
canaries = ["{canary}"]
ordinary_groups = ["*"] # somebody looked: power lies only with the groups that the directory protects

[sources.aws]
connector = "aws"
endpoint_url = "{aws}"

[sources.okta]
connector = "okta"
org_url = "{okta}"
api_token = "env:{okta_variable}"
ca_file = "{okta_ca}"
ordinary = ["GitHub", "Expenses", "GitHub users", "CRM users", "Contractors", "Everyone"]
kinds = {{ employee = "human", contractor = "human" }}
events_days = 90
approval_path = "debugContext.debugData.ticket"

[sources.entra]
connector = "entra"
tenant_id = "{tenant}"
client_id = "{client}"
client_secret = "env:{client_variable}"
authority_url = "{graph}"
endpoint_url = "{graph}"
ca_file = "{graph_ca}"
events_days = 30
may_be_empty = ["grants/eligible for groups"] # nobody here is: a person's word for it

[sources.qms]
connector = "files"
path = "qms"

[[special_accounts]] # beside those in the register of the QMS
source = "corp-ldap"
account_id = "svc-backup"
kind = "service"
owner_role = "IT manager"
steward = "P-0001"
purpose = "Nightly backup of file shares"
reviewed_on = 2026-01-12
review_due_on = 2026-07-12

[[rules.conflicts]]
name = "invoices and customers"
why = "Who looks after a customer must not approve what is paid back to it."
left = [{{ source = "corp-ldap", entitlement = "finance-approvers" }}]
right = [{{ source = "corp-ldap", entitlement = "crm-managers" }}]

[[rules.conflicts]]
name = "ledger and expenses"
why = "Who can change the ledger must not hand in what is booked in it."
left = [{{ source = "corp-ldap", entitlement = "erp-admins" }}]
right = [{{ source = "okta", entitlement = "Expenses" }}]

[[rules.approval_scope]] # given with the contract, which IG-SUP-001 to IG-SUP-008 judge
source = "corp-ldap"
entitlement = "suppliers"
approval = "not_required"

[[rules.approval_scope]]
source = "entra"
entitlement = "Partners"
approval = "not_required"
{role_maps}
[rules.params.IG-APR-006]
approver_roles = ["line manager"]

[rules.params.IG-APR-007]
courses = ["access and privacy"]

[report]
folder = "reports"
formats = ["html", "xlsx", "csv", "json"]
"""


@dataclass(frozen=True, slots=True)
class Night:
    """What one night came to. ``found`` and ``expected`` are findings as (rule, verdict, subject) texts."""

    number: int
    folder: Path
    company: Company
    exit_code: int
    said: Mapping[str, Any]
    findings: Sequence[Mapping[str, Any]]
    found: frozenset[str]
    expected: frozenset[str]
    blind: bool = False
    complaint: str = ""

    @property
    def went_well(self) -> bool:
        """Whether the product saw what there was to see, and found what was planted and nothing else."""
        return self.exit_code in ({3} if self.blind else {0, 1}) and self.found == self.expected


def next_night(folder: Path, *, reset: bool = False, blind: bool = False) -> Night:
    """Serve the company as it stands on the next night of the story, and run the product on it.

    ``blind``: tonight the directory hides its service accounts, the canary among them, and answers as if all were
    well. Nothing of the directory may then be opened or resolved.
    """
    mark = folder / _MARK
    before: dict[str, Any] = _START if reset or not mark.is_file() else json.loads(mark.read_text(encoding="utf-8"))
    number = before["night"] + 1
    if number == 1 or number > NIGHTS:
        number, before = 1, _START
        _clear(folder)
    company, claims = planted.broken(number)
    folder.mkdir(parents=True, exist_ok=True)
    with (
        _apart(),
        serve() as aws,
        LdapServer(
            directory.entries(company),
            users={directory.READER: directory.PASSWORD},
            profile="ad",
            faults=Faults(hidden=[directory.SERVICES] if blind else []),
        ) as ldap,
        GraphSimulator(tenant.build(company)) as graph,
        OktaSimulator(saas.build(company), tokens={TOKEN: Principal(user_id=saas.user_id(saas.READER))}) as okta,
    ):
        ids = cloud.seed(aws, company)
        expected = planted.subjects(claims, ids)
        governance.write(company, ids, folder / "qms")
        (folder / "reconciler.toml").write_text(_config(ldap.url, aws.url, graph, okta), encoding="utf-8")
        (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n", encoding="utf-8")
        ran = _product(folder, company.as_of, "run", "--as-of", company.as_of.isoformat(), "--json")
    said = json.loads(ran.stdout) if ran.returncode in {0, 1, 3} and ran.stdout else {}
    findings = _reported(said) if said else []
    found = _keys(finding for finding in findings if finding["state"] != "resolved")
    if said:
        mark.write_text(json.dumps({"night": number, "open": sorted(found)}) + "\n", encoding="utf-8")
    due = _keys(expected)
    if blind:
        due = frozenset(key for key in due if not _hangs(key)) | frozenset(filter(_hangs, before["open"]))
    return Night(
        number=number,
        folder=folder,
        company=company,
        exit_code=ran.returncode,
        said=said,
        findings=findings,
        found=found,
        expected=due,
        blind=blind,
        complaint=ran.stderr,
    )


def tell(night: Night, out: TextIO) -> int:
    """Print what the night came to; return 0 where it went well."""
    company, said = night.company, night.said
    print(f"Night {night.number}: {company.as_of:%Y-%m-%d %H:%M} UTC, {ESTATE}", file=out)
    print(
        f"  {len(company.people)} people, {len(company.accounts)} directory accounts, {len(company.okta)} in Okta,"
        f" {len(company.entra)} in Entra, {len(company.cloud)} in AWS, {len(company.approvals)} approvals",
        file=out,
    )
    if not said:
        print(f"  The run failed with exit code {night.exit_code}:\n{night.complaint}", file=out)
        return 2
    incomplete = [part for part in said["coverage"] if part["status"] != "COMPLETE"]
    print(f"  {len(said['coverage'])} parts read, {len(incomplete)} of them not whole", file=out)
    for part in incomplete:
        print(f"    {part['source']} {part['table_name']}: {part['status']}: {' '.join(part['gaps'] or [])}", file=out)
    moves = ("new", "persisting", "reopened", "unverified", "resolved", "suppressed")
    print(f"  {', '.join(f'{said[move]} {move}' for move in moves)}\n", file=out)
    for line in _table(night.findings):
        print(f"  {line}", file=out)
    missed, extra = night.expected - night.found, night.found - night.expected
    due = "stand, those of the blind spot as last known" if night.blind else "were planted"
    print(f"\n  {len(night.expected)} findings {due}: {len(missed)} missed, {len(extra)} too many", file=out)
    for text in sorted([f"missed   {key}" for key in missed] + [f"too many {key}" for key in extra]):
        print(f"    {text}", file=out)
    _look(night, out)
    return 0 if night.went_well else 1


def _hangs(key: str) -> bool:
    """Tell whether a finding hangs on the directory: it is of it, or compares it with the other systems."""
    return LDAP in key or key.startswith(_ACROSS)


def _look(night: Night, out: TextIO) -> None:
    """Say where to look, each a command that works as it stands."""
    report = next(path for path in night.said["reports"] if path.endswith(".html"))
    print(f"\n  Report: {report}\n", file=out)
    print("  Look closer; each command works as it stands:", file=out)
    command = os.path.relpath(Path(sys.executable).with_name("reconciler"))
    config = f"--config {shlex.quote(str(night.folder / 'reconciler.toml'))}"
    for what, said in (
        ("findings list --open --severity critical", "what stands open"),
        ("nonconformities list", "what is owed next, and by whom"),
        ("matrix", "each control: proven, violated, not evaluable, and who answers for it"),
        (f"assurance --as-of {night.company.as_of:%Y-%m-%dT%H:%M:%SZ}", "is each grant and revocation proven?"),
        ("links list --state ambiguous", "accounts that several people fit"),
        ("exceptions list", "what exceptions suppress"),
    ):
        print(f"    # {said}\n    {command} {what} {config}", file=out)
    print("  Run it again for the next night: some is mended, something new goes wrong.", file=out)


def _reported(said: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return the findings of the run's own JSON report."""
    path = next(path for path in said["reports"] if path.endswith(".json"))
    findings: Sequence[Mapping[str, Any]] = json.loads(Path(path).read_text(encoding="utf-8"))["findings"]
    return findings


_FAMILIES = {
    "LVR": "leavers",
    "ORP": "accounts of nobody",
    "APR": "approvals",
    "MOV": "movers",
    "SOD": "segregation",
    "PRV": "privilege",
    "REC": "reviews",
    "SUP": "suppliers",
    "EXC": "exceptions",
    "CRD": "credentials",
    "NHI": "machines",
    "GOV": "governance",
}


def _table(findings: Iterable[Mapping[str, Any]]) -> list[str]:
    """Count findings by what they are about: a line for each of 54 rules stands in the report."""
    states = ("new", "persisting", "reopened", "unverified", "suppressed", "resolved")
    counted: Counter[tuple[str, str]] = Counter()
    rules: dict[str, set[str]] = {}
    for finding in findings:
        family = finding["rule_id"].split("-")[1]
        standing = _standing(finding)
        unknown = finding["verdict"] == "not_evaluable" and standing != "resolved"
        counted[family, "unknown" if unknown else standing] += 1
        if standing != "resolved":
            rules.setdefault(family, set()).add(finding["rule_id"])
    head = f"{'':<20}{'rules':>6}" + "".join(f"{state:>11}" for state in (*states, "unknown"))
    return [
        head,
        *(
            f"{title:<20}{len(rules.get(family, ())):>6}"
            + "".join(f"{counted[family, state] or '-':>11}" for state in (*states, "unknown"))
            for family, title in _FAMILIES.items()
        ),
        "rules: how many have something to say; unknown: what decides could not be read, so nobody is judged",
    ]


def _standing(finding: Mapping[str, Any]) -> str:
    verified = finding["verified"] or finding["state"] == "resolved"
    return str(finding["state"]) if verified else "unverified"


def _keys(findings: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(
        f"{f['rule_id']} {'suppressed' if f.get('state') == 'suppressed' else f['verdict']}"
        f" {json.dumps(f['subject'], sort_keys=True)}"
        for f in findings
    )


def _config(ldap: str, aws: str, graph: GraphSimulator, okta: OktaSimulator) -> str:
    maps = '\n[[rules.role_maps]]\ndepartment = "{}"\nsource = "corp-ldap"\nentitlement = "{}"\n'
    return _CONFIG.format(
        role_maps="".join(maps.format(name, f"dept-{name.lower()}") for name in DEPARTMENTS),
        name=ESTATE,
        zone=ZONE,
        ldap=ldap,
        aws=aws,
        reader=directory.READER,
        base=directory.DOMAIN,
        canary=directory.CANARY,
        variable=_LDAP_PASSWORD,
        tenant=graph.tenant.tenant_id,
        client=CLIENT_ID,
        client_variable=_ENTRA_SECRET,
        graph=graph.url,
        graph_ca=graph.ca_file,
        okta=okta.url,
        okta_ca=okta.ca_file,
        okta_variable=_OKTA_TOKEN,
    )


@contextmanager
def _apart() -> Iterator[None]:
    """Keep away the AWS settings and proxies of whoever runs this: the company is on loopback."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
            del os.environ[name]
        os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        yield


def _product(folder: Path, hour: datetime, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the real command, as an operator would at that hour."""
    secrets = {
        _LDAP_PASSWORD: directory.PASSWORD,
        _ENTRA_SECRET: SECRET,
        _OKTA_TOKEN: TOKEN,
        "AWS_ACCESS_KEY_ID": KEYS[0],
        "AWS_SECRET_ACCESS_KEY": KEYS[1],
    }
    return subprocess.run(
        [
            *(sys.executable, "-m", "tests.demo.nightly", hour.isoformat()),
            *(*arguments, "--config", str(folder / "reconciler.toml")),
        ],
        env=os.environ | secrets,
        capture_output=True,
        text=True,
        check=False,
    )


def _clear(folder: Path) -> None:
    """Remove what earlier nights left, and nothing else."""
    for name in ("qms", "snapshots", "reports"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in (_MARK, "reconciler.toml", "expected.json"):
        (folder / name).unlink(missing_ok=True)
    for path in folder.glob("reconciler.db*"):
        path.unlink()

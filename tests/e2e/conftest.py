"""A small company on real servers, and the command line as its users run it."""

from __future__ import annotations

import io
import json
import os
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from reconciler import engine
from reconciler.bundled import root
from reconciler.cli.main import main
from tests.servers.moto_server import MotoServer, serve
from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX, Slapd

AS_OF = "2026-03-01T06:00:00Z"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
CANARY = f"uid=canary,{PEOPLE}"


def person(uid: str, number: str = "", **more: Sequence[str]) -> dict[str, Sequence[str | bytes]]:
    """Return the attributes of a person's entry."""
    entry: dict[str, Sequence[str | bytes]] = {
        "objectClass": ["inetOrgPerson"],
        "uid": [uid],
        "cn": [uid.title()],
        "sn": [uid.title()],
        "mail": [f"{uid}@acme.test"],
    }
    return entry | ({"employeeNumber": [number]} if number else {}) | more


def group(name: str, *members: str) -> dict[str, Sequence[str | bytes]]:
    """Return the attributes of a group's entry; members are DNs."""
    return {"objectClass": ["groupOfNames"], "cn": [name], "member": list(members)}


def directory() -> dict[str, dict[str, Sequence[str | bytes]]]:
    """Return the company: nested groups, a cycle, a leaver, an orphan, a contractor, a canary."""
    ou: dict[str, Sequence[str | bytes]] = {"objectClass": ["organizationalUnit"]}
    return {
        PEOPLE: ou | {"ou": ["people"]},
        GROUPS: ou | {"ou": ["groups"]},
        f"uid=ada,{PEOPLE}": person("ada", "1"),
        f"uid=bob,{PEOPLE}": person("bob", "2"),
        f"uid=cleo,{PEOPLE}": person("cleo"),
        f"uid=dirk,{PEOPLE}": person("dirk", "4"),
        f"uid=ghost,{PEOPLE}": person("ghost"),
        CANARY: person("canary"),
        f"cn=staff,{GROUPS}": group("staff", f"uid=ada,{PEOPLE}", f"uid=bob,{PEOPLE}", f"cn=admins,{GROUPS}"),
        f"cn=admins,{GROUPS}": group("admins", f"uid=ada,{PEOPLE}", f"cn=operators,{GROUPS}"),
        f"cn=operators,{GROUPS}": group("operators", f"uid=dirk,{PEOPLE}", f"cn=staff,{GROUPS}"),
    }


CONTROLS = {
    one["id"]: one["owner_role"] for one in tomllib.loads((root("rules") / "controls.toml").read_text())["control"]
}
ROLES = sorted({*CONTROLS.values(), "ciso"})
FAILED = "IG-C-04"
VACATED = CONTROLS[FAILED]
"""The role of the leaver, who still answers for a control."""

QMS = {
    "people.csv": """\
person_id,full_name,emails,logins,employee_id,kind,ends_on,time_zone,contract_id
P1,Ada Byron,ada@acme.test,ada-aws,1,employee,,,
P2,Bob Left,bob@acme.test,bob-aws,2,employee,2026-01-31,Europe/Amsterdam,
P3,Cleo Mail,cleo@acme.test;cleo@home.test,,,employee,,,
P4,Dirk Contractor,dirk@supplier.test,,4,contractor,,,C1
""",
    "approvals.csv": """\
approval_id,kind,person_id,system,entitlement,requested_by,approved_by,executed_by,decision,decided_at,valid_from,valid_until
A1,access_request,P1,corp-ldap,staff,P1,P3,P2,approved,2025-01-01T00:00:00Z,,
A2,access_request,P1,corp-ldap,admins,P1,P3,P2,approved,2025-01-01T00:00:00Z,,2025-12-31T23:00:00Z
A3,access_request,P4,corp-ldap,oper*,P4,P3,P2,approved,2025-01-01T00:00:00Z,,
""",
    "suppliers.csv": "supplier_id,name,domains,status\nS1,Supplier,supplier.test,qualified\n",
    "contracts.csv": """\
contract_id,supplier_id,status,starts_on,ends_on,time_zone,scope,headcount,business_owner
C1,S1,active,2024-01-01,2026-02-15,Europe/Paris,operators,1,P3
""",
    "exceptions.csv": """\
exception_id,rule_id,source,account_id,person_id,reason,approved_by,approved_at,expires_at,status,review_owner,compensating_control
E1,IG-LVR-001,corp-ldap,,P2,handover,P1,2026-01-31T10:00:00Z,2026-02-15T00:00:00Z,active,P3,signs in by hand only
""",
    "special_accounts.csv": """\
source,account_id,kind,owner_role,purpose
corp-ldap,canary,service,security,comes back in every pull
corp-ldap,"CN=reader,dc=acme,dc=test",service,security,reads the directory every night
corp-ldap,"cn=limited,dc=acme,dc=test",service,security,tests a limit
""",
    "role_holders.csv": "role,person_id,since,until\nsystem owner,P3,2024-01-01,\nsecurity,P3,2024-01-01,\n"
    + "".join(f"{role},{'P2' if role == VACATED else 'P3'},2024-01-01,\n" for role in ROLES),
    "trainings.csv": "person_id,course,completed_on,valid_until\nP3,access management,2026-01-10,\n",
    "documents.csv": """\
document_id,title,kind,owner_role,next_review_on
D1,Access policy,policy,security,2027-01-31
D2,Supplier policy,policy,security,2026-01-31
""",
    "reviews.csv": """\
review_id,source,account_id,entitlement_id,campaign,reviewer_id,decision,decided_at,due_at
R1,corp-ldap,ada,staff,spring,P3,keep,2026-02-10T10:00:00Z,2026-02-20T00:00:00Z
R2,corp-ldap,dirk,operators,spring,P3,undecided,,2026-02-20T00:00:00Z
""",
    "control_tests.csv": "control_id,test_id,performed_at,performed_by,outcome\n"
    + "".join(
        f"{control},T1,2026-02-20T10:00:00Z,P3,{'failed' if control == FAILED else 'passed'}\n" for control in CONTROLS
    ),
}


_LOADED: dict[object, list[engine.Rule]] = {}


def load_once(
    folders: Sequence[Path], params: Mapping[str, Mapping[str, object]] | None = None, *, locked: bool = True
) -> list[engine.Rule]:
    """Load rules as the product does, but files that have not changed since only once: it takes a second each time."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    state = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in files]
    key = (tuple(folders), tuple(state), repr(params), locked)
    if key not in _LOADED:
        _LOADED[key] = engine.loading.load(folders, params, locked=locked)
    return list(_LOADED[key])


class Answer(NamedTuple):
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class World:
    """A folder with a configuration and governance files, and the servers that it names."""

    folder: Path
    ldap_url: str
    aws_url: str
    password: str = READER_PASSWORD
    more: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "reconciler.toml"

    def write(self) -> World:
        """Write the configuration of the README's contract and the governance files."""
        self.config.write_text(f"""\
[estate]
name = "acme"
time_zone = "Europe/Amsterdam"
[store]
database = "sqlite:///reconciler.db"
snapshots = "snapshots"
[sources.corp-ldap]
connector = "ldap"
url = "{self.ldap_url}"
bind_dn = "{READER}"
bind_password = "env:LDAP_PASSWORD"
base_dn = "{SUFFIX}"
canaries = ["{CANARY}"]
retry_seconds = 1
{self.more}
[sources.aws]
connector = "aws"
endpoint_url = "{self.aws_url}"
retry_seconds = 1
[sources.qms]
connector = "files"
path = "qms"
""")
        (self.folder / "qms").mkdir(exist_ok=True)
        for name, text in QMS.items():
            (self.folder / "qms" / name).write_text(text)
        return self

    def command(self, *arguments: object) -> tuple[list[str], dict[str, str]]:
        """Return the command line and environment of ``reconciler ARGUMENTS --config ...``."""
        environment = os.environ | {
            "LDAP_PASSWORD": self.password,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "planted-aws-secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "RECONCILER_CONFIG": str(self.config),
        }
        command = [sys.executable, "-m", "reconciler", *map(str, arguments)]
        return command, {k: v for k, v in (environment | self.environment).items() if v}

    def ask(self, *arguments: object, code: int | None = None) -> Answer:
        """Run the command in this process; whatever is no expected failure fails the test.

        A process of its own costs seconds of imports each time; ``command`` is for the tests that need one.
        """
        command, environment = self.command(*arguments)
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr(os, "environ", environment)
            patch.setattr(engine, "load", load_once)
            patch.setattr(sys, "argv", ["reconciler", *command[3:]])
            patch.chdir("/")
            with pytest.raises(SystemExit) as ended:
                main()
        answer = Answer(int(ended.value.code or 0), out.getvalue(), err.getvalue())
        said = answer.stdout + answer.stderr
        assert self.password not in said
        if code is not None:
            assert answer.returncode == code, said
        return answer

    def run(self, *arguments: object, code: int) -> dict[str, Any]:
        """Do a night as of AS_OF and return what it says as JSON."""
        answer = self.ask("run", "--json", "--as-of", AS_OF, *arguments, code=code)
        return json.loads(answer.stdout)  # type: ignore[no-any-return] # the command prints one object

    def findings(self, *arguments: object) -> list[dict[str, Any]]:
        """List the findings."""
        return json.loads(self.ask("findings", "list", "--json", *arguments, code=0).stdout)  # type: ignore[no-any-return] # an array


@pytest.fixture(scope="module")
def moto() -> Iterator[MotoServer]:
    """Serve an AWS account with an old key, a leaver's key and a nested policy.

    Once a file: moto keeps one state for the whole process, and other folders' tests empty it.
    """
    with serve() as server:
        iam = server.client("iam")
        for user, number in (("ada-aws", ""), ("bob-tagged", "2")):
            tags = [{"Key": "employee_id", "Value": number}] if number else []
            iam.create_user(UserName=user, Tags=tags)
            key = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
            server.date_key(user, key, datetime(2024, 1, 1, tzinfo=UTC))
        iam.create_group(GroupName="developers")
        iam.add_user_to_group(GroupName="developers", UserName="ada-aws")
        iam.close()
        yield server


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    """Serve the company's directory by a real OpenLDAP."""
    with Slapd(tmp_path / "slapd", directory()) as server:
        yield server


@pytest.fixture
def world(tmp_path: Path, slapd: Slapd, moto: MotoServer) -> World:
    """Return the company on real servers, its configuration written."""
    folder = tmp_path / "acme"
    folder.mkdir()
    return World(folder, slapd.url, moto.url).write()

"""Bad input and broken systems: a clear message with the remedy, the right exit code, and nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.e2e.conftest import PEOPLE, QMS, World, directory, person
from tests.servers.moto_server import MotoServer
from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX
from tests.simulators.ldap_server import Faults, LdapServer


class Empty(BaseHTTPRequestHandler):
    """Answers everything with 200 and nothing."""

    def do_POST(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def quick(tmp_path: Path, moto: MotoServer) -> World:
    """Return the company without a directory: no server has to start."""
    folder = tmp_path / "acme"
    folder.mkdir()
    world = World(folder, "ldap://127.0.0.1:1", moto.url).write()
    text = world.config.read_text()
    start, end = text.index("[sources.corp-ldap]"), text.index("[sources.aws]")
    world.config.write_text(text[:start] + text[end:])
    return world


def edit(world: World, old: str, new: str) -> None:
    text = world.config.read_text()
    assert old in text
    world.config.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "acme"', 'nmae = "acme"', "reconciler.toml:2: estate.nmae: unknown key; did you mean name?"),
        ('connector = "aws"', 'connector = "aws2"', "unknown connector 'aws2'"),
        ("[estate]", "[estate", "reconciler.toml:1"),
        ('path = "qms"', 'path = "qsm"', "qsm"),
        ("[sources.qms]", '[rules.params.IG-LVR-001]\ngrce = "PT1H"\n[sources.qms]', "grce"),
        ("[sources.qms]", '[rules.params.IG-XXX-999]\ngrace = "PT1H"\n[sources.qms]', "IG-XXX-999"),
        ("[sources.qms]", '[rules]\nfolders = ["own"]\n[sources.qms]', "own"),
    ],
)
def test_a_wrong_configuration_exits_with_2(quick: World, old: str, new: str, said: str) -> None:
    edit(quick, old, new)
    answer = quick.ask("run", code=2)
    assert said in answer.stderr
    assert not (quick.folder / "snapshots").exists() or not list((quick.folder / "snapshots").glob("2*"))


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("people.csv", 'person_id,full_name\nP1,"Ada\nP2,Bob\n', "people.csv, line 2"),
        ("people.csv", "person_id,full_name\nP1,Ada\nP2,Bob,more\n", "people.csv, line 3"),
        ("people.csv", "person_id,ful_name\nP1,Ada\n", "full_name"),
        ("people.csv", "person_id,full_name\nP1,Ada\nP1,Bob\n", "people.csv, line 3"),
        ("people.csv", "full_name\nAda\n", "person_id"),
        ("people.csv", "person_id,ends_on\nP1,31.12.2026\n", "ends_on"),
        ("people.csv", "", "people.csv"),
        ("approvals.csv", "approval_id,decided_at\nA1,2026-01-01T10:00:00\n", "decided_at"),
        ("approvals.csv", "approval_id,decided_at\nA1,2026-01-01\n", "decided_at"),
        ("exceptions.csv", "exception_id,expires_at\nE1,soon\n", "expires_at"),
        ("peple.csv", "person_id\nP1\n", "people"),
    ],
)
def test_a_malformed_file_names_file_line_and_column(quick: World, name: str, text: str, said: str) -> None:
    (quick.folder / "qms" / name).write_text(text)
    answer = quick.ask("run", code=2)
    assert said in answer.stderr
    assert name in answer.stderr
    assert quick.findings() == []


def test_a_missing_secret_within_a_section_is_named_too(world: World) -> None:
    world.more = """
[sources.lms]
connector = "rest"
url = "https://lms.acme.test/"
auth = { type = "bearer", token = "env:LMS_TOKEN" }
[sources.lms.mapping.trainings]
path = "trainings"
rows = "@"
columns = { person_id = "person", course = "course" }
"""
    said = world.write().ask("config", "check", code=2).stderr
    assert "sources.lms.auth.token" in said
    assert "Set the environment variable LMS_TOKEN" in said


def test_a_missing_secret_is_named_with_its_remedy(world: World) -> None:
    world.environment = {"LDAP_PASSWORD": ""}
    answer = world.ask("run", code=2)
    assert "env:LDAP_PASSWORD" in answer.stderr
    assert "Set the environment variable LDAP_PASSWORD" in answer.stderr
    assert world.ask("config", "check", code=2).stderr.count("LDAP_PASSWORD") >= 1


def test_a_wrong_password_is_a_source_that_could_not_be_read(world: World) -> None:
    world.password = "not-the-password"
    night = world.run(code=3)
    assert {p["status"] for p in night["coverage"] if p["source"] == "corp-ldap"} == {"FAILED"}
    checked = world.ask("sources", "check", code=3)
    assert "corp-ldap" in checked.stdout


def test_a_rule_naming_an_unknown_column_is_refused_with_file_and_line(quick: World) -> None:
    own = quick.folder / "own" / "leaver"
    quick.ask("rules", "new", quick.folder / "own", "leaver", "own_rule", code=0)
    quick.ask("rules", "lint", quick.folder / "own", code=0)
    sql = own / "own_rule.sql"
    sql.write_text(sql.read_text().replace("account_id", "acount_id"))
    edit(quick, "[sources.qms]", '[rules]\nfolders = ["own"]\n[sources.qms]')
    answer = quick.ask("run", code=2)
    assert "own_rule.sql:" in answer.stderr
    assert "acount_id" in answer.stderr


def simulated(world: World, faults: Faults) -> Iterator[LdapServer]:
    entries = directory() | {f"uid=u{n},{PEOPLE}": person(f"u{n}") for n in range(30)}
    server = LdapServer(
        {SUFFIX: {"objectClass": ["dcObject"], "dc": ["acme"]}, **entries},
        users={READER: READER_PASSWORD},
        faults=faults,
    )
    with server:
        world.ldap_url = server.url
        world.more = "page_size = 5"
        yield server


@pytest.mark.parametrize(
    "faults",
    [
        Faults(cut_after_pages=2, cut_times=1_000),
        Faults(cut_after_entries=7, cut_times=1_000, reset=True),
        Faults(repeat_cookie=True),
        Faults(no_control_on_page=2),
        Faults(code_on_page=(3, 4)),
        Faults(empty_results=True),
        Faults(referrals=["ldap://elsewhere.acme.test/dc=acme,dc=test"]),
    ],
    ids=lambda f: ", ".join(k for k in f.__dataclass_fields__ if getattr(f, k) != getattr(Faults(), k)),
)
def test_a_directory_that_breaks_opens_and_closes_nothing(world: World, faults: Faults) -> None:
    world.run(code=1)
    before = {f["finding_id"]: (f["reason"], f["verdict"]) for f in world.findings()}
    for _ in simulated(world, faults):
        world.write()
        night = world.run(code=3)
    assert {f["finding_id"]: (f["reason"], f["verdict"]) for f in world.findings()} == before
    assert not [f for f in world.findings() if f["state"] == "resolved"]
    assert night["new"] == night["resolved"] == 0
    gaps = [g for p in night["coverage"] if p["source"] == "corp-ldap" for g in p["gaps"]]
    assert gaps


def test_a_200_with_an_empty_body_is_no_empty_account(world: World) -> None:
    world.run(code=1)
    before = {f["finding_id"] for f in world.findings()}
    server = ThreadingHTTPServer(("127.0.0.1", 0), Empty)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        edit(world, world.aws_url, f"http://127.0.0.1:{server.server_port}")
        night = world.run(code=3)
    finally:
        server.shutdown()
        server.server_close()
    assert {f["finding_id"] for f in world.findings()} == before
    assert {p["status"] for p in night["coverage"] if p["source"] == "aws"} == {"FAILED"}


def test_a_kill_in_mid_run_leaves_an_unsealed_snapshot_that_the_next_run_reports(world: World) -> None:
    world.run(code=1)
    before = world.findings()
    for server in simulated(world, Faults(stall_on_page=2)):
        world.write()
        command, environment = world.command("run")
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while not list((world.folder / "snapshots").glob("*.unsealed")) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert server.url
    assert world.findings() == before
    (left,) = (world.folder / "snapshots").glob("*.unsealed")
    (world.folder / "qms" / "people.csv").write_text(QMS["people.csv"])
    answer = world.ask("pull")
    assert str(left) in answer.stdout
    assert answer.returncode == 3


def test_a_full_disk_exits_with_4_and_seals_nothing(quick: World) -> None:
    small = quick.folder / "snapshots"
    small.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    mounted = (
        mounted
        and subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False).returncode == 0
    )
    command, environment = quick.command("run")
    crowd = "".join(f"X{n},{os.urandom(24).hex()},,,,employee,,,\n" for n in range(20_000))
    people = quick.folder / "qms" / "people.csv"
    people.write_text(people.read_text() + crowd)
    if not mounted:  # a limit on the size of a file is the nearest thing without the right to mount
        command = ["sh", "-c", 'ulimit -f 64; trap "" XFSZ; exec "$@"', "sh", *command]
    try:
        answer = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert answer.returncode == 4, answer.stdout + answer.stderr
        assert "Traceback" not in answer.stderr
        assert str(small) in answer.stderr
        assert not list(small.glob("*Z-??????"))
    finally:
        if mounted:
            subprocess.run(["umount", small], check=True)


def test_a_database_that_cannot_be_written_exits_with_4_before_anything_is_pulled(quick: World) -> None:
    locked = quick.folder / "locked"
    locked.mkdir()
    edit(quick, "sqlite:///reconciler.db", "sqlite:///locked/reconciler.db")
    quick.ask("db", "upgrade", code=0)
    mounted = os.geteuid() == 0
    if mounted:  # root writes past permission bits, but not past a read-only mount
        subprocess.run(["mount", "--bind", locked, locked], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", locked], check=True)
    else:
        locked.chmod(0o500)
        (locked / "reconciler.db").chmod(0o400)
    try:
        answer = quick.ask("run", code=4)
        assert "reconciler.db" in answer.stderr
        assert not list(quick.folder.glob("snapshots/2*"))
    finally:
        if mounted:
            subprocess.run(["umount", locked], check=True)
        else:
            locked.chmod(0o700)


def test_an_instant_in_the_future_does_not_lock_the_database(quick: World) -> None:
    quick.ask("run", "--as-of", "2030-01-01T00:00:00Z", code=1)
    quick.ask("run", code=1)
    answer = quick.ask("run", "--as-of", "2026-01-01T00:00:00Z", code=2)
    assert "--replay" in answer.stderr
    assert len(list((quick.folder / "snapshots").glob("2*"))) == 2, "refused before anything was read"


def test_a_table_that_a_source_does_not_have_is_found_by_the_check(quick: World) -> None:
    edit(quick, 'connector = "aws"', 'connector = "aws"\ntables = ["accounts", "people"]')
    assert "aws does not report people" in quick.ask("config", "check", code=2).stderr
    edit(quick, 'path = "qms"', 'path = "qsm"')
    assert "qsm" in quick.ask("config", "check", code=2).stderr + quick.ask("sources", "list", code=2).stderr


def test_a_night_without_people_judges_nothing_and_says_so(quick: World) -> None:
    edit(quick, 'path = "qms"', 'path = "qms"\ntables = ["suppliers"]')
    edit(quick, 'connector = "aws"', 'connector = "aws"\ntables = ["entitlements"]')
    answer = quick.ask("run", code=3)
    assert "NOTHING COULD BE JUDGED" in answer.stdout


def test_a_report_that_cannot_be_written_does_not_hide_the_night(quick: World) -> None:
    (quick.folder / "reports").write_text("a file where a folder should be")
    answer = quick.ask("run", code=4)
    assert "is recorded whole" in answer.stderr
    assert quick.findings()


def test_a_password_in_the_database_url_is_never_shown(quick: World) -> None:
    url = "postgresql+psycopg://rec:planted-db-password@127.0.0.1:1/none"
    edit(quick, "sqlite:///reconciler.db", url)
    for command in (["config", "show"], ["config", "show", "--json"], ["findings", "list"], ["run"]):
        answer = quick.ask(*command)
        assert "planted-db-password" not in answer.stdout + answer.stderr
    edit(quick, url, "env:DATABASE_URL")
    quick.environment = {"DATABASE_URL": url}
    answer = quick.ask("findings", "list", code=4)
    assert "planted-db-password" not in answer.stderr


def test_stopping_in_the_middle_of_a_run_is_no_verdict(world: World) -> None:
    for server in simulated(world, Faults(stall_on_page=2)):
        world.write()
        command, environment = world.command("run")
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        deadline = time.monotonic() + 60
        while not list((world.folder / "snapshots").glob("*.unsealed")) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(1)  # until a thread waits for the server, which says nothing more
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=25)[1]
        assert server.url
    assert process.returncode == 130
    assert "Traceback" not in said
    assert "stopped" in said


def test_secrets_appear_nowhere(world: World) -> None:
    world.run(code=1)
    world.ask("report", "-o", world.folder / "x.json", code=0)
    for path in world.folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert READER_PASSWORD.encode() not in content, path
            assert b"planted-aws-secret" not in content, path
    assert (
        json.loads(world.ask("config", "show", "--json", code=0).stdout)["sources"]["corp-ldap"]["bind_password"]
        == "env:LDAP_PASSWORD"
    )

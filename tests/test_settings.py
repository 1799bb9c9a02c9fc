"""The configuration: every problem named with file, line, key and remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import ConfigurationError
from reconciler.settings import Limits, RuleLimit, load, schema

ROOT = Path(__file__).parents[1]

GOOD = """\
[estate]
name = "acme"
time_zone = "Europe/Amsterdam"
[store]
database = "sqlite:///reconciler.db"
snapshots = "snapshots"
[sources.corp-ldap]
connector = "ldap"
url = "ldap://127.0.0.1:3890"
bind_dn = "cn=reader,dc=acme,dc=test"
bind_password = "env:LDAP_PASSWORD"
base_dn = "dc=acme,dc=test"
canaries = ["uid=canary,ou=people,dc=acme,dc=test"]
[sources.aws]
connector = "aws"
endpoint_url = "http://127.0.0.1:5555"
[sources.qms]
connector = "files"
path = "qms"
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "reconciler.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_contract_keys_load_and_paths_start_at_the_file(tmp_path: Path) -> None:
    settings = load(write(tmp_path, GOOD))
    assert list(settings.sources) == ["corp-ldap", "aws", "qms"]
    assert settings.sources["corp-ldap"].canaries == ["uid=canary,ou=people,dc=acme,dc=test"]
    assert settings.database_url == f"sqlite:///{tmp_path}/reconciler.db"
    assert settings.snapshots == tmp_path / "snapshots"
    assert settings.config.estate.time_zone == "Europe/Amsterdam"


def test_postgresql_urls_are_left_as_they_are(tmp_path: Path) -> None:
    url = "postgresql+psycopg://me@db.acme.test/reconciler"
    assert load(write(tmp_path, GOOD.replace("sqlite:///reconciler.db", url))).database_url == url


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ('name = "acme"', 'nam = "acme"', 2, "estate.nam: unknown key; did you mean name?"),
        ('name = "acme"\n', "", 1, "estate.name: is missing"),
        ("Europe/Amsterdam", "Europe/Amsterdm", 3, "did you mean Europe/Amsterdam?"),
        ("Europe/Amsterdam", "localtime", 3, "is no IANA time zone"),
        ("Europe/Amsterdam", "Factory", 3, "is no IANA time zone"),
        ("sqlite:///reconciler.db", "mysql://x", 5, "store.database"),
        ('snapshots = "snapshots"', 'snapshots = ""', 6, "store.snapshots"),
        ('connector = "ldap"', 'connector = "ldapp"', 7, "unknown connector 'ldapp'"),
        ('connector = "ldap"\n', "", 7, "connector is missing; use one of: aws, compliancequest"),
        ("bind_dn =", "bind_nd =", 10, "sources.corp-ldap.bind_nd: unknown key; did you mean bind_dn?"),
        ('"env:LDAP_PASSWORD"', '"hunter22"', 11, "must be a reference, env:NAME or file:/path"),
        ('path = "qms"', "path = 7", 19, "sources.qms.path"),
        (
            "[sources.qms]",
            '[notices]\nsmtp = { host = "h", sendr = "a@b.test" }\n[sources.qms]',
            18,
            "notices.smtp.sendr: unknown key; did you mean sender?",
        ),
        (
            "[sources.qms]",
            '[[rules.role_maps]]\ndepartmnt = "Sales"\nentitlement = "CRM"\n[sources.qms]',
            18,
            "rules.role_maps.0.departmnt: unknown key; did you mean department?",
        ),
        (
            "[sources.qms]",
            "[nonconformities.rules.IG-LVR-001]\nwatch_day = 3\n[sources.qms]",
            18,
            "watch_day: unknown key; did you mean watch_days?",
        ),
        ("[sources.qms]", '[limits]\nrules = "all"\n[sources.qms]', 18, "limits.rules: must be a section"),
        ('name = "acme"', 'name = "ac\\u0000me"', 2, "estate.name: must be words that can be printed"),
        ('name = "acme"', 'name = "  "', 2, "estate.name: must be words that can be printed"),
        ("[store]", "[storr]", 4, "storr: unknown key; did you mean store?"),
    ],
)
def test_each_problem_names_file_line_and_key(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert f"{path}:{line}: " in caught.value.message
    assert said in caught.value.message
    assert "hunter22" not in caught.value.message
    assert caught.value.advice


def test_all_problems_are_said_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("bind_dn =", "bind_nd =").replace('path = "qms"', 'paht = "qms"')
    with pytest.raises(ConfigurationError) as caught:
        load(write(tmp_path, text))
    assert "bind_nd" in caught.value.message
    assert "paht" in caught.value.message


@pytest.mark.parametrize(("text", "line"), [("[estate\n", 1), ('[estate]\nname = "a"\nname = "b"\n', 3)])
def test_a_file_that_is_no_toml_names_the_line(tmp_path: Path, text: str, line: int) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigurationError, match=rf"reconciler\.toml:{line}"):
        load(path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[[rules.approval_scope]]\nentitlement = "{0}"\napproval = "{1}"\n', "rules.approval_scope.1"),
        ('[[rules.role_maps]]\nentitlement = "{0}"\ndepartment = "Sales"\n', "rules.role_maps.1"),
        ('[[special_accounts]]\nsource = "aws"\naccount_id = "{0}"\nkind = "service"\n', "special_accounts.1"),
    ],
)
def test_an_entry_that_says_what_one_before_it_said_is_refused(tmp_path: Path, text: str, key: str) -> None:
    path = write(tmp_path, GOOD + text.format("Robot", "required") + text.format(" robot", "not_required"))
    line = GOOD.count("\n") + text.count("\n") + 1
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert caught.value.message == f"{path}:{line}: {key}: an entry before it says the same"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[[rules.approval_scope]]\nentitlement = "Admins"\napproval = "required"\n',
            "rules.approval_scope.0: an approval is needed anyway: no entry after it says not_required",
        ),
        ('[limits.rules."IG-LVR-001"]\n', "limits.rules.IG-LVR-001: no limit is given"),
    ],
)
def test_an_entry_that_changes_nothing_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = write(tmp_path, GOOD + text)
    with pytest.raises(ConfigurationError) as caught:
        load(path)
    assert caught.value.message == f"{path}:{GOOD.count(chr(10)) + 1}: {said}"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.toml"):
        load(tmp_path / "nowhere.toml")


def test_a_configuration_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="sources: is missing"):
        load(write(tmp_path, '[estate]\nname = "acme"\n'))


def test_the_example_is_valid(tmp_path: Path) -> None:
    example = (ROOT / "config" / "reconciler.toml").read_text(encoding="utf-8")
    assert set(load(write(tmp_path, example)).sources) == {"corp-ldap", "aws", "qms"}


def test_the_schema_file_is_what_the_command_prints() -> None:
    stored = json.loads((ROOT / "config" / "reconciler.schema.json").read_text(encoding="utf-8"))
    assert stored == json.loads(json.dumps(schema())), "run `reconciler config schema > config/reconciler.schema.json`"


def test_the_schema_describes_every_key() -> None:
    undescribed = [
        f"{name}.{key}"
        for name, part in schema()["$defs"].items()
        for key, field in part.get("properties", {}).items()
        if "description" not in field and "const" not in field
    ]
    assert not undescribed


@pytest.mark.parametrize(
    ("own", "population", "allowed"),
    [
        ({}, 0, 20),
        ({}, 199, 20),
        ({}, 1_000, 100),
        ({}, 1_000_000, 500),
        ({"new_findings": 3}, 1_000_000, 3),
        ({"new_findings": 5_000}, 10, 5_000),
        ({"new_findings_percent": 50.0}, 100, 50),
        ({"new_findings": 5_000, "new_findings_percent": 50.0}, 100, 50),
    ],
)
def test_new_findings_are_limited_by_count_and_share_and_by_a_rule_of_its_own(
    own: dict[str, Any], population: int, allowed: int
) -> None:
    limits = Limits(rules={"IG-A": RuleLimit(**own)})
    assert limits.allowed("IG-A", population) == allowed
    assert Limits(new_findings=5).allowed("IG-A", population) == 5

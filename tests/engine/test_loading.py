from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.engine import RuleError, load, run_cases, write_lock
from reconciler.engine.rule import parse_value
from reconciler.errors import ConfigurationError
from tests.engine.rulebook import SQL, TOML, write_rule


def problems(folder: Path) -> list[str]:
    """Return every problem of a folder as ``file:line: message``, the file without its folder."""
    with pytest.raises(RuleError) as raised:
        load([folder])
    assert all(problem.advice for problem in raised.value.problems)
    places = [Path(problem.at).name.split(":") for problem in raised.value.problems]
    assert all(len(place) == 3 for place in places), "file, line and column"
    return [
        f"{':'.join(place[:2])}: {problem.message}"
        for place, problem in zip(places, raised.value.problems, strict=True)
    ]


@pytest.mark.parametrize(
    ("sql", "toml", "place"),
    [
        (("a.created_at <", "a.made_at <"), ("", ""), "old_account.sql:5:41"),
        (("accounts a", "accountz a"), ("", ""), "old_account.sql:4:6"),
        (("$age", "now()"), ("", ""), "old_account.sql:5:65"),
        (("", ""), ('stage = "governance"', 'stage = "later"'), "old_account.toml:5:1"),
        (("", ""), ("can_sign_in = true", 'can_sign_in = "yes"'), "old_account.toml:20:53"),
    ],
)
def test_a_problem_names_file_line_and_column(
    tmp_path: Path, sql: tuple[str, str], toml: tuple[str, str], place: str
) -> None:
    write_rule(tmp_path, sql=SQL.replace(*sql, 1), toml=TOML.replace(*toml, 1))
    with pytest.raises(RuleError) as raised:
        load([tmp_path])
    assert place in [Path(problem.at).name for problem in raised.value.problems]


def test_a_sound_rule_loads_and_passes_its_cases(tmp_path: Path) -> None:
    write_rule(tmp_path)
    (rule,) = load([tmp_path])
    assert rule.info.rule_id == "OWN-TEST-001"
    assert rule.name == "old_account"
    assert rule.columns == {"accounts": ("source", "account_id", "can_sign_in", "created_at")}
    assert rule.params["age"].value == timedelta(days=1)
    assert [result.passed for result in run_cases([rule])] == [True, True, True]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("id = ", "idd = ", ["old_account.toml:1: id is missing", "old_account.toml:1: unknown key 'idd'"]),
        ('"OWN-TEST-001"', '"own"', ["old_account.toml:1: 'own' is no id"]),
        ("version = 1", 'version = "1"', ["old_account.toml:2: version '1' is no whole number from 1"]),
        ("version = 1\n", "", ["old_account.toml:1: version is missing"]),
        ('title = "Old account"', 'title = ""', ["old_account.toml:3: title is no text, or an empty one"]),
        ('"low"', '"trivial"', ["old_account.toml:4: severity 'trivial' is unknown"]),
        ('stage = "governance"', 'stage = "later"', ["old_account.toml:5: stage 'later' is unknown"]),
        ("known_gaps = []", 'known_gaps = "none"', ["old_account.toml:10: known_gaps is no list of texts"]),
        ('reads = ["accounts"]', 'reads = ["acounts"]', ["old_account.toml:11: unknown table 'acounts'"]),
        (
            'reads = ["accounts"]',
            'reads = ["accounts", "accounts"]',
            ["old_account.toml:11: reads names something twice"],
        ),
        (
            'reads = ["accounts"]',
            'reads = ["accounts", "people"]',
            ["old_account.toml:11: reads names people, which the SQL does not read"],
        ),
        ('population = "accounts"', 'population = "grants"', ["old_account.toml:12: the population is not read"]),
        ('population = "accounts"', 'population = "x"', ["old_account.toml:12: unknown table 'x'"]),
        ('identity = ["source", "account_id"]', "identity = []", ["old_account.toml:13: identity is empty"]),
        (
            'identity = ["source", "account_id"]',
            'identity = ["source", "account_id"]\nneeds = ["accounts.x"]',
            ["old_account.toml:14: needs names 'accounts.x', which is no column of a table read"],
        ),
        (
            'identity = ["source", "account_id"]',
            'identity = ["source", "account_id"]\noptional = ["people"]',
            ["old_account.toml:14: optional table 'people' is not read"],
        ),
        (
            'identity = ["source", "account_id"]',
            'identity = ["source", "account_id"]\nacross = ["people"]',
            ["old_account.toml:14: across table 'people' is no identity table that the rule reads"],
        ),
        (
            '"P1D"',
            '"P1M"',
            [
                (
                    "old_account.toml:16: 'P1M' is no duration; write for example PT24H or P90D "
                    "(months and years have no fixed length)"
                )
            ],
        ),
        ('type = "duration"', 'type = "time"', ["old_account.toml:15: unknown type 'time'"]),
        ('default = "P1D"\n', "", ["old_account.toml:14: parameter 'age' needs type and default"]),
        ("[params.age]", "[params.as_of]", ["old_account.toml:14: 'as_of' is no name for a parameter"]),
        ('name = "silent"', 'name = "fires"', ["old_account.toml:22: two cases are named 'fires'"]),
        (
            "as_of = 2026-02-03T00:00:00Z\nexpect",
            "as_of = 2026-02-03T00:00:00\nexpect",
            ["old_account.toml:24: as_of is no instant with a zone"],
        ),
        ("expect = []", "expect = []\nexpected = 1", ["old_account.toml:26: unknown key 'expected'"]),
        ("expect = []", "", ["old_account.toml:22: expect is no list of rows"]),
        ("expect = []", 'expect = []\ntime_zone = "Mars"', ["old_account.toml:26: unknown time zone 'Mars'"]),
        ("expect = []", 'expect = []\nparams.agge = "P1D"', ["old_account.toml:26: the rule has no parameter 'agge'"]),
        ("expect = []", "expect = []\ngiven.people = []", ["old_account.toml:26: 'people' is given but not read"]),
        (
            "expect = []",
            'expect = [{ verdict = "pass" }]',
            ["old_account.toml:25: verdict 'pass' is none that a rule emits"],
        ),
        ("expect = []", "given = 1\nexpect = []", ["old_account.toml:25: given is no table"]),
        (
            'created_at = 2026-01-01T00:00:00Z }]\nexpect = [{ source = "s", account_id = "a", verdict = "not_',
            'created = 1 }]\nexpect = [{ source = "s", account_id = "a", verdict = "not_',
            ["old_account.toml:29: accounts has no column 'created'"],
        ),
        ("can_sign_in = true", 'can_sign_in = "yes"', ["old_account.toml:20: accounts.can_sign_in cannot be 'yes'"]),
        ("can_sign_in = true", 'kind = "robot"', ["old_account.toml:20: accounts.kind cannot be 'robot'"]),
        (
            ', verdict = "violation" }',
            ' , verdict = "not_applicable" }',
            ["old_account.toml:17: no case in which the rule fires"],
        ),
        (
            'account_id = "a", verdict = "violation"',
            'verdict = "violation"',
            ["old_account.toml:21: expect lacks account_id"],
        ),
        (
            '[{ source = "s", account_id = "a", verdict = "violation" }]',
            (
                '[\n{ source = "s", account_id = "a", verdict = "violation" },\n'
                '{ source = "s", account_id = "a", verdict = "violation" }]'
            ),
            ["old_account.toml:23: expect names a subject twice"],
        ),
        ("expect = []", "expect = [1]", ["old_account.toml:25: expect is no list of rows"]),
        ("expect = []", "expect = []\nparams.age = 7", ["old_account.toml:26: 7 is no duration"]),
        ("expect = []", "expect = []\nparams = 7", ["old_account.toml:26: params is no table"]),
        ('name = "silent"', "name = 7", ["old_account.toml:22: the case has no name"]),
        (
            "created_at = 2026-01-01T00:00:00Z",
            "created_at = 2026-01-01T00:00:00",
            ["old_account.toml:20: accounts.created_at cannot be 2026-01-01 00:00:00"],
        ),
        ("id =", "id = [", ["old_account.toml:2: not TOML: Unclosed array"]),
    ],
)
def test_each_fault_of_the_metadata_is_named_with_its_line(
    tmp_path: Path, old: str, new: str, expected: list[str]
) -> None:
    assert old in TOML
    write_rule(tmp_path, toml=TOML.replace(old, new, 1))
    found = problems(tmp_path)
    assert [message for message in expected if message in found] == expected, found


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "a.created_at <",
            "a.made_at <",
            'old_account.sql:5: Binder Error: Table "a" does not have a column named "made_at"',
        ),
        (
            "from accounts a",
            "from accounts a join people p on true",
            "old_account.sql:4: people is read, but `reads` does not say so",
        ),
        ("from accounts a", "from accountz a", "old_account.sql:4: unknown table 'accountz'"),
        ("$age", "interval 1 day", "old_account.toml:14: parameter 'age' is not used"),
        ("$age", "$old", "old_account.sql:5: parameter $old is not declared"),
        ("a.account_id,\n", "a.account_id, a.login,\n", "old_account.sql:1: selected column 'login' leads nowhere"),
        ("a.source, ", "", "old_account.sql:1: column 'source' is not selected"),
        (" as reason", " as why", "old_account.sql:1: column 'reason' is not selected"),
        (
            "concat('account ', a.account_id)",
            "a.created_at",
            "old_account.sql:1: column 'reason' is TIMESTAMP WITH TIME ZONE, not text",
        ),
        (
            "a.account_id,",
            "[a.account_id] as account_id,",
            "old_account.sql:1: column 'account_id' is VARCHAR[], which identifies nothing",
        ),
        ("a.created_at <", "list_contains(a.login, 'x') and a.created_at <", "old_account.sql:5: Binder Error: "),
        ("from accounts a", "frm accounts a", "old_account.sql:4: SQL: syntax error"),
        ("$as_of", "now()", "old_account.sql:5: now() asks the clock"),
        ("$as_of", "current_date", "old_account.sql:5: current_date"),
        ("a.account_id,", "*,", "old_account.sql:1: * for columns is refused"),
    ],
)
def test_each_fault_of_the_sql_is_named_with_its_line(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in SQL
    write_rule(tmp_path, sql=SQL.replace(old, new, 1))
    found = problems(tmp_path)
    assert any(problem.startswith(expected) for problem in found), found


def test_params_and_cases_of_another_shape_are_named(tmp_path: Path) -> None:
    head = TOML[: TOML.index("[params.age]")]
    write_rule(tmp_path, toml=f"{head}params = 1\ncase = 2\n")
    assert problems(tmp_path) == [
        "old_account.toml:14: params is no table",
        "old_account.toml:15: case is no list of tables",
    ]


def test_a_built_table_is_no_population(tmp_path: Path) -> None:
    toml = TOML.replace('"accounts"', '"coverage"').replace("given.accounts", "given.coverage")
    for old, new in (
        (", can_sign_in = true", ""),
        (", created_at = 2026-01-01T00:00:00Z", ""),
        ('account_id = "a"', 'table_name = "t", partition = "a"'),
        ('"account_id"', '"table_name", "partition"'),
    ):
        toml = toml.replace(old, new)
    sql = """select c.source, c.partition, c.table_name, 'violation' as verdict, c.status as reason
    from coverage c where $as_of - $age is not null"""
    write_rule(tmp_path, sql=sql, toml=toml)
    assert problems(tmp_path) == ["old_account.toml:12: coverage cannot be a population"]


def test_subjects_of_an_identity_table_need_their_source(tmp_path: Path) -> None:
    write_rule(tmp_path, toml=TOML.replace('["source", "account_id"]', '["account_id"]'))
    assert problems(tmp_path) == ["old_account.toml:13: identity lacks source"]


@pytest.mark.parametrize(
    ("kind", "raw", "value"),
    [
        ("duration", "P1WT1H30M5S", timedelta(weeks=1, hours=1, minutes=30, seconds=5)),
        ("duration", timedelta(1), timedelta(1)),
        ("integer", 3, 3),
        ("number", 3, 3.0),
        ("text", "a", "a"),
        ("boolean", False, False),
        ("list of text", ["a"], ["a"]),
        ("date", date(2026, 1, 1), date(2026, 1, 1)),
    ],
)
def test_a_parameter_takes_its_type(kind: str, raw: object, value: object) -> None:
    assert parse_value(kind, raw) == value


@pytest.mark.parametrize(
    ("kind", "raw"),
    [
        ("duration", "P"),
        ("duration", "PT"),
        ("duration", "P1DT"),
        ("duration", "P99999999999D"),
        ("integer", 2**63),
        ("integer", 10**400),
        ("number", float("nan")),
        ("number", float("inf")),
        ("number", 10**400),
        ("integer", True),
        ("number", True),
        ("integer", "3"),
        ("text", 3),
        ("boolean", 1),
        ("list of text", ["a", 1]),
        ("list of text", "a"),
        ("date", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_parameter_refuses_other_types(kind: str, raw: object) -> None:
    with pytest.raises(ValueError, match="is no "):
        parse_value(kind, raw)


@pytest.mark.parametrize(
    ("kind", "raw", "message"),
    [
        ("duration", "P999999999W", "longer than a hundred years"),
        ("list of text", [], "an empty list can never match"),
        ("list of text", ["a", " "], "' ' is blank and can never match"),
        ("text", "", "'' is blank"),
        ("list of words", ["Approved "], "'Approved ' can never match; write 'approved'"),
    ],
)
def test_a_parameter_that_could_never_match_is_refused(kind: str, raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_value(kind, raw)


def test_each_item_of_a_list_is_held_to_its_values() -> None:
    assert parse_value("list of words", ["a", "b"], ("a", "b", "c")) == ["a", "b"]
    with pytest.raises(ValueError, match="'d' is none of: a, b"):
        parse_value("list of words", ["a", "d"], ("a", "b"))


def test_a_case_whose_result_depends_on_the_order_of_rows_fails(tmp_path: Path) -> None:
    sql = """select source, account_id, 'violation' as verdict, concat('row ', n) as reason
    from (select source, account_id, can_sign_in,
                 row_number() over (partition by source order by created_at) as n from accounts) a
    where can_sign_in and n = 1 and $as_of - $age is not null"""
    one = '{ source = "s", account_id = "a", can_sign_in = true, created_at = 2026-01-01T00:00:00Z }'
    other = one.replace('"a"', '"b"')
    toml = TOML.replace(f"[{one}]", f"[{one}, {other}]", 1)
    write_rule(tmp_path, sql=sql, toml=toml)
    first = run_cases(load([tmp_path]))[0]
    assert not first.passed
    assert "with the rows given in reverse it says otherwise" in first.detail


def test_a_parameter_may_be_held_to_some_values(tmp_path: Path) -> None:
    write_rule(tmp_path, toml=TOML.replace('default = "P1D"', 'default = "P1D"\nvalues = ["P1D", "P2D"]'))
    with pytest.raises(ConfigurationError, match="'P3D' is none of: P1D, P2D"):
        load([tmp_path], {"OWN-TEST-001": {"age": "P3D"}})


def test_every_problem_of_every_rule_is_told_at_once(tmp_path: Path) -> None:
    write_rule(tmp_path, toml=TOML.replace('"low"', '"x"').replace('"draft"', '"y"'))
    write_rule(tmp_path, name="second", sql="select 1", toml=TOML.replace("001", "002"))
    assert {problem.split(":")[0] for problem in problems(tmp_path)} == {"old_account.toml", "second.toml"}


def test_half_a_pair_and_a_text_that_is_none_are_named(tmp_path: Path) -> None:
    write_rule(tmp_path).with_suffix(".sql").unlink()
    write_rule(tmp_path, name="other").with_suffix(".sql").write_bytes(b"select '\xff'")
    write_rule(tmp_path, name="third").with_suffix(".toml").unlink()
    assert problems(tmp_path) == [
        "old_account.toml:1: old_account.sql is missing",
        "other.sql:1: not UTF-8 text",
        "third.sql:1: third.toml is missing",
    ]


def test_what_would_never_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty/own").mkdir(parents=True)
    assert problems(tmp_path / "empty") == ["empty:1: no rule can be found in this folder"]
    write_rule(tmp_path / "rules")
    (tmp_path / "rules/beside.sql").write_text(SQL)
    (tmp_path / "rules/own/later").mkdir()
    (tmp_path / "rules/own/later/below.sql").write_text(SQL)
    assert problems(tmp_path / "rules") == [
        "beside.sql:1: a rule in no family of the folder is never read",
        "below.sql:1: a rule in no family of the folder is never read",
    ]


def test_a_rule_may_have_a_dot_in_its_name_and_a_byte_order_mark(tmp_path: Path) -> None:
    stem = write_rule(tmp_path, sql=f"\ufeff{SQL}".replace("\n", "\r\n"), toml=f"\ufeff{TOML}", name="old")
    for suffix in (".sql", ".toml"):
        stem.with_suffix(suffix).rename(tmp_path / f"own/old.account{suffix}")
    (rule,) = load([tmp_path])
    assert rule.name == "old.account"
    assert all(result.passed for result in run_cases([rule]))


def test_what_changes_is_no_identity(tmp_path: Path) -> None:
    write_rule(tmp_path, toml=TOML.replace('"account_id"]', '"account_id", "reason"]'))
    assert "old_account.toml:13: identity names reason, which may change from night to night" in problems(tmp_path)


def test_an_id_twice_is_an_error_across_folders(tmp_path: Path) -> None:
    write_rule(tmp_path / "a")
    write_rule(tmp_path / "b")
    with pytest.raises(RuleError, match=r"b/own/old_account\.toml:1:1: id OWN-TEST-001 is taken by .*a/own"):
        load([tmp_path / "a", tmp_path / "b"])


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no such folder"):
        load([tmp_path / "nowhere"])


def test_parameters_are_configured_by_rule(tmp_path: Path) -> None:
    write_rule(tmp_path)
    (rule,) = load([tmp_path], {"OWN-TEST-001": {"age": "P2D"}})
    assert rule.params["age"].value == timedelta(days=2)
    assert rule.info.parameters == {"age": "2 days"}, "the record of a run says by what was judged"
    assert all(result.passed for result in run_cases([rule])), "cases speak of the defaults"


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"OWN-TEST-002": {}}, "rule 'OWN-TEST-002', which does not exist"),
        ({"OWN-TEST-001": {}}, r"rules\.params\.OWN-TEST-001: no parameter is given"),
        (
            {"OWN-TEST-001": {"agee": "P1D"}},
            r"rules\.params\.OWN-TEST-001\.agee: the rule has no parameter 'agee'; it has: age",
        ),
        ({"OWN-TEST-001": {"age": 3}}, r"rules\.params\.OWN-TEST-001\.age: 3 is no duration"),
        ({"OWN-TEST-001": {"age": "three days"}}, "'three days' is no duration"),
    ],
)
def test_parameters_that_do_nothing_are_errors(
    tmp_path: Path, params: dict[str, dict[str, object]], message: str
) -> None:
    write_rule(tmp_path)
    with pytest.raises(ConfigurationError, match=message):
        load([tmp_path], params)


def test_a_parameter_that_the_sql_cannot_take_is_refused_before_the_night(tmp_path: Path) -> None:
    sql = SQL.replace("a.created_at <", "regexp_matches(a.login, $odd) and a.created_at <")
    write_rule(
        tmp_path, sql=sql, toml=TOML.replace("[[case]]", '[params.odd]\ntype = "text"\ndefault = "^x"\n[[case]]', 1)
    )
    with pytest.raises(ConfigurationError, match=r"rules\.params\.OWN-TEST-001: Invalid Input Error: missing \)"):
        load([tmp_path], {"OWN-TEST-001": {"odd": "("}})


def test_parameters_of_a_rule_that_is_retired_do_nothing(tmp_path: Path) -> None:
    write_rule(tmp_path, toml=TOML.replace('"draft"', '"retired"'))
    with pytest.raises(ConfigurationError, match="the rule is retired, and not evaluated"):
        load([tmp_path], {"OWN-TEST-001": {"age": "P2D"}})


def test_a_locked_rule_may_not_change_under_its_version(tmp_path: Path) -> None:
    write_rule(tmp_path)
    write_lock(tmp_path, load([tmp_path]))
    load([tmp_path])
    write_rule(tmp_path, sql=SQL.replace("account '", "the account '"))
    assert problems(tmp_path) == ["old_account.toml:2: the rule has changed, its version has not"]
    with pytest.raises(RuleError, match="Write version = 2 first"):
        write_lock(tmp_path, load([tmp_path], locked=False))
    write_rule(tmp_path, sql=SQL.replace("account '", "the account '"), toml=TOML.replace("version = 1", "version = 2"))
    assert problems(tmp_path) == ["old_account.toml:2: version 2 is not in versions.lock yet"]
    write_lock(tmp_path, load([tmp_path], locked=False))
    load([tmp_path])
    write_rule(tmp_path)
    assert problems(tmp_path) == ["old_account.toml:2: version 1 is older than 2 in versions.lock"]


def test_a_changed_default_counts_as_a_change(tmp_path: Path) -> None:
    write_rule(tmp_path)
    write_lock(tmp_path, load([tmp_path]))
    write_rule(tmp_path, toml=TOML.replace("P1D", "P2D"))
    assert problems(tmp_path) == ["old_account.toml:2: the rule has changed, its version has not"]


def test_a_lock_names_all_rules_and_no_others(tmp_path: Path) -> None:
    write_rule(tmp_path)
    write_lock(tmp_path, load([tmp_path]))
    write_rule(tmp_path, toml=TOML.replace("001", "002"))
    assert problems(tmp_path) == [
        "old_account.toml:2: OWN-TEST-002 is not in versions.lock",
        "versions.lock:2: OWN-TEST-001 is locked, but there is no such rule",
    ]


def test_files_that_cannot_be_read_or_written_are_named(tmp_path: Path) -> None:
    stem = write_rule(tmp_path)
    rules = load([tmp_path])
    lock = tmp_path / "versions.lock"
    lock.mkdir()
    with pytest.raises(ConfigurationError, match=r"versions\.lock: Is a directory") as raised:
        write_lock(tmp_path, rules)
    assert raised.value.advice
    lock.rmdir()
    lock.write_bytes(b"OWN-TEST-001 \xff\n")
    assert problems(tmp_path) == [r"versions.lock:1: 'OWN-TEST-001 \\xff' is no line of a lock"]
    stem.with_suffix(".sql").unlink()
    stem.with_suffix(".sql").symlink_to("/proc/self/mem")
    assert problems(tmp_path) == ["old_account.sql:1: Input/output error"]


def test_a_broken_lock_is_named_with_its_line(tmp_path: Path) -> None:
    write_rule(tmp_path)
    (tmp_path / "versions.lock").write_text("# x\nOWN-TEST-001 one\n")
    assert problems(tmp_path) == ["versions.lock:2: 'OWN-TEST-001 one' is no line of a lock"]

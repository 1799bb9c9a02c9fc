"""Rules that mean harm: each is refused before it runs, by a message that names the thing."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from reconciler.clock import zones
from reconciler.engine import RuleError, lint, load, run_cases
from reconciler.engine.sandbox import RuleFailed, Sandbox
from tests.engine.rulebook import SQL, write_rule

HOSTILE = [
    ("select * from read_csv('/etc/passwd')", "a table function (read_csv) is refused"),
    ("select 1 from read_text('/etc/passwd')", "a table function (read_text) is refused"),
    ("select 1 from 'file.parquet'", "unknown table 'file.parquet'"),
    ("select 1 from '/etc/passwd'", "unknown table '/etc/passwd'"),
    ('select 1 from "accounts.csv"', "unknown table 'accounts.csv'"),
    ("copy accounts to '/tmp/out.csv'", "COPY is not a SELECT"),
    ("attach '/tmp/other.db'", "ATTACH is not a SELECT"),
    ("install httpfs", "INSTALL is not a SELECT"),
    ("load httpfs", "LOAD is not a SELECT"),
    ("pragma database_list", "PRAGMA is not a SELECT"),
    ("set lock_configuration = false", "SET is not a SELECT"),
    ("create macro lower(x) as 'a'", "CREATE is not a SELECT"),
    ("drop table accounts", "DROP is not a SELECT"),
    ("-- see\n/* there */ drop table accounts", "DROP is not a SELECT"),
    ("select 1;\ndrop table accounts", "DROP is not a SELECT"),
    ("-- nothing", "no statements"),
    ("call pragma_version()", "CALL is not a SELECT"),
    ("select 1 from pragma_table_info('accounts')", "a table function (pragma_table_info) is refused"),
    ("select getenv('HOME')", "function getenv() is not allowed"),
    ("select current_setting('memory_limit')", "function current_setting() is not allowed"),
    ("select * from query('select 1')", "a table function (query) is refused"),
    ("select 1 from query_table('accounts')", "a table function (query_table) is refused"),
    ("select 1 from information_schema.tables", "unknown table 'information_schema.tables'"),
    ("select 1 from duckdb_settings()", "a table function (duckdb_settings) is refused"),
    ("select 1 from duckdb_tables", "unknown table 'duckdb_tables'"),
    ("select 1 from sqlite_master", "unknown table 'sqlite_master'"),
    ("select 1 from glob('/etc/*')", "a table function (glob) is refused"),
    ("select 1 from range(1000000000)", "a table function (range) is refused"),
    ("select 1 from HOSTILE", "unknown table 'HOSTILE'"),
    ("with recursive t(n) as (select 1 union all select n + 1 from t) select n from t", "a recursive query is refused"),
    ("select 1; select 2", "2 statements"),
    (
        "/* select 1 from */ select /* */ 1 from -- x\n read_csv('/etc/passwd')",
        "a table function (read_csv) is refused",
    ),
    ("select main.lower('a') from accounts", "function main.lower() is not allowed"),
    ("select \"getenv\"('HOME')", "function getenv() is not allowed"),
    ("select \uff4cower('a')", "function \uff4cower() is not allowed"),
    ("select 1 from \u0430ccounts", "unknown table '\u0430ccounts'"),
    ("with accounts as (select 1 as x) select x from accounts", "WITH names a query 'accounts' like a table"),
    ('with x as (select 1 from "/etc/passwd") select 1 from x', "unknown table '/etc/passwd'"),
    (
        'select 1 from "/etc/passwd" where exists (with "/etc/passwd" as (select 1) select 1)',
        "unknown table '/etc/passwd'",
    ),
    ("select source from accounts tablesample 10%", "a sample of rows is refused"),
    ("select source from accounts using sample 3", "a sample of rows is refused"),
    ("select source from accounts at (version => 1)", "a table's older version is refused"),
    ("select source from accounts limit 1", "LIMIT is refused"),
    ("describe accounts", "SHOW, DESCRIBE or SUMMARIZE is refused"),
    ("select a.source from accounts a natural join links l", "a NATURAL join is refused"),
    ("select a.source from accounts a positional join links l", "a POSITIONAL join is refused"),
    ("select random()", "function random() is not allowed"),
    ("select repeat('x', 1000000000)", "function repeat() is not allowed"),
    ("select string_agg(login, ',') from accounts", "string_agg() without an order"),
    ("select current_timestamp", "current_timestamp asks the clock"),
    ("select Current_Date", "current_date asks the clock"),
    ("select now()", "now() asks the clock"),
    ("select user", "user asks the session"),
    ("select a.rowid from accounts a", "rowid is no column of the estate"),
    ("select source collate nocase from accounts", "COLLATE is refused"),
    ("select 1 from lin\u212as", "unknown table"),
    ("select \u212aeft('a', 1)", "() is not allowed"),
    ("select 1 \0 from accounts", "a NUL byte"),
    ("select distinct on (source) source, login from accounts", "DISTINCT ON is refused"),
    ("select row_number() over () from accounts", "row_number() without an order"),
    ("select lag(login) over (partition by source) from accounts", "lag() without an order"),
    ("select first_value(login) over (order by 1) from accounts", "first_value() without an order"),
    ("select rank() over w from accounts window w as (partition by source)", "rank() without an order"),
    ("select string_agg(login, ',' order by 1) from accounts", "string_agg() without an order"),
    ("select list(login order by 'login') from accounts", "list() without an order"),
    ("select string_agg(login, ',' order by source) from accounts", "string_agg() leaves ties in chance's order"),
    ("select list(login) over (order by source) from accounts", "list() leaves ties in chance's order"),
    ("select arg_max(login, created_at) from accounts", "arg_max() picks among ties by chance"),
    ("select max_by(login, row(created_at, source)) from accounts", "max_by() picks among ties by chance"),
    ("select cast(a as varchar) from accounts a", "a is the whole row of a table"),
    ("select cast(accounts as varchar) from accounts", "accounts is the whole row of a table"),
    ("select cast(main.accounts as varchar) from accounts", "main.accounts is the whole row of a table"),
    ("select concat(main.accounts) from accounts, links main", "main.accounts is the whole row of a table"),
    ("select concat(A) from accounts a join links l using (source)", "a is the whole row of a table"),
    ("select (select concat(a)) from accounts a", "a is the whole row of a table"),
    ("with q as (select source from accounts) select concat(q) from q", "q is the whole row of a table"),
    ("select concat(q) from (select source from accounts) q", "q is the whole row of a table"),
    ("select cast('Now' as timestamptz)", "a cast of 'Now' asks the clock"),
    ("select date ' today '", "a cast of ' today ' asks the clock"),
    ("select 1 from accounts where write_log('x') is null", "function write_log() is not allowed"),
]


DETERMINATE = [
    "string_agg(a.login, ',' order by a.login)",
    "list(lower(a.login) order by a.created_at desc, lower(a.login))",
    "arg_max(a.login, row(a.created_at, a.login))",
    "min_by(a.login, a.login)",
]


@pytest.mark.parametrize("call", DETERMINATE)
def test_an_aggregate_that_leaves_nothing_to_chance_is_allowed(tmp_path: Path, call: str) -> None:
    grouped = f"(select a.source, a.account_id, {call} as said from accounts a group by a.source, a.account_id) g"  # noqa: S608  # the query under test
    sql = SQL.replace("from accounts a", f"from accounts a join {grouped} using (source, account_id)")
    write_rule(tmp_path, sql=sql.replace("a.account_id) as reason", "cast(g.said as varchar), 'x') as reason"))
    assert len(load([tmp_path])) == 1


def test_a_column_named_like_a_table_elsewhere_is_a_column(tmp_path: Path) -> None:
    inner = "(select source, account_id, can_sign_in, created_at, status as held from accounts held) a"
    write_rule(tmp_path, sql=SQL.replace("accounts a\n", f"{inner}\n").replace("'account ', ", "held, "))
    assert len(load([tmp_path])) == 1


@pytest.mark.parametrize(("sql", "message"), HOSTILE, ids=[sql[:40] for sql, _ in HOSTILE])
def test_a_hostile_rule_is_refused_by_name(tmp_path: Path, sql: str, message: str) -> None:
    write_rule(tmp_path, sql=sql)
    with pytest.raises(RuleError) as raised:
        load([tmp_path])
    found = [problem.message for problem in raised.value.problems]
    assert any(message in text for text in found), found


def test_a_statement_after_the_rule_is_refused(tmp_path: Path) -> None:
    write_rule(tmp_path, sql=f"{SQL};\ndrop table accounts;")
    with pytest.raises(RuleError, match=r"DROP|statements|not a SELECT"):
        load([tmp_path])


def test_a_semicolon_at_the_end_is_no_second_statement(tmp_path: Path) -> None:
    for end in (";\n", "; -- the end; \u00e9\n", " -- \u00e9;", ";; /* ; */ ", ""):
        write_rule(tmp_path, sql=f"{SQL.rstrip()}{end}")
        (rule,) = load([tmp_path])
        assert all(result.passed for result in run_cases([rule]))


def test_a_query_without_end_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lint, "LINT_SECONDS", 0.5)
    digits = ", ".join(f"({number})" for number in range(100))
    joins = ", ".join(f"(values {digits}) as v{number}(x)" for number in range(6))
    endless = f"(select sum(v0.x) as n from {joins}) as e"  # noqa: S608  # the query under test
    write_rule(tmp_path, sql=SQL.replace("accounts a", f"accounts a right join {endless} on e.n > 0"))
    with pytest.raises(RuleError, match=r"did not end within 0\.5 seconds and was stopped\. Let it work on less"):
        load([tmp_path])


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(folder=tmp_path)
    sandbox.create_all()
    sandbox.lock()
    return sandbox


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "COPY accounts TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET memory_limit = '1GB'",
        "SET enable_external_access = true",
        "SELECT getenv('HOME')",
        "SELECT * FROM HOSTILE",
        "EXPORT DATABASE '{folder}/all'",
    ],
)
def test_the_locked_connection_refuses_by_itself_what_slips_past_the_list(
    sandbox: Sandbox, tmp_path: Path, sql: str
) -> None:
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(RuleFailed):
        sandbox.run(sql.format(folder=tmp_path), {}, 10)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    sandbox.close()


def test_spilling_to_disk_still_works_when_locked(tmp_path: Path) -> None:
    sandbox = Sandbox(folder=tmp_path, memory_limit_mb=64)
    sandbox.lock()
    sandbox.run(
        "CREATE TEMP TABLE big AS SELECT range AS x, 'abcdefghijklmnopqrstuvwxyz' || range AS y FROM range(3000000)",
        {},
        60,
    )
    sandbox.run("CREATE TEMP TABLE sorted AS SELECT y, count(*) AS n FROM big GROUP BY y", {}, 60)
    assert sandbox.connection.execute("SELECT count(*) FROM sorted").fetchone() == (3_000_000,)
    sandbox.close()


def test_a_memory_bomb_is_refused_not_fatal(tmp_path: Path) -> None:
    sandbox = Sandbox(memory_limit_mb=64)
    sandbox.lock()
    with pytest.raises(RuleFailed, match=r"(?i)memory"):
        sandbox.run("SELECT list(range) FROM range(100000000)", {}, 60)
    assert sandbox.connection.execute("SELECT 1").fetchone() == (1,)
    with pytest.raises(duckdb.Error):
        sandbox.connection.execute(f"COPY (SELECT 1) TO '{tmp_path}/x.csv'")
    sandbox.close()


def test_duckdb_knows_every_zone_that_a_configuration_may_name() -> None:
    sandbox = Sandbox()
    known = {name for (name,) in sandbox.connection.execute("SELECT name FROM pg_timezone_names()").fetchall()}
    assert zones() <= known
    sandbox.close()

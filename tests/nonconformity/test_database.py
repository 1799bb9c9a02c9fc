"""What the database refuses by itself, whoever asks: every statement here is plain SQL, past all of our code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import IntegrityError

from reconciler.database.model import METADATA
from tests.nonconformity.nights import NC, evening, verified
from tests.servers.postgres import Server

AT = "2026-03-07T12:00:00.000000+00:00"
SET = "UPDATE nonconformities SET "
LINE = "INTO nonconformity_transitions (number, nonconformity, at, who, what, why)"
TOLD = (
    "INSERT INTO nonconformity_transitions (nonconformity, at, who, what, why)"
    " VALUES (1, '@', 'grace', 'closed', 'The feed works')"
).replace("@", AT)
CLOSE = f"{SET} state = 'closed', closed_by = 'grace', closed_at = '{AT}', closed_reason = 'The feed works'"
AGAIN = (
    f"{SET} state = 'open', times_reopened = times_reopened + 1, closed_by = NULL, closed_at = NULL,"
    " closed_reason = NULL, gone_run = NULL, gone_at = NULL, watch_until = NULL, verified_run = NULL,"
    " verified_at = NULL, containment = NULL, contained_by = NULL, contained_at = NULL, correction = NULL,"
    " corrected_by = NULL, corrected_at = NULL, cause = NULL, cause_by = NULL,"
    " cause_at = NULL, cause_method = NULL, action = NULL, action_by = NULL, action_at = NULL,"
    " action_owner_role = NULL, action_due_on = NULL, action_done_by = NULL, action_done_at = NULL"
)
COLUMNS = [*METADATA.tables["nonconformities"].columns.keys()]


def copied(**other: str) -> str:
    """Copy the row with other values in some columns."""
    values = ", ".join(other.get(name, name) for name in COLUMNS)
    return f"INTO nonconformities ({', '.join(COLUMNS)}) SELECT {values} FROM nonconformities"  # noqa: S608 - all of it stands here


NO_RUN = "no run after the watch period, and after the action was done, verified the effect"
NOT_JUDGED = "could not judge every finding"
UNTOLD = "the history does not tell of this close"
OWN_WORK = "nobody who corrected it or did its action"
UNSEEN = "history does not tell that the machine saw this"
PAST_A_GATE = {
    "without correction": (
        f"{SET} corrected_by = NULL, corrected_at = NULL, correction = NULL",
        "closed_past_every_gate",
    ),
    "with a correction that says nothing": (f"{SET} correction = ' '", "entries_say_something"),
    "with half a correction": (f"{SET} corrected_by = NULL", "correction_whole"),
    "without cause": (
        f"{SET} cause_by = NULL, cause_at = NULL, cause_method = NULL, cause = NULL",
        "closed_past_every_gate",
    ),
    "by a method that is none": (f"{SET} cause_method = 'guess'", "known_cause_method"),
    "by no method": (f"{SET} cause_method = NULL", "cause_whole"),
    "without an action": (
        (
            f"{SET} action_by = NULL, action_at = NULL, action = NULL, action_owner_role = NULL, action_due_on = NULL,"
            " action_done_by = NULL, action_done_at = NULL"
        ),
        NO_RUN,
    ),
    "with an action that is due on no day": (f"{SET} action_due_on = NULL", "action_whole"),
    "with an action that is not done": (f"{SET} action_done_by = NULL, action_done_at = NULL", NO_RUN),
    "with an action that nobody did": (f"{SET} action_done_by = NULL", "action_done_whole"),
    "with an action that the machine did": (f"{SET} action_done_by = 'Reconciler'", "people_are_named"),
    "with an action done after the verification": (f"{SET} action_done_at = '{AT}'", NO_RUN),
    "of a grade that nobody weighed": (f"{SET} grade = 'major'", "only the machine changes a grade"),
    "without findings gone": (
        f"{SET} gone_run = NULL, gone_at = NULL, watch_until = NULL, verified_run = NULL, verified_at = NULL",
        NO_RUN,
    ),
    "verified and never gone": (f"{SET} gone_run = NULL, gone_at = NULL, watch_until = NULL", "verified_whole"),
    "without a watch period": (f"{SET} watch_until = NULL", "gone_whole"),
    "without verification": (f"{SET} verified_run = NULL, verified_at = NULL", NO_RUN),
    "verified by no run": (f"{SET} verified_run = NULL", "verified_whole"),
    "verified within the watch period": (f"{SET} watch_until = '{AT}'", "verified_whole"),
    "verified by a run within the watch period": (f"{SET} verified_run = gone_run", NO_RUN),
    "verified by a run that could not judge it": (
        "UPDATE evaluations SET evaluated = (1 = 0) WHERE run = 3",
        NOT_JUDGED,
    ),
    "verified by a run that never evaluated it": ("DELETE FROM evaluations WHERE run = 3", NOT_JUDGED),
    "with a finding attached": (
        (
            "INSERT INTO nonconformity_findings (nonconformity, finding_id, attached_run)"
            " SELECT 1, finding_id, 3 FROM findings"
        ),
        "a finding of the nonconformity stands",
    ),
    "with a finding that is open": (
        "UPDATE findings SET is_open = (1 = 1)",
        "a finding of the nonconformity stands",
    ),
    "with a finding that an exception covers": (
        "UPDATE findings SET is_open = (1 = 1), exception = 'E-1'",
        "a finding of the nonconformity stands",
    ),
    "with a finding that is held for acceptance": (
        "UPDATE findings SET is_open = (1 = 1), waiting = (1 = 1)",
        "a finding of the nonconformity stands",
    ),
    "seen gone by a run that could not judge it": (
        "UPDATE evaluations SET evaluated = (1 = 0) WHERE run = 2",
        "said to have seen the findings gone could not judge",
    ),
    "seen gone by the run that found it": (f"{SET} gone_run = 1", "a finding came or went after the run"),
    "seen gone and verified by one run": (f"{SET} gone_run = verified_run", "is the one that saw the findings gone"),
    "watched for a shorter time": (f"{SET} watch_until = gone_at", UNSEEN),
    "corrected by somebody whom history does not tell": (
        f"{SET} corrected_by = 'mary'",
        "does not tell of every entry",
    ),
    "done at a time that history does not tell": (
        f"{SET} action_done_at = '2026-03-01T00:00:00.000000+00:00'",
        "does not tell of every entry",
    ),
    "by who corrected it": (f"{SET} corrected_by = 'Grace '", "does not tell of every entry"),
    "by who did its action": (f"{SET} action_done_by = 'GRACE'", "does not tell of every entry"),
    "by who corrected it before, as if it were new": (TOLD.replace("'closed'", "'reopened'"), "only what is closed"),
    "by who corrected it before somebody else did": (TOLD.replace("'closed'", "'corrected'"), OWN_WORK),
    "by who did its action before somebody else did": (
        TOLD.replace("'closed'", "'done'").replace("grace", "Grace"),
        OWN_WORK,
    ),
}
CLOSED_BADLY = {
    "by nobody": (CLOSE.replace("'grace'", "NULL"), UNTOLD),
    "by a name that is empty": (CLOSE.replace("'grace'", "' '"), UNTOLD),
    "by the machine": (CLOSE.replace("'grace'", "'Reconciler'"), UNTOLD),
    "at no time": (CLOSE.replace(f"'{AT}'", "NULL"), UNTOLD),
    "for no reason": (CLOSE.replace("'The feed works'", "NULL"), UNTOLD),
    "by another than history tells": (CLOSE.replace("'grace'", "'mary'"), UNTOLD),
    "for another reason than history tells": (CLOSE.replace("The feed works", "It is fine"), UNTOLD),
    "by its state alone": (f"{SET} state = 'closed'", UNTOLD),
    "while its state says otherwise": (CLOSE.replace("'closed', closed_by", "'open', closed_by"), "closed_whole"),
}
ONLY_REOPENED = "a closed nonconformity changes only by being reopened"
NEVER_CHANGES = "what a nonconformity is about, and since when, never changes"
ASIDE = f"{SET} set_aside_by = 'mary', set_aside_at = '{AT}', set_aside_reason = 'The directory is gone'"
OPENED = {"state": "'open'", "closed_by": "NULL", "closed_at": "NULL", "closed_reason": "NULL"}
OF_A_CLOSED_ONE = {
    "to alter it": (f"{SET} title = 'Nothing'", ONLY_REOPENED),
    "to alter what was entered": (f"{SET} correction = 'Nothing was wrong'", ONLY_REOPENED),
    "to say that another closed it": (f"{SET} closed_by = 'mary'", ONLY_REOPENED),
    "to open it by its state alone": (f"{SET} state = 'open'", ONLY_REOPENED),
    "to open it and keep what was entered": (
        AGAIN.replace("correction = NULL, corrected_by = NULL, corrected_at = NULL,", ""),
        ONLY_REOPENED,
    ),
    "to open it and keep its containment": (
        AGAIN.replace("containment = NULL, contained_by = NULL, contained_at = NULL,", ""),
        ONLY_REOPENED,
    ),
    "to set it aside": (ASIDE, ONLY_REOPENED),
    "to open it and keep what was seen": (
        AGAIN.replace("gone_run = NULL, gone_at = NULL, watch_until = NULL,", ""),
        ONLY_REOPENED,
    ),
    "to open it without counting": (AGAIN.replace("times_reopened + 1", "times_reopened"), ONLY_REOPENED),
    "to open it under another number": (AGAIN.replace("SET ", "SET number = 7, "), NEVER_CHANGES),
    "to open it as of another cause": (AGAIN.replace("SET ", "SET cause_key = '{}', "), NEVER_CHANGES),
    "to delete it": ("DELETE FROM nonconformities", "its rows are never deleted"),
    "to attach a finding": (
        (
            "INSERT INTO nonconformity_findings (nonconformity, finding_id, attached_run)"
            " SELECT 1, finding_id, 3 FROM findings"
        ),
        "a closed nonconformity takes no finding",
    ),
    "to detach a finding later": ("UPDATE nonconformity_findings SET detached_run = 3", "is detached once"),
    "to give a finding to another": ("UPDATE nonconformity_findings SET finding_id = 'F-1'", "is detached once"),
    "to delete its findings": ("DELETE FROM nonconformity_findings", "its rows are never deleted"),
    "to alter its history": ("UPDATE nonconformity_transitions SET why = 'It was fine'", "is a history"),
    "to delete its history": ("DELETE FROM nonconformity_transitions", "is a history"),
    "to delete a line of its history": ("DELETE FROM nonconformity_transitions WHERE number = 3", "is a history"),
    "to enter one that is closed": (f"INSERT {copied(number='2', cause_key=repr('{}'))}", "begins open"),
    "to enter it once more": (f"INSERT {copied(**OPENED)}", "a nonconformity of this number"),
}
OF_WHAT_RUNS_SAW = (
    "UPDATE evaluations SET evaluated = (1 = 0)",
    "DELETE FROM evaluations",
    "UPDATE runs SET as_of = '2026-04-01T00:00:00.000000+00:00'",
    "UPDATE runs SET recorded_at = '2026-04-01T00:00:00.000000+00:00' WHERE number = 3",
    "UPDATE runs SET snapshot = 'another'",
    "DELETE FROM runs",
    "DELETE FROM findings",
    "UPDATE finding_changes SET reason = 'nothing'",
    "DELETE FROM finding_changes",
)
REFUSED_LINES = {
    "by nobody": TOLD.replace("'grace'", "' '"),
    "for no reason": TOLD.replace("'The feed works'", "''"),
    "about nothing": TOLD.replace("'closed'", "''"),
    "at no time": TOLD.replace(f"'{AT}'", "NULL"),
    "of no nonconformity": TOLD.replace("VALUES (1", "VALUES (9"),
}
BY_REPLACING = (
    "REPLACE INTO evaluations SELECT * FROM evaluations",
    f"REPLACE {LINE} VALUES (3, 1, '{AT}', 'mary', 'corrected', 'x')",  # noqa: S608 - all of it stands here
    f"REPLACE {LINE} VALUES (9, 1, '{AT}', 'mary', 'corrected', 'x')",  # noqa: S608 - all of it stands here
    f"REPLACE {copied(**OPENED)}",
    (
        "REPLACE INTO nonconformity_findings (nonconformity, finding_id, attached_run, detached_run)"
        " SELECT nonconformity, finding_id, attached_run, 1 FROM nonconformity_findings"
    ),
)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def to_close(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with one nonconformity of which only the close is owed; nothing is committed to it."""
    url = _new(request, tmp_path_factory)
    verified(url)
    return url


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def closed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database with one nonconformity, closed; nothing is committed to it."""
    url = _new(request, tmp_path_factory)
    verified(url).store.close(NC, by="grace", at=evening(5), reason="The feed works")
    return url


def _new(request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{folders.mktemp('gates')}/reconciler.db"
    server: Server = request.getfixturevalue("postgres_server")
    return server.url(server.new_database())


@contextmanager
def undone(url: str) -> Iterator[Connection]:
    """Yield a connection whose work is rolled back."""
    with create_engine(url, poolclass=NullPool).connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=ON")
            connection.commit()
        yield connection
        connection.rollback()


def unguarded(connection: Connection) -> Connection:
    """Take away, until it is rolled back, what keeps runs and their evaluations from being altered."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN")
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('evaluations', 'runs')"
        execute(connection, *(f"DROP TRIGGER {name}" for (name,) in connection.exec_driver_sql(query).all()))
    else:
        execute(connection, *(f"ALTER TABLE {table} DISABLE TRIGGER USER" for table in ("evaluations", "runs")))
    return connection


def execute(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(text(statement))


def refused(connection: Connection, statement: str) -> str:
    with pytest.raises(IntegrityError) as caught:
        execute(connection, statement)
    return str(caught.value.orig)


def test_past_every_gate_it_closes(to_close: str) -> None:
    with undone(to_close) as connection:
        connection.execute(text(TOLD))
        assert connection.execute(text(CLOSE)).rowcount == 1


@pytest.mark.parametrize("how", PAST_A_GATE)
def test_no_gate_is_passed(to_close: str, how: str) -> None:
    with undone(to_close) as connection:
        statement, said = PAST_A_GATE[how]
        with pytest.raises(IntegrityError, match=said):
            execute(unguarded(connection), statement, TOLD, CLOSE)


@pytest.mark.parametrize("how", CLOSED_BADLY)
def test_a_close_says_who_when_and_why(to_close: str, how: str) -> None:
    with undone(to_close) as connection:
        connection.execute(text(TOLD))
        statement, said = CLOSED_BADLY[how]
        assert said in refused(connection, statement)


def test_one_that_the_last_run_looked_for_is_not_set_aside(to_close: str) -> None:
    with undone(to_close) as connection:
        for statement, said in (
            (ASIDE.replace("'mary'", "NULL"), "stand together"),
            (ASIDE.replace("'mary'", "' Reconciler'"), "stand together"),
            (ASIDE, "the history does not tell that it was set aside"),
        ):
            assert said in refused(connection, statement)
            connection.rollback()
        told = TOLD.replace("'grace', 'closed', 'The feed works'", "'mary', 'set aside', 'The directory is gone'")
        execute(connection, told)
        assert "the last run looked for all of it" in refused(connection, ASIDE)
        connection.rollback()
        execute(unguarded(connection), told, "UPDATE evaluations SET source = 'aws' WHERE run = 3", ASIDE)
        assert "stand together, and never while it is closed" in refused(connection, CLOSE)


@pytest.mark.parametrize(
    ("grade", "said"),
    [("minor", "only the machine changes a grade"), ("major", "closed_past_every_gate"), ("none", "known_grade")],
)
def test_a_major_one_is_not_closed_without_containment(to_close: str, grade: str, said: str) -> None:
    weighed = TOLD.replace("'grace', 'closed'", "'reconciler', 'weighed'").replace("why)", "why, after)")
    weighed = weighed.replace("works')", 'works\', \'{"grade": "@"}\')')
    uncontained = "contained_by = NULL, contained_at = NULL, containment = NULL"
    with undone(to_close) as connection:
        told = weighed.replace("@", "none" if grade == "none" else "major")
        connection.exec_driver_sql(told)
        if grade != "none":
            execute(connection, f"{SET} grade = 'major', {uncontained}", TOLD)
        statement = f"{SET} grade = '{grade}'" if grade != "major" else CLOSE
        assert said in refused(connection, statement)


def test_one_without_findings_is_not_closed(to_close: str) -> None:
    with undone(to_close) as connection:
        connection.execute(text(f"INSERT {copied(number='2', cause_key=repr('{}'))}"))
        connection.execute(text(TOLD.replace("(1, ", "(2, ")))
        assert "has nothing that a run could see gone" in refused(connection, f"{CLOSE} WHERE number = 2")


def test_a_close_of_which_history_does_not_tell_is_refused(to_close: str) -> None:
    with undone(to_close) as connection:
        assert "history does not tell of this close" in refused(connection, CLOSE)


def test_a_closed_one_is_reopened_by_owing_everything_anew(closed: str) -> None:
    with undone(closed) as connection:
        assert connection.execute(text(AGAIN)).rowcount == 1


@pytest.mark.parametrize("what", OF_A_CLOSED_ONE)
def test_of_a_closed_one_it_is_refused(closed: str, what: str) -> None:
    with undone(closed) as connection:
        statement, said = OF_A_CLOSED_ONE[what]
        assert said in refused(connection, statement)


@pytest.mark.parametrize("statement", OF_WHAT_RUNS_SAW)
def test_what_runs_saw_and_people_decided_is_never_altered(closed: str, statement: str) -> None:
    with undone(closed) as connection:
        assert re.search("never (altered|changes|deleted)", refused(connection, statement))


@pytest.mark.parametrize("how", REFUSED_LINES)
def test_no_line_of_history_is_written(closed: str, how: str) -> None:
    with undone(closed) as connection:
        refused(connection, REFUSED_LINES[how])


def test_nothing_is_replaced(closed: str) -> None:
    with undone(closed) as connection:
        if connection.dialect.name != "sqlite":
            for table in ("nonconformities", "nonconformity_findings", "nonconformity_transitions"):
                refused(connection, f"TRUNCATE {table} CASCADE")
                connection.rollback()
            return
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        for statement in BY_REPLACING:
            refused(connection, statement)


def test_reopening_replaces_no_other_that_is_open(closed: str) -> None:
    other = copied(number="2", **OPENED)
    with undone(closed) as connection:
        connection.execute(text(f"INSERT {other}"))
        statement = f"{AGAIN} WHERE number = 1"
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
            statement = statement.replace("UPDATE", "UPDATE OR REPLACE")
        assert "another nonconformity of this cause is open" in refused(connection, statement)


def test_the_models_name_the_gates_that_the_database_has(to_close: str) -> None:
    with undone(to_close) as connection:
        if connection.dialect.name == "sqlite":
            query = "SELECT sql FROM sqlite_master WHERE name = :table"
        else:
            query = (
                "SELECT string_agg(conname, ' ') FROM pg_constraint WHERE contype = 'c'"
                " AND conrelid = CAST(:table AS regclass)"
            )
        for table in (METADATA.tables["nonconformities"], METADATA.tables["nonconformity_transitions"]):
            held = str(connection.execute(text(query), {"table": table.name}).scalar_one())
            names = {str(each.name) for each in table.constraints if type(each).__name__ == "CheckConstraint"}
            assert names
            assert {name for name in names if name not in held} == set()

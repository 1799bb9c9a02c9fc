"""Only differences are written: counted by the databases themselves, with triggers."""

from __future__ import annotations

from sqlalchemy import Connection, NullPool, create_engine, text

from reconciler.estate.results import Outcome
from reconciler.findings.store import FindingStore
from tests.findings.nights import blocked, record, result, verdict

TABLES = ("findings", "finding_changes", "evaluations")
NOTE = """
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN INSERT INTO written VALUES (TG_TABLE_NAME); RETURN NULL; END $$
"""


def count_writes(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE written (name TEXT)"))
    sqlite = connection.dialect.name == "sqlite"
    if not sqlite:
        connection.execute(text(NOTE))
    for table in TABLES:
        for event in ("INSERT", "UPDATE", "DELETE"):
            act = f"BEGIN INSERT INTO written VALUES ('{table}'); END" if sqlite else "EXECUTE FUNCTION note()"  # noqa: S608 - the names stand above
            connection.execute(text(f"CREATE TRIGGER on_{table}_{event} AFTER {event} ON {table} FOR EACH ROW {act}"))


def test_a_second_identical_night_writes_no_row_of_findings_or_history(store: FindingStore, url: str) -> None:
    verdicts = [verdict(f"a{n}", (Outcome.VIOLATION, Outcome.NOT_EVALUABLE)[n % 2]) for n in range(50)]
    record(store, 0, result(*verdicts))
    fallen = [verdict("a0", Outcome.NOT_EVALUABLE), *verdicts[1:]]
    record(store, 1, result(*fallen))
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        count_writes(connection)

    def written() -> dict[str, int]:
        with engine.begin() as connection:
            rows = connection.execute(text("SELECT name, count(*) FROM written GROUP BY name"))
            return {row[0]: row[1] for row in rows}

    record(store, 2, result(*fallen))
    assert written() == {"evaluations": 1}
    record(store, 3, result(*fallen[1:], scopes=[blocked()]))
    assert written() == {"evaluations": 2}
    record(store, 4, result(*fallen[:-1]))
    assert written() == {"evaluations": 3, "findings": 1, "finding_changes": 1}

"""Which version of the schema a database has, and how to bring it to ours."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from reconciler.database import filing, findings, links, nonconformities
from reconciler.database.connection import Database
from reconciler.database.model import Model
from reconciler.errors import StoreError

MODELS: tuple[type[Model], ...] = (
    findings.RunRow,
    findings.EvaluationRow,
    findings.FindingRow,
    findings.ChangeRow,
    findings.DropRow,
    findings.AcceptanceRow,
    links.LinkRow,
    links.LinkDecisionRow,
    nonconformities.NonconformityRow,
    nonconformities.AttachedRow,
    nonconformities.TransitionRow,
    nonconformities.RiskRow,
    nonconformities.NoticeRow,
    filing.TicketRow,
    filing.OperationRow,
    filing.AttemptRow,
    filing.CommentRow,
    filing.DeliveryRow,
)
"""Every table; importing them here makes the metadata whole."""

VERSION_TABLE = "reconciler_schema"


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(Path(__file__).with_name("migrations")))


def versions() -> list[str]:
    """Return every version of the schema, oldest first; the last is the one that this product reads and writes."""
    return [script.revision for script in _scripts().walk_revisions()][::-1]


def found(connection: Connection, name: str) -> str | None:
    """Return the version of the database, None for an empty one.

    Raises ``StoreError`` where tables of our names stand there that no migration of ours made.
    """
    version = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
    if version is None:
        taken = sorted({str(model.__tablename__) for model in MODELS} & set(inspect(connection).get_table_names()))
        if taken:
            raise StoreError(
                f"the database {name} holds tables that reconciler did not make: {', '.join(taken)}",
                advice="give reconciler a database of its own: [store] database",
            )
    return version


def refuse_other(version: str | None, name: str) -> None:
    """Raise ``StoreError`` with the remedy for a database older or newer than ours, and for an empty one."""
    known = versions()
    if version == known[-1]:
        return
    if version is None:
        raise StoreError(f"the database {name} is empty", advice="run: reconciler db upgrade")
    if version in known:
        raise StoreError(
            f"the database {name} has schema version {version}, older than {known[-1]} which this reconciler needs",
            advice="make a backup, then run: reconciler db upgrade",
        )
    raise StoreError(
        f"the database {name} has schema version {version}, made by a newer reconciler (this one knows {known[-1]})",
        advice="install the newer reconciler; a database is never taken back",
    )


def opened(url: str, *, to_read: bool = False) -> Database:
    """Return the database at ``url``, its tables created where it is empty.

    Raises ``StoreError`` for a database of an older schema (advice: ``reconciler db upgrade``) or a newer one, and,
    unless it is opened ``to_read`` only, for a file that this user may not write to: better now than after hours of
    pulling. Raises ``ConfigurationError`` for a URL that names no database.
    """
    database = Database(url)
    if not to_read:
        database.refuse_closed()
    if version(database) is None:
        migrate(database)
    refuse_other(version(database), str(database))
    return database


def version(database: Database) -> str | None:
    """Return the version of the database's schema, None for an empty database."""
    with database.reading() as session:
        return found(session.connection(), str(database))


def migrate(database: Database, *, target: str | None = None) -> list[str]:
    """Bring the database to ``target`` (the newest where None) in one transaction; return the versions applied.

    Raises ``StoreError`` for a database made by a newer reconciler, and for whatever the database refuses.
    """
    known = versions()
    goal = known[-1] if target is None else target
    database.keep_log_ahead()
    with database.writing() as session:
        connection = session.connection()
        version = found(connection, str(database))
        if version is not None and version not in known:
            refuse_other(version, str(database))
        first = 0 if version is None else known.index(version) + 1
        pending = known[first : known.index(goal) + 1]
        if pending:
            _apply(connection, goal)
    return pending


def _apply(connection: Connection, goal: str) -> None:
    scripts = _scripts()
    with EnvironmentContext(
        Config(),
        scripts,
        fn=lambda revision, _: scripts._upgrade_revs(goal, revision),  # noqa: SLF001 - what alembic's own command does; the public command needs an env.py and a file of settings
    ) as environment:
        environment.configure(connection=connection, version_table=VERSION_TABLE, transactional_ddl=True)
        environment.run_migrations()

"""The findings store: the one door to the database for the run, the command line and the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Self

from reconciler.database import schema
from reconciler.database.connection import Database
from reconciler.errors import ConfigurationError
from reconciler.estate.results import Change, Evaluation, Finding, Outcome, Run, Scope, Severity, State
from reconciler.estate.tables import Coverage
from reconciler.findings import acceptances, drops, links, reading, recording
from reconciler.findings.acceptances import Acceptance
from reconciler.findings.drops import AcceptedDrop
from reconciler.findings.links import LinkDecision
from reconciler.snapshot.memory import RememberedLink


class FindingStore:
    """Findings, their history, runs and accepted drops in one SQLite or PostgreSQL database.

    Every method is one transaction and raises ``StoreError`` with the remedy where the database cannot be
    read or written. Constructing reads nothing; ``open`` checks the schema.
    """

    def __init__(self, url: str) -> None:
        self._database = Database(url)

    @classmethod
    def open(cls, url: str, *, to_read: bool = False) -> Self:
        """Return the store, creating the tables in an empty database.

        Raises ``StoreError`` for a database of an older schema (advice: ``reconciler db upgrade``) or a newer
        one, and, unless it is opened ``to_read`` only, for a file that this user may not write to: better now
        than after hours of pulling. Raises ``ConfigurationError`` for a URL that names no database.
        """
        schema.opened(url, to_read=to_read)
        return cls(url)

    def upgrade(self) -> list[str]:
        """Bring the schema to the newest version; return the versions applied, none where it was current."""
        return schema.migrate(self._database)

    def schema_version(self) -> str | None:
        """Return the version of the database's schema, None for an empty database."""
        return schema.version(self._database)

    def is_current(self) -> bool:
        """Return whether the schema is the one that this product reads and writes."""
        return self.schema_version() == schema.versions()[-1]

    def record(
        self,
        evaluation: Evaluation,
        *,
        run_id: str,
        estate: str,
        coverage: Sequence[Coverage],
        recorded_at: datetime,
        limit: Callable[[str, Scope], int] | None = None,
    ) -> Run:
        """Write an evaluation as one run, whole or not at all, and return the run with its counts.

        ``limit`` says how many new violations a rule, by its id, may open in a scope; where there are more they
        are held until somebody accepts them. None: any number may; so may they in the first run.

        Raises ``StoreError`` where the run id is taken, where ``as_of`` is before the last run's, or where the
        database belongs to another estate; ``ConfigurationError`` where a rule's verdicts contradict its
        scopes or identity.
        """
        with self._database.writing() as session:
            recording.record(
                session,
                evaluation,
                run_id=run_id,
                estate=estate,
                coverage=coverage,
                recorded_at=recorded_at,
                limit=limit,
            )
            links.keep(session, evaluation.links)
        return self.run(run_id)

    def findings(
        self,
        *,
        state: State | None = None,
        rule: str | None = None,
        severity: Severity | None = None,
        source: str | None = None,
        person: str | None = None,
        verdict: Outcome | None = None,
        open_only: bool = False,
    ) -> list[Finding]:
        """Return the findings that fit, worst first (severity, rule, source, subject); None asks nothing.

        ``rule`` is an id or a name; states, severities and verdicts may be given as words. Raises
        ``ConfigurationError`` for a rule or source that no run ever had, and for a word that means none.
        """
        wanted = reading.filters(
            state=state,
            rule=rule,
            severity=severity,
            source=source,
            person=person,
            verdict=verdict,
            open_only=open_only,
        )
        with self._database.reading() as session:
            return reading.findings(session, wanted)

    def show(self, finding_id: str) -> tuple[Finding, list[Change]]:
        """Return a finding and its history, oldest first, by its id or the beginning of it.

        Raises ``ConfigurationError`` where none or several fit.
        """
        with self._database.reading() as session:
            return reading.show(session, finding_id)

    def last_run(self) -> Run | None:
        """Return the last recorded run, None before the first."""
        return next(iter(self.runs(limit=1)), None)

    def runs(self, limit: int | None = None) -> list[Run]:
        """Return recorded runs, newest first."""
        with self._database.reading() as session:
            return reading.runs(session, limit=limit)

    def run(self, run_id: str) -> Run:
        """Return one run; raise ``ConfigurationError`` for one that was never recorded."""
        with self._database.reading() as session:
            found = reading.runs(session, run_id=run_id)
        if not found:
            raise ConfigurationError(f"no run {run_id} is recorded", advice="name a recorded run, or record this one")
        return found[0]

    def run_of_snapshot(self, snapshot: str) -> Run | None:
        """Return the last run that evaluated the snapshot, None where none was recorded."""
        with self._database.reading() as session:
            return next(iter(reading.runs(session, snapshot=snapshot, limit=1)), None)

    def accept_drop(
        self,
        *,
        source: str,
        table_name: str,
        snapshot: str,
        rows_before: int,
        rows_accepted: int,
        accepted_by: str,
        reason: str,
        at: datetime,
    ) -> AcceptedDrop:
        """Keep a named person's acceptance of a drop in rows; raise ``ConfigurationError`` for an incomplete one."""
        drop = AcceptedDrop(
            source=source,
            table_name=table_name,
            snapshot=snapshot,
            rows_before=rows_before,
            rows_accepted=rows_accepted,
            accepted_by=accepted_by,
            reason=reason,
            at=at,
        )
        with self._database.writing() as session:
            drops.accept(session, drop)
        return drop

    def accepted_drops(self, *, source: str | None = None, table_name: str | None = None) -> list[AcceptedDrop]:
        """Return acceptances, newest first; None asks nothing."""
        with self._database.reading() as session:
            return drops.accepted(session, source=source, table_name=table_name)

    def accept_findings(self, *, rule: str, source: str | None, by: str, reason: str, at: datetime) -> Acceptance:
        """Release the held findings of a rule (in one source; None: in all); see ``acceptances.accept``."""
        with self._database.writing() as session:
            return acceptances.accept(session, rule=rule, source=source, by=by, reason=reason, at=at)

    def accepted_findings(self) -> list[Acceptance]:
        """Return every acceptance of held findings, newest first."""
        with self._database.reading() as session:
            return acceptances.accepted(session)

    def remembered_links(self) -> Iterator[RememberedLink]:
        """Yield every link that is kept, rejected ones too; the database is read as they are taken."""
        with self._database.reading() as session:
            yield from links.remembered(session)

    def links_of(self, source: str, account_id: str) -> tuple[list[RememberedLink], list[LinkDecision]]:
        """Return what is kept about an account, and what people decided about it, oldest first."""
        with self._database.reading() as session:
            return links.of_account(session, source, account_id), links.decisions(session, source, account_id)

    def link(self, *, source: str, account_id: str, person_id: str, by: str, at: datetime, reason: str) -> None:
        """Link an account to a person by hand; see ``links.link``."""
        with self._database.writing() as session:
            links.link(session, source=source, account_id=account_id, person_id=person_id, by=by, at=at, reason=reason)

    def reject_link(
        self, *, source: str, account_id: str, person_id: str | None, by: str, at: datetime, reason: str
    ) -> str:
        """Rule a person out for an account (None: the linked one) and return the person; see ``links.reject``."""
        with self._database.writing() as session:
            return links.reject(
                session, source=source, account_id=account_id, person_id=person_id, by=by, at=at, reason=reason
            )

    def rule_evaluations(self) -> dict[str, datetime]:
        """Return by rule the instant judged by the last run that could evaluate it somewhere."""
        with self._database.reading() as session:
            return reading.rule_evaluations(session)

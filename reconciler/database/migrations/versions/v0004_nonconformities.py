"""Nonconformities with their gates, their findings and history; accepted risks; and what is told to whom."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.String(32), "sqlite")
_BIG = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

_GATES = {
    "closed_past_every_gate": (
        "state <> 'closed' OR (correction IS NOT NULL AND cause IS NOT NULL AND action IS NOT NULL"
        " AND (grade <> 'major' OR containment IS NOT NULL)"
        " AND action_done_at IS NOT NULL AND gone_at IS NOT NULL AND verified_at IS NOT NULL"
        " AND verified_at >= action_done_at"
        " AND closed_by IS NOT NULL AND closed_at IS NOT NULL AND closed_reason IS NOT NULL)"
    ),
    "closed_by_somebody_else": (
        "closed_by IS NULL OR (lower(trim(closed_by)) <> lower(trim(COALESCE(corrected_by, '')))"
        " AND lower(trim(closed_by)) <> lower(trim(COALESCE(action_done_by, ''))))"
    ),
    "known_state": "state IN ('open', 'verifying', 'closed')",
    "known_grade": "grade IN ('minor', 'major')",
    "known_cause_method": (
        "cause_method IS NULL OR cause_method IN ('five_whys', 'fishbone', 'fault_tree', 'is_is_not', 'other')"
    ),
    "containment_whole": (
        "(contained_by IS NULL) = (contained_at IS NULL) AND (contained_by IS NULL) = (containment IS NULL)"
    ),
    "correction_whole": (
        "(corrected_by IS NULL) = (corrected_at IS NULL) AND (corrected_by IS NULL) = (correction IS NULL)"
    ),
    "cause_whole": (
        "(cause_by IS NULL) = (cause_at IS NULL) AND (cause_by IS NULL) = (cause IS NULL)"
        " AND (cause_by IS NULL) = (cause_method IS NULL)"
    ),
    "action_whole": (
        "(action_by IS NULL) = (action_at IS NULL) AND (action_by IS NULL) = (action IS NULL)"
        " AND (action_by IS NULL) = (action_owner_role IS NULL) AND (action_by IS NULL) = (action_due_on IS NULL)"
    ),
    "action_done_whole": (
        "(action_done_by IS NULL) = (action_done_at IS NULL) AND (action_done_by IS NULL OR action_by IS NOT NULL)"
    ),
    "gone_whole": (
        "(gone_run IS NULL) = (gone_at IS NULL) AND (gone_run IS NULL) = (watch_until IS NULL)"
        " AND (gone_run IS NULL OR watch_until >= gone_at)"
    ),
    "verified_whole": (
        "(verified_run IS NULL) = (verified_at IS NULL)"
        " AND (verified_run IS NULL OR gone_run IS NOT NULL)"
        " AND (verified_run IS NULL OR (verified_run >= gone_run AND verified_at >= watch_until))"
    ),
    "closed_whole": (
        "(state = 'closed') = (closed_by IS NOT NULL) AND (closed_by IS NULL) = (closed_at IS NULL)"
        " AND (closed_by IS NULL) = (closed_reason IS NULL)"
    ),
    "people_are_named": (
        "lower(trim(COALESCE(contained_by, '-'))) NOT IN ('', 'reconciler')"
        " AND lower(trim(COALESCE(corrected_by, '-'))) NOT IN ('', 'reconciler')"
        " AND lower(trim(COALESCE(cause_by, '-'))) NOT IN ('', 'reconciler')"
        " AND lower(trim(COALESCE(action_by, '-'))) NOT IN ('', 'reconciler')"
        " AND lower(trim(COALESCE(action_done_by, '-'))) NOT IN ('', 'reconciler')"
        " AND lower(trim(COALESCE(closed_by, '-'))) NOT IN ('', 'reconciler')"
    ),
    "entries_say_something": (
        "trim(COALESCE(containment, '-')) <> '' AND trim(COALESCE(correction, '-')) <> ''"
        " AND trim(COALESCE(cause, '-')) <> '' AND trim(COALESCE(action, '-')) <> ''"
        " AND trim(COALESCE(action_owner_role, '-')) <> '' AND trim(COALESCE(closed_reason, '-')) <> ''"
    ),
}
"""What a row must hold by itself."""

# What each table refuses whoever asks: what is said -> the condition on NEW and OLD. A REPLACE of SQLite deletes the
# row in its way without any trigger on DELETE, so what would be replaced is refused too.
_BEGINNING = {
    "a nonconformity begins open": "NEW.state = 'closed'",
    "a nonconformity of this number, or an open one of this cause, is there": (
        "EXISTS (SELECT 1 FROM nonconformities n WHERE n.number = NEW.number"
        " OR (n.cause_key = NEW.cause_key AND n.state <> 'closed'))"
    ),
}
_CHANGING = {
    "what a nonconformity is about, and since when, never changes": (
        "NEW.number <> OLD.number OR NEW.cause_key <> OLD.cause_key OR NEW.rule_id <> OLD.rule_id"
        " OR NEW.detected_at <> OLD.detected_at OR NEW.detected_run <> OLD.detected_run"
        " OR NEW.times_reopened < OLD.times_reopened"
    ),
    "a closed nonconformity changes only by being reopened, and then all of it is owed anew": (
        "OLD.state = 'closed' AND (NEW.state <> 'open' OR NEW.times_reopened <> OLD.times_reopened + 1"
        " OR NEW.gone_run IS NOT NULL OR NEW.verified_run IS NOT NULL OR NEW.correction IS NOT NULL"
        " OR NEW.cause IS NOT NULL OR NEW.action IS NOT NULL)"
    ),
    "another nonconformity of this cause is open": (
        "OLD.state = 'closed' AND EXISTS (SELECT 1 FROM nonconformities n"
        " WHERE n.cause_key = NEW.cause_key AND n.state <> 'closed' AND n.number <> NEW.number)"
    ),
}
_OF_IT = "nonconformity_findings a JOIN findings f ON f.finding_id = a.finding_id WHERE a.nonconformity = NEW.number"
_ELSEWHERE = (
    "EXISTS (SELECT 1 FROM nonconformity_findings b WHERE b.finding_id = f.finding_id"
    " AND b.nonconformity <> NEW.number AND b.detached_run IS NULL)"
)
_TOLD = (
    "nonconformity_transitions t WHERE t.nonconformity = NEW.number AND t.number > COALESCE((SELECT MAX(r.number)"
    " FROM nonconformity_transitions r WHERE r.nonconformity = NEW.number AND r.what = 'reopened'), 0)"
)
_CLOSING = {
    "a nonconformity without findings has nothing that a run could see gone": f"NOT EXISTS (SELECT 1 FROM {_OF_IT})",  # noqa: S608 - all of it stands here
    "a finding of the nonconformity stands": (
        f"EXISTS (SELECT 1 FROM {_OF_IT} AND (a.detached_run IS NULL"  # noqa: S608 - all of it stands here
        f" OR (f.is_open AND f.exception IS NULL AND NOT f.waiting AND NOT {_ELSEWHERE})))"
    ),
    "no run after the watch period, and after the action was done, verified the effect": (
        "NOT EXISTS (SELECT 1 FROM runs r WHERE r.number = NEW.verified_run"
        " AND r.as_of >= NEW.watch_until AND r.as_of >= NEW.action_done_at)"
    ),
    "the run that is said to have verified could not judge every finding of the nonconformity": (
        f"EXISTS (SELECT 1 FROM {_OF_IT} AND NOT {_ELSEWHERE}"  # noqa: S608 - all of it stands here
        " AND NOT EXISTS (SELECT 1 FROM evaluations e WHERE e.run = NEW.verified_run AND e.evaluated"
        " AND e.rule_id = f.rule_id AND COALESCE(e.source, '') = COALESCE(f.source, '')))"
    ),
    "who closes a nonconformity is nobody who corrected it or did its action": (
        f"EXISTS (SELECT 1 FROM {_TOLD} AND t.what IN ('corrected', 'done')"  # noqa: S608 - all of it stands here
        " AND lower(trim(t.who)) = lower(trim(NEW.closed_by)))"
    ),
    "the history does not tell of this close: who, when and why": (
        f"NOT EXISTS (SELECT 1 FROM {_TOLD} AND t.what = 'closed' AND t.who = NEW.closed_by"  # noqa: S608 - all of it stands here
        " AND t.at = NEW.closed_at AND t.why = NEW.closed_reason)"
    ),
}
_ATTACHING = {
    "a closed nonconformity takes no finding: reopen it first": (
        "EXISTS (SELECT 1 FROM nonconformities n WHERE n.number = NEW.nonconformity AND n.state = 'closed')"
    ),
    "the finding was attached in this run": (
        "EXISTS (SELECT 1 FROM nonconformity_findings a WHERE a.nonconformity = NEW.nonconformity"
        " AND a.finding_id = NEW.finding_id AND a.attached_run = NEW.attached_run)"
    ),
}
_DETACHING = {
    "a finding is detached once, and nothing else of it changes": (
        "OLD.detached_run IS NOT NULL OR NEW.nonconformity <> OLD.nonconformity OR NEW.finding_id <> OLD.finding_id"
        " OR NEW.attached_run <> OLD.attached_run"
    ),
}
_TELLING = {
    "nonconformity_transitions is a history: its rows are added and never altered": (
        "EXISTS (SELECT 1 FROM nonconformity_transitions t WHERE t.number = NEW.number)"
    ),
}


def upgrade() -> None:
    """Create the tables; what was recorded before stands as it was."""
    _nonconformities()
    _nonconformity_findings()
    _nonconformity_transitions()
    _risk_acceptances()
    _notices()
    _keep_for_ever("nonconformity_transitions")
    closes = "NEW.state = 'closed' AND OLD.state <> 'closed'"
    closing = {said: f"{closes} AND {condition}" for said, condition in _CLOSING.items()}
    _refuse("nonconformities", "INSERT", _BEGINNING)
    _refuse("nonconformities", "UPDATE", _CHANGING | closing)
    _refuse("nonconformity_findings", "INSERT", _ATTACHING)
    _refuse("nonconformity_findings", "UPDATE", _DETACHING)
    _refuse("nonconformity_transitions", "INSERT", _TELLING)
    for table in ("nonconformities", "nonconformity_findings"):
        _never_delete(table)


def _nonconformities() -> None:
    """Create what each nonconformity is, with its gates as constraints."""
    op.create_table(
        "nonconformities",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("cause_key", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("supplier_id", sa.String(), nullable=True),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("statement", sa.Text(), nullable=False),
        sa.Column("requirement", sa.Text(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("grade", sa.String(), nullable=False),
        sa.Column("grade_reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("detected_at", _INSTANT, nullable=False),
        sa.Column("detected_run", sa.Integer(), nullable=False),
        sa.Column("owner_role", sa.String(), nullable=False),
        sa.Column("owner", sa.String(), nullable=True),
        sa.Column("escalated_to", sa.String(), nullable=True),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("contained_by", sa.String(), nullable=True),
        sa.Column("contained_at", _INSTANT, nullable=True),
        sa.Column("containment", sa.Text(), nullable=True),
        sa.Column("corrected_by", sa.String(), nullable=True),
        sa.Column("corrected_at", _INSTANT, nullable=True),
        sa.Column("correction", sa.Text(), nullable=True),
        sa.Column("cause_by", sa.String(), nullable=True),
        sa.Column("cause_at", _INSTANT, nullable=True),
        sa.Column("cause_method", sa.String(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=True),
        sa.Column("action_by", sa.String(), nullable=True),
        sa.Column("action_at", _INSTANT, nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("action_owner_role", sa.String(), nullable=True),
        sa.Column("action_due_on", sa.Date(), nullable=True),
        sa.Column("action_done_by", sa.String(), nullable=True),
        sa.Column("action_done_at", _INSTANT, nullable=True),
        sa.Column("gone_run", sa.Integer(), nullable=True),
        sa.Column("gone_at", _INSTANT, nullable=True),
        sa.Column("watch_until", _INSTANT, nullable=True),
        sa.Column("verified_run", sa.Integer(), nullable=True),
        sa.Column("verified_at", _INSTANT, nullable=True),
        sa.Column("closed_by", sa.String(), nullable=True),
        sa.Column("closed_at", _INSTANT, nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=True),
        sa.Column("times_reopened", sa.Integer(), nullable=False),
        sa.Column("recurrence_of", sa.Integer(), nullable=True),
        *(sa.CheckConstraint(condition, name=name) for name, condition in _GATES.items()),
        sa.ForeignKeyConstraint(["detected_run"], ["runs.number"], name="fk_nonconformities_detected_run"),
        sa.ForeignKeyConstraint(["gone_run"], ["runs.number"], name="fk_nonconformities_gone_run"),
        sa.ForeignKeyConstraint(["recurrence_of"], ["nonconformities.number"], name="fk_nonconformities_recurrence_of"),
        sa.ForeignKeyConstraint(["verified_run"], ["runs.number"], name="fk_nonconformities_verified_run"),
        sa.PrimaryKeyConstraint("number", name="pk_nonconformities"),
    )
    op.create_index("ix_nonconformities_rule_id", "nonconformities", ["rule_id"])
    op.create_index(
        "uq_nonconformities_open_cause_key",
        "nonconformities",
        ["cause_key"],
        unique=True,
        sqlite_where=sa.text("state <> 'closed'"),
        postgresql_where=sa.text("state <> 'closed'"),
    )


def _nonconformity_findings() -> None:
    """Create which findings belong to which."""
    op.create_table(
        "nonconformity_findings",
        sa.Column("nonconformity", sa.Integer(), nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("attached_run", sa.Integer(), nullable=False),
        sa.Column("detached_run", sa.Integer(), nullable=True),
        sa.Column("detached_why", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["attached_run"], ["runs.number"], name="fk_nonconformity_findings_attached_run"),
        sa.ForeignKeyConstraint(["detached_run"], ["runs.number"], name="fk_nonconformity_findings_detached_run"),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.finding_id"], name="fk_nonconformity_findings_finding_id"),
        sa.ForeignKeyConstraint(
            ["nonconformity"], ["nonconformities.number"], name="fk_nonconformity_findings_nonconformity"
        ),
        sa.PrimaryKeyConstraint("nonconformity", "finding_id", "attached_run", name="pk_nonconformity_findings"),
    )
    op.create_index("ix_nonconformity_findings_finding_id", "nonconformity_findings", ["finding_id"])


def _nonconformity_transitions() -> None:
    """Create what happened to each."""
    op.create_table(
        "nonconformity_transitions",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("nonconformity", sa.Integer(), nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("who", sa.String(), nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("before", sa.Text(), nullable=True),
        sa.Column("after", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["nonconformity"], ["nonconformities.number"], name="fk_nonconformity_transitions_nonconformity"
        ),
        sa.ForeignKeyConstraint(["run"], ["runs.number"], name="fk_nonconformity_transitions_run"),
        sa.PrimaryKeyConstraint("number", name="pk_nonconformity_transitions"),
        sa.CheckConstraint("trim(who) <> '' AND trim(what) <> '' AND trim(why) <> ''", name="who_what_why"),
    )
    op.create_index("ix_nonconformity_transitions_nonconformity", "nonconformity_transitions", ["nonconformity"])


def _risk_acceptances() -> None:
    """Create the risks that people ask to accept."""
    op.create_table(
        "risk_acceptances",
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("finding_id", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("rule_id", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=True),
        sa.Column("account_id", sa.String(), nullable=True),
        sa.Column("person_id", sa.String(), nullable=True),
        sa.Column("entitlement_id", sa.String(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("compensating_control", sa.Text(), nullable=False),
        sa.Column("review_owner", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("requested_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("approved_by", sa.String(), nullable=True),
        sa.Column("approved_at", _INSTANT, nullable=True),
        sa.Column("decision_reason", sa.Text(), nullable=True),
        sa.Column("written_to", sa.String(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("ended_reason", sa.Text(), nullable=True),
        sa.CheckConstraint("state <> 'approved' OR approved_by IS NOT NULL", name="approved_by_somebody"),
        sa.CheckConstraint("state IN ('requested', 'approved', 'rejected', 'withdrawn', 'ended')", name="known_state"),
        sa.CheckConstraint(
            "approved_by IS NULL OR (lower(trim(approved_by)) <> lower(trim(requested_by))"
            " AND lower(trim(approved_by)) <> lower(trim(COALESCE(person_id, ''))))",
            name="four_eyes",
        ),
        sa.CheckConstraint("approved_by IS NULL OR approved_at IS NOT NULL", name="decided_at_an_instant"),
        sa.CheckConstraint("expires_at > requested_at", name="ends_after_it_begins"),
        sa.ForeignKeyConstraint(["finding_id"], ["findings.finding_id"], name="fk_risk_acceptances_finding_id"),
        sa.PrimaryKeyConstraint("number", name="pk_risk_acceptances"),
    )
    op.create_index("ix_risk_acceptances_finding_id", "risk_acceptances", ["finding_id"])


def _notices() -> None:
    """Create what is told to whom."""
    op.create_table(
        "notices",
        sa.Column("number", _BIG, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=False),
        sa.Column("stage", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("due_at", _INSTANT, nullable=False),
        sa.Column("tried_at", _INSTANT, nullable=True),
        sa.Column("sent_at", _INSTANT, nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_notices"),
    )
    op.create_index(
        "ix_notices_kind_about_stage_recipient", "notices", ["kind", "about", "stage", "recipient"], unique=True
    )


def _keep_for_ever(table: str) -> None:
    """Refuse to alter or delete a line of history, whoever asks."""
    said = f"{table} is a history: its rows are added and never altered"
    if op.get_bind().dialect.name == "sqlite":
        for act in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table}"
                f" BEGIN SELECT RAISE(ABORT, '{said}'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_kept() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{said}' USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_kept()"
    )


def _refuse(table: str, act: str, refusals: dict[str, str]) -> None:
    """Refuse to insert or update a row where a condition on it holds, and say why."""
    name = f"{table}_{act.lower()}"
    if op.get_bind().dialect.name == "sqlite":
        said = " ".join(f"SELECT RAISE(ABORT, '{said}') WHERE {condition};" for said, condition in refusals.items())
        op.execute(sa.text(f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH ROW BEGIN {said} END"))
        return
    said = " ".join(
        f"IF {condition} THEN RAISE EXCEPTION '{said}' USING ERRCODE = 'check_violation'; END IF;"
        for said, condition in refusals.items()
    )
    op.execute(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {said} RETURN NEW; END $$")
    op.execute(f"CREATE TRIGGER {name} BEFORE {act} ON {table} FOR EACH ROW EXECUTE FUNCTION {name}()")


def _never_delete(table: str) -> None:
    """Refuse to delete a row: what stood is evidence."""
    said = f"{table} is evidence: its rows are never deleted"
    if op.get_bind().dialect.name == "sqlite":
        op.execute(
            f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{said}'); END"
        )
        return
    op.execute(
        f"CREATE FUNCTION {table}_kept() RETURNS trigger LANGUAGE plpgsql AS"
        f" $$ BEGIN RAISE EXCEPTION '{said}' USING ERRCODE = 'check_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_kept BEFORE DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION {table}_kept()"
    )

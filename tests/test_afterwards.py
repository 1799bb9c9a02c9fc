"""After a run: whatever filing meets is said, and raises nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from reconciler import accepting, afterwards, filing, notices, settings
from reconciler.afterwards import Filed
from reconciler.errors import FilingError, StoreError
from reconciler.filing.comparison import Comparison
from reconciler.filing.following import Followed
from reconciler.filing.night import Exchanged
from reconciler.filing.sending import Sent
from reconciler.findings.store import FindingStore
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot
from tests.findings.nights import record as recorded
from tests.findings.nights import result, verdict

SYSTEM = """
[filing]
enabled = true
[filing.systems.itsm]
connector = "servicenow"
url = "https://itsm.test"
user = "u"
password = "env:SN_PASSWORD"
"""


def configured(tmp_path: Path, more: str = SYSTEM) -> Settings:
    path = tmp_path / "reconciler.toml"
    path.write_text(f'[estate]\nname = "acme"\n[sources.qms]\nconnector = "files"\npath = "."\n{more}')
    return settings.load(path)


def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Exchanged | Exception, more: str = SYSTEM) -> Filed:
    async def after_run(*_: Any) -> Exchanged:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(filing, "after_run", after_run)
    return afterwards.file(configured(tmp_path, more))


def test_nothing_is_asked_while_filing_is_not_enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert file(tmp_path, monkeypatch, FilingError("asked"), more="") == Filed()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FilingError("the system does not answer.", advice="Look at it."), "the system does not answer. Look at it."),
        (RuntimeError("a defect"), "RuntimeError: a defect"),
    ],
)
def test_a_failure_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str) -> None:
    assert file(tmp_path, monkeypatch, error) == Filed(troubles=(said,))


def test_what_was_done_and_what_was_not_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exchanged = Exchanged(
        followed=Followed(unread=("itsm rec-1: refused",)),
        sent=Sent(filed=3, found=2, changed=1),
        compared=(Comparison(system="itsm"), Comparison(system="qms", missing=("rec-9",))),
        undone=("itsm rec-2 create waiting: no answer",),
    )
    assert file(tmp_path, monkeypatch, exchanged) == Filed(
        filed=3,
        found=2,
        changed=1,
        troubles=(
            "itsm rec-2 create waiting: no answer",
            "itsm rec-1: refused",
            "qms: the ledger and the system do not agree; `reconciler filing reconcile` says where",
        ),
    )


def test_a_rule_shows_each_control_and_clause_of_all_that_name_it_once(tmp_path: Path) -> None:
    own = tmp_path / "controls.toml"
    own.write_text("""
[[control]]
id = "ACME-C-01"
title = "Leavers lose access"
stage = "deprovisioning"
owner_role = "warden"
rules = ["IG-LVR-001"]
evidence.policy = "p"
evidence.workflow = "w"
evidence.enforcement = "e"
retention_days = 365
evidence_days = 2
clauses.iso27001 = ["A.5.18", "A.9.9"]
""")
    required = afterwards.requirements(configured(tmp_path, '[rules]\ncontrols = "controls.toml"\n'))["IG-LVR-001"]
    assert list(required.controls)[-1] == "ACME-C-01"
    assert len(required.controls) > 1
    clauses = required.clauses["iso27001"]
    assert len(set(clauses)) == len(clauses)
    assert clauses[-1] == "A.9.9"
    assert required.frameworks["iso27001"] == "ISO/IEC 27001:2022"
    assert required.owner_role != "warden", "the first control's owner answers"


NOTICES = """
[notices]
enabled = true
[notices.smtp]
host = "127.0.0.1"
port = 1
security = "none"
sender = "reconciler@acme.test"
"""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (StoreError("the database is closed.", advice="Open it."), "the database is closed. Open it."),
        (RuntimeError("a defect"), "RuntimeError: a defect"),
    ],
)
def test_a_notice_that_fails_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(afterwards, "holders", broken)
    run = recorded(FindingStore.open(configured(tmp_path, "").database_url), 0, result(verdict("a")))
    snapshot = cast("Snapshot", None)
    assert afterwards.tell(configured(tmp_path, ""), snapshot, run) == notices.Sent()
    assert afterwards.tell(configured(tmp_path, NOTICES), snapshot, run) == notices.Sent(errors=(said,))


def test_an_accepted_risk_that_cannot_be_written_hides_no_ticket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(accepting, "write", broken)
    done = Exchanged(followed=Followed(), sent=Sent(filed=3), compared=(), undone=())
    assert file(tmp_path, monkeypatch, done) == Filed(filed=3, troubles=("RuntimeError: a defect",))
    silent = FilingError("no answer.", advice="Look.")
    assert file(tmp_path, monkeypatch, silent) == Filed(troubles=("no answer. Look.", "RuntimeError: a defect"))

"""A run that is killed while it writes leaves the night before, whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.estate.results import State
from reconciler.findings.store import FindingStore
from tests.findings.nights import record, result, verdict

KILLED_AT = ["INSERT INTO findings", "UPDATE runs"]

VICTIM = """
import sys, time
from sqlalchemy import Engine, event
from reconciler.findings.store import FindingStore
from tests.findings.nights import record, result, verdict

url, stop = sys.argv[1:]

@event.listens_for(Engine, "after_cursor_execute")
def wait_to_be_killed(connection, cursor, statement, parameters, context, executemany):
    if statement.startswith(stop):
        print("ready", flush=True)
        time.sleep(600)

record(FindingStore.open(url), 1, result(verdict("kept"), *(verdict(f"new-{n}") for n in range(3_000))))
"""


@pytest.mark.parametrize("stop", KILLED_AT)
def test_a_killed_run_leaves_the_state_before_it(store: FindingStore, url: str, stop: str) -> None:
    record(store, 0, result(verdict("kept"), verdict("goes")))
    before = store.findings()
    with subprocess.Popen(
        [sys.executable, "-c", VICTIM, url, stop], stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as victim:
        assert victim.stdout is not None
        assert victim.stdout.readline() == "ready\n"
        victim.kill()
    assert [run.run_id for run in store.runs()] == ["run-0"]
    assert store.findings() == before
    run = record(store, 1, result(verdict("kept"), verdict("later")))
    assert (run.new, run.persisting, run.resolved) == (1, 1, 1)
    assert {f.state for f in store.findings(open_only=True)} == {State.NEW, State.PERSISTING}

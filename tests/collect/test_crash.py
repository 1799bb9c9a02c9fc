"""A pull that is killed leaves an unsealed snapshot, which the next pull passes over and the store reports."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

from reconciler.sdk.connector import Status
from reconciler.sdk.testing import MisbehavingSource
from tests.collect.conftest import Night

PULL = """
import asyncio, sys
from pathlib import Path
from tests.collect.conftest import Night
from reconciler.sdk.testing import Fault, FaultKind, MisbehavingSource
slow = Fault(FaultKind.SLOW, "grants", page=-1, seconds=600)
source = MisbehavingSource(accounts=70_000, grants=70_000, credentials=0, page_size=1_000, faults=[slow])
night = Night(Path(sys.argv[1]))
def report(progress):
    if progress.table == "grants" and progress.rows >= 69_000:
        print("reading", flush=True)
night.progress = type("Reports", (), {"append": staticmethod(report)})()
from reconciler.collect import pull, Pull, Limits
from reconciler.sdk.settings import SourceSettings
from tests.collect.conftest import NOW
asyncio.run(pull([Pull(source, "simulated", SourceSettings(connector="simulated"))], night.store, estate="acme",
    as_of=NOW, limits=Limits(), accepted=[], report=report))
"""


def test_a_killed_pull_is_left_unsealed_and_the_next_one_works(night: Night) -> None:
    good = night.run(MisbehavingSource())
    child = subprocess.Popen(
        [sys.executable, "-c", PULL, str(night.store.folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout
    assert child.stdout.readline() == "reading\n", child.stderr and child.stderr.read()
    assert night.store.unsealed() == [], "the one under way is no remains"
    child.send_signal(signal.SIGKILL)
    child.wait(timeout=60)
    child.communicate()

    (left,) = night.store.unsealed()
    assert list(left.rglob("*.parquet")), "it was killed with rows on disk"
    assert night.store.ids() == [good.snapshot_id]
    after = night.run(MisbehavingSource())
    assert after.status("simulated", "grants") is Status.COMPLETE
    after.verify()
    assert night.store.unsealed() == [left]
    assert (latest := night.store.latest_of("acme"))
    assert latest.snapshot_id == after.snapshot_id


def test_killed_at_any_moment_there_is_a_sealed_snapshot_or_none(tmp_path: Path) -> None:
    program = PULL.replace("seconds=600", "seconds=0").replace("70_000", "20_000")
    for delay in (0.7, 0.9, 1.1, 1.3):
        night = Night(tmp_path / str(delay))
        child = subprocess.Popen([sys.executable, "-c", program, str(night.store.folder)], stdout=subprocess.DEVNULL)
        time.sleep(delay)
        child.kill()
        child.wait(timeout=60)
        for snapshot_id in night.store.ids():
            night.store.open(snapshot_id).verify()
        assert len(night.store.ids()) + len(night.store.unsealed()) <= 1

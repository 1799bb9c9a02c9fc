from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.errors import StoreError
from reconciler.sdk.records import Account
from reconciler.snapshot import SnapshotStore
from reconciler.snapshot.disk import storing
from tests.snapshot.conftest import NOW

# A file size limit stands in for the full disk where mounting is not allowed; the process stays alive at it.
LIMITED = """
import resource, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from reconciler.errors import StoreError
from reconciler.sdk.records import Account
from reconciler.snapshot import SnapshotStore
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
now = datetime(2026, 1, 1, tzinfo=UTC)
store = SnapshotStore(Path(sys.argv[1]))
writer = store.create(estate="e", as_of=now, started_at=now)
part = writer.partition("s", "accounts")
try:
    part.write([Account(source="s", account_id=f"a{i}", login=str(hash(str(i)))) for i in range(70_000)])
    part.finish()
except StoreError as error:
    print(error.message, "|", error.advice)
    part.discard()
    writer.abandon()
"""


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT, errno.EFBIG, errno.EIO])
def test_what_the_system_refuses_has_a_path_and_a_remedy(code: int, tmp_path: Path) -> None:
    with pytest.raises(StoreError) as caught, storing(tmp_path / "x"):
        raise OSError(code, os.strerror(code))
    assert caught.value.message == f"cannot write {tmp_path / 'x'}: {os.strerror(code)}"
    assert caught.value.advice


def test_a_file_that_may_not_grow_leaves_nothing_sealed(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "File too large" in done.stdout
    assert "ulimit -f" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system is not allowed here; the file size limit stands in for it")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_a_store_error_and_leaves_nothing_sealed(small_disk: Path) -> None:
    store = SnapshotStore(small_disk)
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    part = writer.partition("s", "accounts")
    rows = [Account(source="s", account_id=os.urandom(40).hex()) for _ in range(70_000)]
    with pytest.raises(StoreError) as caught:
        part.write(rows)
    assert "No space left" in caught.value.message
    assert "disk is full" in caught.value.advice
    part.discard()
    writer.abandon()
    assert store.ids() == []
    assert store.unsealed() == []


def test_a_folder_that_cannot_be_made_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write") as caught:
        SnapshotStore(tmp_path / "file" / "snapshots").create(estate="e", as_of=NOW, started_at=NOW)
    assert "Part of the path is a file" in caught.value.advice

"""The disk under the snapshots: errors with their remedy, durable writes, one writer at a time."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.errors import StoreError

_ADVICE = {
    errno.ENOSPC: "The disk is full: free space there or move [store] snapshots to a larger disk, then pull again.",
    errno.EDQUOT: "The disk quota is used up: raise it or remove old snapshots, then pull again.",
    errno.EFBIG: "The file size limit was reached: raise it (ulimit -f) for the account that runs reconciler.",
    errno.EROFS: "The file system is read-only: mount it writable or choose another folder in [store] snapshots.",
    errno.EACCES: "Give the account that runs reconciler the right to read and write there.",
    errno.EPERM: "Give the account that runs reconciler the right to read and write there.",
    errno.ENOENT: "Restore the missing file or folder, or check the path in [store] snapshots.",
    errno.ENOTDIR: "Part of the path is a file: choose another folder in [store] snapshots.",
    errno.EMFILE: "Too many files are open: raise the limit (ulimit -n) or lower `concurrency` of the sources.",
}


@contextmanager
def storing(path: Path, verb: str = "write") -> Iterator[None]:
    """Turn an operating system's refusal into a ``StoreError`` that names the path and the remedy."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        advice = _ADVICE.get(error.errno or 0, "Check the disk and the system log, then pull again.")
        raise StoreError(f"cannot {verb} {path}: {reason}", advice=advice) from error


class HashedFile:
    """A new file, hashed and counted as it is written, for pyarrow to write into."""

    def __init__(self, path: Path) -> None:
        self._file = io.FileIO(path, "x")
        self._sha256 = hashlib.sha256()
        self._dropped = False
        self.size = 0

    @property
    def closed(self) -> bool:
        """Whether the file is closed."""
        return self._file.closed

    @property
    def sha256(self) -> str:
        """SHA-256 of everything written so far, as lower-case hex."""
        return self._sha256.hexdigest()

    def write(self, data: bytes) -> int:
        """Append all of ``data``."""
        size = len(data)
        if self._dropped:
            return size
        self._sha256.update(data)
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self.size += size
        return size

    def flush(self) -> None:
        """Do nothing: nothing is buffered here."""

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self.size

    def drop(self) -> None:
        """Pass over what is still written, for a file that is about to be deleted, perhaps on a full disk."""
        self._dropped = True

    def close(self) -> None:
        """Close; a second call does nothing."""
        self._file.close()


def sync(path: Path) -> None:
    """Wait until a file or folder is on the disk itself, so that a power cut cannot take it back."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Lock:
    """One pull at a time in a folder; the system frees it when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / ".lock"
        self._handle: int | None = None

    def take(self, holder: str) -> None:
        """Take the lock and write ``holder`` and the process id beside it; ``StoreError`` where it is taken."""
        with storing(self.path):
            handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.ftruncate(handle, 0)
                os.pwrite(handle, f"{os.getpid()} {holder}\n".encode(), 0)
            except BlockingIOError:
                pid = os.pread(handle, 100, 0).decode(errors="replace").partition(" ")[0] or "unknown"
                os.close(handle)
                raise StoreError(
                    f"another pull is under way in {self.path.parent} (process {pid})",
                    advice="Wait until it has ended, or stop that process; a pull that was killed holds no lock.",
                ) from None
            except BaseException:
                os.close(handle)
                raise
        self._handle = handle

    def free(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def holder(self) -> str:
        """Return what a living process wrote when it took the lock; empty where nobody holds it."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return ""
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return os.pread(handle, 200, 0).decode(errors="replace").strip().partition(" ")[2]
        finally:
            os.close(handle)
        return ""

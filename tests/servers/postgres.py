"""A private PostgreSQL for tests: its own folder, a free loopback port, stopped by its own pid."""

from __future__ import annotations

import getpass
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import psycopg
from psycopg import sql

BINARIES = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "tr0ub4dor-planted"
_START = 60.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server. Every sign-in needs the password, so that a wrong one is refused."""

    port: int
    folder: Path
    pid: int
    _count: Iterator[int] = field(default_factory=itertools.count)

    def url(self, database: str, *, password: str = PASSWORD, query: str = "") -> str:
        return f"postgresql+psycopg://postgres:{password}@127.0.0.1:{self.port}/{database}{query}"

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(database).replace("+psycopg", ""), autocommit=True)

    def new_database(self) -> str:
        """Create an empty database and return its name."""
        name = f"test_{next(self._count)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return name


@contextmanager
def postgres() -> Iterator[Server]:
    """Start a server for as long as the block lasts."""
    if not (BINARIES / "initdb").is_file():
        message = f"no PostgreSQL 15 in {BINARIES}; install it: apt-get install postgresql"
        raise RuntimeError(message)
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="reconciler-postgres-"))
    try:
        os.chown(folder, user.pw_uid, user.pw_gid)
        _initialise(folder, user)
        port = _free_port()
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [
                    *(str(BINARIES / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-k", str(folder)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "full_page_writes=off"),
                    *("-c", "synchronous_commit=off", "-c", "shared_buffers=32MB", "-c", "timezone=Asia/Kathmandu"),
                ],
                stdout=log,
                stderr=log,
                cwd="/",
                **_become(user),
            )
        try:
            yield _ready(Server(port, folder, process.pid), process)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # "fast" shutdown: sessions are ended, files are closed
            process.wait(timeout=_START)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _user() -> pwd.struct_passwd:
    """Who runs the server: initdb refuses root, so then the package's own user, else nobody."""
    if os.geteuid() != 0:
        return pwd.getpwnam(getpass.getuser())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    message = "PostgreSQL does not run as root, and there is neither a user postgres nor nobody"
    raise RuntimeError(message)


class _Become(TypedDict):
    user: int | None
    group: int | None
    extra_groups: list[int] | None


def _become(user: pwd.struct_passwd) -> _Become:
    if os.geteuid() != 0:
        return {"user": None, "group": None, "extra_groups": None}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _initialise(folder: Path, user: pwd.struct_passwd) -> None:
    secret = folder / "password"
    secret.write_text(PASSWORD)
    os.chown(secret, user.pw_uid, user.pw_gid)
    done = subprocess.run(
        [
            *(str(BINARIES / "initdb"), "-D", str(folder / "data"), "-U", "postgres", "--no-sync", "-E", "UTF8"),
            *("--locale=C.UTF-8", "--auth=scram-sha-256", f"--pwfile={secret}"),
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        **_become(user),
    )
    if done.returncode:
        message = f"initdb failed: {done.stderr}"
        raise RuntimeError(message)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ready(server: Server, process: subprocess.Popen[bytes]) -> Server:
    deadline = time.monotonic() + _START
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.connect().close()
        except psycopg.OperationalError:
            time.sleep(0.05)
        else:
            return server
    message = f"PostgreSQL did not start: {(server.folder / 'log').read_text()}"
    raise RuntimeError(message)

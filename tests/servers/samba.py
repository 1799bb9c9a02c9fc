"""A real Samba Active Directory domain controller, private to one test session, on a loopback address of its own.

Samba serves LDAP on ports 389 and 636 only, so it gets an address below 127/8 on which they are free; that takes root.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

import ldap3

from tests.servers.certificates import Authority

SUFFIX = "DC=corp,DC=test"
ADMIN, ADMIN_PASSWORD = "administrator@corp.test", "Adm1n-pw-of-tests"
READER, READER_PASSWORD = "reader@corp.test", "Reader-pw-0f-tests"
DELETED = f"CN=Deleted Objects,{SUFFIX}"
LDAP, LDAPS = 389, 636

_CONFIG = """\
[global]
  server role = active directory domain controller
  realm = CORP.TEST
  workgroup = CORP
  netbios name = DC1
  interfaces = {address}/8
  bind interfaces only = yes
  server services = ldap
  dcerpc endpoint servers =
  ldap server require strong auth = no
  private dir = {folder}/private
  state directory = {folder}/state
  cache directory = {folder}/cache
  lock directory = {folder}
  pid directory = {folder}/run
  ncalrpc dir = {folder}/run/ncalrpc
  ntp signd socket directory = {folder}/run/ntp
  winbindd socket directory = {folder}/run/winbindd
  binddns dir = {folder}/bind-dns
  log file = {folder}/log/samba.log
  tls enabled = yes
  tls cafile = {folder}/tls/ca.pem
  tls certfile = {folder}/tls/server.pem
  tls keyfile = {folder}/tls/server.key
  idmap_ldb:use rfc2307 = yes
"""


class Samba:
    """A domain controller of ``corp.test`` with nobody in it but READER and a new domain's own; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        self._program, self._tool = shutil.which("samba", path=path), shutil.which("samba-tool", path=path)
        if self._program is None or self._tool is None or not Path("/usr/share/samba/setup/provision.ldif").is_file():
            packages = "samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind"
            message = f"Samba's domain controller is missing: apt-get install --no-install-recommends {packages}"
            raise RuntimeError(message)
        if os.geteuid() != 0:
            message = "Samba's domain controller listens on ports 389 and 636 only: run these tests as root"
            raise RuntimeError(message)
        self.address = _free_address()

    def __enter__(self) -> Self:
        try:
            self._provision()
            self.start()
            self._add_reader()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``ldap://127.x.y.z:389``."""
        return f"ldap://{self.address}:{LDAP}"

    @property
    def ldaps_url(self) -> str:
        """``ldaps://127.x.y.z:636``."""
        return f"ldaps://{self.address}:{LDAPS}"

    @property
    def ca_file(self) -> Path:
        """The CA that signed the server's certificate."""
        return self.folder / "tls" / "ca.pem"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        log = (self.folder / "log" / "out.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._program), "-F", "-M", "single", "-s", str(self._config), "--debug-stdout", "-d1"],
                stdin=subprocess.PIPE,  # Samba ends by itself once this pipe closes, so it never outlives the tests
                stdout=log,
                stderr=log,
            )
        for port in (LDAP, LDAPS):
            self._await(port)

    def stop(self) -> None:
        """Ask the server to end and wait for it; safe to call twice."""
        if self._process is not None:
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    def administrator(self) -> Any:
        """Return a connection as the domain's administrator, to be unbound by the caller."""
        server = ldap3.Server(self.url, get_info="NO_INFO")
        return ldap3.Connection(server, ADMIN, ADMIN_PASSWORD, auto_bind=True, raise_exceptions=True, check_names=False)

    def tool(self, *arguments: str) -> str:
        """Run ``samba-tool`` on the domain's own database and return what it says; raises where it fails."""
        done = subprocess.run(
            [str(self._tool), *arguments, "-s", str(self._config)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            message = f"samba-tool {arguments[0]} failed: {done.stderr or done.stdout}"
            raise RuntimeError(message)
        return done.stdout

    @property
    def _config(self) -> Path:
        return self.folder / "etc" / "smb.conf"

    def _provision(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        options = (f"interfaces={self.address}/8", "bind interfaces only=yes", "server services=ldap")
        done = subprocess.run(
            [
                str(self._tool),
                "domain",
                "provision",
                f"--targetdir={self.folder}",
                "--realm=CORP.TEST",
                "--domain=CORP",
                "--server-role=dc",
                "--dns-backend=NONE",
                f"--adminpass={ADMIN_PASSWORD}",
                "--use-rfc2307",
                "--host-name=dc1",
                f"--host-ip={self.address}",
                *(f"--option={option}" for option in options),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            message = f"samba-tool domain provision failed: {done.stderr[-2000:]}"
            raise RuntimeError(message)
        for name in ("run", "log", "tls", "cache"):
            (self.folder / name).mkdir(exist_ok=True)
        Authority("Samba CA").write(self.folder / "tls", names=["dc1.corp.test"], addresses=[self.address])
        (self.folder / "tls" / "server.key").chmod(0o600)
        self._config.write_text(_CONFIG.format(address=self.address, folder=self.folder))

    def _await(self, port: int) -> None:
        for _ in range(600):
            if self._process is not None and self._process.poll() is not None:
                message = f"samba ended: {(self.folder / 'log' / 'out.log').read_text()[-2000:]}"
                raise RuntimeError(message)
            try:
                socket.create_connection((self.address, port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        message = f"samba does not listen on {self.address}:{port}"
        raise RuntimeError(message)

    def _add_reader(self) -> None:
        self.tool("user", "create", "reader", READER_PASSWORD)


def _free_address() -> str:
    """Return a loopback address on which both ports are free; numbered by process, so that runs keep apart."""
    for turn in range(200):
        number = (os.getpid() + turn * 7919) % 64_000
        address = f"127.77.{number // 250}.{number % 250 + 1}"
        try:
            for port in (LDAP, LDAPS):
                with socket.socket() as probe:
                    probe.bind((address, port))
        except OSError:
            continue
        return address
    message = "no loopback address has ports 389 and 636 free"
    raise RuntimeError(message)

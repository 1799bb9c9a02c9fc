"""A real OpenLDAP server on loopback, private to one test: ldap with StartTLS, and ldaps."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import ldap3

from tests.servers.certificates import Authority

SUFFIX = "dc=acme,dc=test"
READER, READER_PASSWORD = f"cn=reader,{SUFFIX}", "reader-pw"
LIMITED, LIMITED_PASSWORD = f"cn=limited,{SUFFIX}", "limited-pw"
VEILED, VEILED_PASSWORD = f"cn=veiled,{SUFFIX}", "veiled-pw"
Entries = Mapping[str, Mapping[str, Sequence[str | bytes]]]

_SCHEMA = """\
attributetype ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey' EQUALITY octetStringMatch \
SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectclass ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY MAY ( sshPublicKey $ uid ) )
objectclass ( 1.3.6.1.4.1.99999.1 NAME 'groupOfMembers' SUP top STRUCTURAL MUST cn \
MAY ( member $ description $ owner ) )
"""
_CONFIG = """\
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/dyngroup.schema
{schema}
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
moduleload accesslog
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
TLSCACertificateFile {tls}/ca.pem
TLSCertificateFile {tls}/server.pem
TLSCertificateKeyFile {tls}/server.key
sizelimit 500
{log}
database mdb
suffix "{suffix}"
rootdn "cn=admin,{suffix}"
rootpw admin-pw
directory {folder}/data
maxsize 268435456
index objectClass eq
limits dn.exact="{reader}" size=unlimited size.prtotal=unlimited time=unlimited
limits dn.exact="{veiled}" size=unlimited size.prtotal=unlimited time=unlimited
limits dn.exact="{limited}" size=100 size.prtotal=100
{passwords}
access to dn.subtree="ou=secret,{suffix}" by dn.exact="{veiled}" none by dn.exact="{reader}" read by * none
{access}
access to * by dn.exact="{reader}" read by dn.exact="{veiled}" read by dn.exact="{limited}" read
  by anonymous auth by * none
overlay ppolicy
{overlay}
"""
ACCESSLOG = "cn=accesslog"
_LOG = """\
database mdb
suffix "cn=accesslog"
rootdn "cn=accesslog"
directory {folder}/log
maxsize 268435456
index reqStart eq
limits dn.exact="{reader}" size=unlimited size.prtotal=unlimited time=unlimited
access to * by dn.exact="{reader}" read by * none
"""
_OVERLAY = """\
overlay accesslog
logdb cn=accesslog
logops writes session
logold (objectClass=*)
logpurge 30+00:00 1+00:00
"""


class Slapd:
    """slapd over ``entries`` below ``dc=acme,dc=test``, as a context manager.

    The suffix entry and three readers are added: READER sees all, LIMITED stops at 100 entries, VEILED
    does not see ``ou=secret``. ``access`` are further access lines of slapd.conf, applied before the rule for
    everything; ``passwords`` is the one for passwords; with ``logged`` there is an access log below
    ``cn=accesslog``. ``kill`` and ``start`` again keep ports and data.
    """

    def __init__(
        self,
        folder: Path,
        entries: Entries,
        *,
        access: str = "",
        passwords: str = "access to attrs=userPassword by anonymous auth by * none",
        logged: bool = False,
    ) -> None:
        self.folder = folder
        self.port, self.tls_port = _free_port(), _free_port()
        self.authority = Authority("Test CA")
        self._process: subprocess.Popen[bytes] | None = None
        self._ran = False
        self._program = shutil.which("slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if self._program is None:
            message = "slapd is missing: apt-get install slapd"
            raise RuntimeError(message)
        (folder / "data").mkdir(parents=True)
        (folder / "log").mkdir()
        self.authority.write(folder / "tls", names=["localhost"], addresses=["127.0.0.1"])
        self._write_config(access, passwords, logged=logged)
        self._load({**_own_entries(), **entries})

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``ldap://127.0.0.1:PORT``."""
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def ldaps_url(self) -> str:
        """``ldaps://127.0.0.1:PORT``."""
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ca_file(self) -> Path:
        """The CA that signed the server's certificate (localhost, 127.0.0.1)."""
        return self.folder / "tls" / "ca.pem"

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Another process may have taken a port that was free a moment ago: then a server that never ran takes others.
        """
        for _ in range(5):
            try:
                self._start()
            except RuntimeError:
                if self._ran:
                    raise
                self.port, self.tls_port = _free_port(), _free_port()
            else:
                return
        self._start()

    def _start(self) -> None:
        (self.folder / "slapd.pid").unlink(missing_ok=True)
        listen = f"ldap://127.0.0.1:{self.port} ldaps://127.0.0.1:{self.tls_port}"
        log = (self.folder / "slapd.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._program), "-h", listen, "-f", str(self.folder / "slapd.conf"), "-d", "0"],
                stdout=log,
                stderr=log,
            )
        for port in (self.port, self.tls_port):
            self._await(port)
        self._ran = True

    def stop(self) -> None:
        """Ask the server to end and wait for it; safe to call twice."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def kill(self) -> None:
        """End the server without warning, as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)
            self._process = None

    def administrator(self) -> Any:
        """Return a connection as the directory's administrator, to be unbound by the caller."""
        server = ldap3.Server(self.url, get_info="NO_INFO")
        return ldap3.Connection(
            server, f"cn=admin,{SUFFIX}", "admin-pw", auto_bind=True, raise_exceptions=True, check_names=False
        )

    def delete(self, dn: str) -> None:
        """Delete an entry."""
        administrator = self.administrator()
        administrator.delete(dn)
        administrator.unbind()

    def move(self, dn: str, above: str) -> None:
        """Move an entry below another one."""
        administrator = self.administrator()
        administrator.modify_dn(dn, dn.partition(",")[0], new_superior=above)
        administrator.unbind()

    def _await(self, port: int) -> None:
        for _ in range(1200):
            if self._process is not None and self._process.poll() is not None:
                message = f"slapd ended: {(self.folder / 'slapd.log').read_text()}"
                raise RuntimeError(message)
            try:
                # It writes its number once it has both ports: until then whoever answers there is not this server.
                if (self.folder / "slapd.pid").read_text().strip():
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    return
            except OSError:
                pass
            time.sleep(0.05)
        message = f"slapd does not listen on {port}"
        raise RuntimeError(message)

    def _write_config(self, access: str, passwords: str, *, logged: bool) -> None:
        config = _CONFIG.format(
            schema=_SCHEMA,
            folder=self.folder,
            tls=self.folder / "tls",
            suffix=SUFFIX,
            reader=READER,
            limited=LIMITED,
            veiled=VEILED,
            access=access,
            passwords=passwords,
            log=_LOG.format(folder=self.folder, reader=READER) if logged else "",
            overlay=_OVERLAY if logged else "",
        )
        (self.folder / "slapd.conf").write_text(config)

    def _load(self, entries: Entries) -> None:
        ldif = self.folder / "seed.ldif"
        ldif.write_text("".join(_ldif(dn, attributes) for dn, attributes in entries.items()))
        done = subprocess.run(
            ["/usr/sbin/slapadd", "-q", "-b", SUFFIX, "-f", str(self.folder / "slapd.conf"), "-l", str(ldif)],
            capture_output=True,
            check=False,
        )
        if done.returncode:
            message = f"slapadd failed: {done.stderr.decode()}"
            raise RuntimeError(message)


def _own_entries() -> dict[str, dict[str, Sequence[str | bytes]]]:
    entries: dict[str, dict[str, Sequence[str | bytes]]] = {
        SUFFIX: {"objectClass": ["dcObject", "organization"], "dc": ["acme"], "o": ["acme"]}
    }
    for dn, password in ((READER, READER_PASSWORD), (LIMITED, LIMITED_PASSWORD), (VEILED, VEILED_PASSWORD)):
        name = dn.partition(",")[0].partition("=")[2]
        classes = ["organizationalRole", "simpleSecurityObject"]
        entries[dn] = {"objectClass": classes, "cn": [name], "userPassword": [password]}
    return entries


def _ldif(dn: str, attributes: Mapping[str, Sequence[str | bytes]]) -> str:
    lines = [f"dn:: {base64.b64encode(dn.encode()).decode()}"]
    for name, values in attributes.items():
        for value in values:
            raw = value.encode() if isinstance(value, str) else value
            lines.append(f"{name}:: {base64.b64encode(raw).decode()}")
    return "\n".join(lines) + "\n\n"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

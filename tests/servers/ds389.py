"""A real 389 Directory Server on loopback, private to one test session: its own folder, port and process."""

from __future__ import annotations

import base64
import getpass
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import ldap3

SUFFIX = "dc=acme,dc=test"
MANAGER, MANAGER_PASSWORD = "cn=Directory Manager", "manager-pw"
READER, READER_PASSWORD = f"cn=reader,{SUFFIX}", "reader-pw"
STRANGER, STRANGER_PASSWORD = f"cn=stranger,{SUFFIX}", "stranger-pw"
CHANGELOG = "cn=changelog"
Entries = Mapping[str, Mapping[str, Sequence[str | bytes]]]

_TEMPLATE = Path("/usr/share/dirsrv/data/template-dse.ldif")
_BACKEND = f"""
dn: cn=userroot,cn=ldbm database,cn=plugins,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userroot
nsslapd-suffix: {SUFFIX}

dn: cn="{SUFFIX}",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: {SUFFIX}
nsslapd-state: backend
nsslapd-backend: userroot
"""
_ACI = (
    '(targetattr != "userPassword || aci")(version 3.0; acl "reader"; allow (read, search, compare) '
    f'userdn = "ldap:///{READER}";)'
)
_LOCK_ACI = (
    '(targetattr = "nsAccountLock || accountUnlockTime || passwordExpirationTime || pwdUpdateTime || nsUniqueId || '
    'createTimestamp || modifyTimestamp || numSubordinates")(version 3.0; acl "reader\'s operational attributes"; '
    f'allow (read, search, compare) userdn = "ldap:///{READER}";)'
)
_SCHEMA = """\
dn: cn=schema
attributeTypes: ( 1.3.6.1.4.1.24552.500.1.1.1.13 NAME 'sshPublicKey' EQUALITY octetStringMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
objectClasses: ( 1.3.6.1.4.1.24552.500.1.1.2.0 NAME 'ldapPublicKey' SUP top AUXILIARY MAY ( sshPublicKey $ uid ) )
"""


class Ds389:
    """ns-slapd over ``entries`` below ``dc=acme,dc=test``, with retro changelog and password policy; a context manager.

    READER sees all but passwords; STRANGER has no right at all, which this server answers with success and nothing.
    """

    def __init__(self, folder: Path, entries: Entries) -> None:
        self.folder = folder
        # An address of its own: a port that is free on it stays free while the server is written down and started.
        self.address = f"127.78.{os.getpid() // 250 % 250}.{os.getpid() % 250 + 1}"
        self.port = _free_port(self.address)
        self._entries = entries
        self._process: subprocess.Popen[bytes] | None = None
        self._program = shutil.which("ns-slapd", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if self._program is None or not _TEMPLATE.is_file():
            message = "389 Directory Server is missing: apt-get install 389-ds-base"
            raise RuntimeError(message)
        self._write_config()

    def __enter__(self) -> Self:
        try:
            self.start()
            self._load()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``ldap://127.x.y.z:PORT``."""
        return f"ldap://{self.address}:{self.port}"

    def start(self) -> None:
        """Start the server and wait until it accepts connections."""
        log = (self.folder / "out.log").open("ab")
        with log:
            self._process = subprocess.Popen(
                [str(self._program), "-D", str(self.folder / "config"), "-i", str(self.folder / "pid"), "-d", "0"],
                stdout=log,
                stderr=log,
            )
        for _ in range(600):
            if self._process.poll() is not None:
                message = f"ns-slapd ended: {(self.folder / 'out.log').read_text()}{self._errors()}"
                raise RuntimeError(message)
            try:
                socket.create_connection((self.address, self.port), 1).close()
            except OSError:
                time.sleep(0.05)
            else:
                return
        message = f"ns-slapd does not listen on {self.port}: {self._errors()}"
        raise RuntimeError(message)

    def stop(self) -> None:
        """Ask the server to end and wait for it; safe to call twice."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(10)
            self._process = None

    def manager(self) -> Any:
        """Return a connection as the directory manager, to be unbound by the caller."""
        server = ldap3.Server(self.url, get_info="NO_INFO")
        return ldap3.Connection(
            server, MANAGER, MANAGER_PASSWORD, auto_bind=True, raise_exceptions=True, check_names=False
        )

    def _errors(self) -> str:
        path = self.folder / "log" / "errors"
        return path.read_text() if path.is_file() else ""

    def _write_config(self) -> None:
        here = self.folder
        folders = {name: here / name for name in ("lock", "tmp", "cert", "ldif", "bak", "run", "config", "log", "db")}
        for path in folders.values():
            path.mkdir(parents=True)
        (here / "config" / "schema").mkdir()  # added to the server's own
        (here / "config" / "schema" / "98ssh.ldif").write_text(_SCHEMA)
        (here / "config" / "schema" / "99user.ldif").write_text(
            "dn: cn=schema\nobjectClass: top\nobjectClass: subschema\n"
        )
        (here / "config" / "slapd-collations.conf").write_text(
            Path("/etc/dirsrv/config/slapd-collations.conf").read_text()
        )
        values = {f"{name}_dir": str(path) for name, path in folders.items()} | {
            "schema_dir": str(here / "config" / "schema"),
            "inst_dir": str(here / "config"),
            "fqdn": "localhost",
            "ds_port": str(self.port),
            "ds_user": getpass.getuser(),
            "rootdn": MANAGER,
            "ds_passwd": _hashed(MANAGER_PASSWORD),
            "ldapi_enabled": "off",
            "ldapi": str(here / "run" / "ldapi.socket"),
            "ldapi_autobind": "off",
            "ds_suffix": SUFFIX,
            "db_home_dir": str(folders["db"]),
            "db_lib": "bdb",
        }
        text = _TEMPLATE.read_text()
        for name, value in values.items():
            text = text.replace(f"%{name}%", value)
        text = text.replace(
            f"nsslapd-port: {self.port}\n", f"nsslapd-port: {self.port}\nnsslapd-listenhost: {self.address}\n"
        )
        seven_bits = text.index("cn: 7-bit check\n")  # names of people have more than ASCII
        text = text[:seven_bits] + text[seven_bits:].replace("pluginenabled: on", "pluginenabled: off", 1)
        changelog = "nsslapd-plugininitfunc: retrocl_plugin_init\n"
        start = text.index(changelog)
        rest = text[start:].replace("nsslapd-pluginenabled: off", "nsslapd-pluginenabled: on", 1)
        kept = "nsslapd-attribute: nsuniqueid:targetUniqueId\n"
        text = text[:start] + rest.replace(changelog, changelog + kept, 1)
        (here / "config" / "dse.ldif").write_text(text.rstrip() + "\n" + _BACKEND)

    def _load(self) -> None:
        manager = self.manager()
        try:
            policy = {"passwordTrackUpdateTime": "on", "passwordExp": "on", "passwordMaxAge": str(90 * 86_400)}
            manager.modify("cn=config", {name: [("MODIFY_REPLACE", [value])] for name, value in policy.items()})
            manager.add(SUFFIX, ["domain"], {"dc": "acme", "aci": [_ACI, _LOCK_ACI]})
            for dn, password in ((READER, READER_PASSWORD), (STRANGER, STRANGER_PASSWORD)):
                name = dn.partition(",")[0].partition("=")[2]
                classes = ["organizationalRole", "simpleSecurityObject"]
                manager.add(dn, classes, {"cn": name, "userPassword": password})
            limits = {name: [("MODIFY_REPLACE", ["-1"])] for name in ("nsSizeLimit", "nsLookThroughLimit")}
            manager.modify(READER, limits | {"nsPagedSizeLimit": [("MODIFY_REPLACE", ["-1"])]})
            read = f'(targetattr = "*")(version 3.0; acl "reader"; allow (read, search) userdn = "ldap:///{READER}";)'
            manager.modify(CHANGELOG, {"aci": [("MODIFY_ADD", [read])]})
            for dn, attributes in self._entries.items():
                classes = [str(name) for name in attributes["objectClass"]]
                manager.add(dn, classes, {k: list(v) for k, v in attributes.items() if k != "objectClass"})
        finally:
            manager.unbind()


def _hashed(password: str) -> str:
    salt = os.urandom(8)
    return "{SSHA512}" + base64.b64encode(hashlib.sha512(password.encode() + salt).digest() + salt).decode()


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])

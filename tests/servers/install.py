"""Install the Debian packages that the tests start as servers, or say which are missing.

Runs on a bare Python before anything else is installed: standard library only.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "slapd": ["/usr/sbin/slapd"],
    "ldap-utils": ["/usr/bin/ldapsearch"],
    "postgresql": ["/usr/lib/postgresql/*/bin/initdb"],
    "chromium": ["/usr/bin/chromium"],
    "samba": ["/usr/sbin/samba"],
    "samba-ad-provision": ["/usr/share/samba/setup/provision.ldif"],
    "samba-dsdb-modules": ["/usr/lib/*/samba/ldb/acl.so"],
    "samba-vfs-modules": ["/usr/lib/*/samba/vfs/acl_xattr.so"],
    "winbind": ["/usr/sbin/winbindd"],
    "python3-ldap": ["/usr/lib/python3/dist-packages/ldap/__init__.py"],
    "389-ds-base": ["/usr/sbin/ns-slapd"],
    "request-tracker5": ["/usr/share/request-tracker5/libexec/rt-server"],
    "rt5-db-sqlite": ["/usr/lib/*/perl5/*/DBD/SQLite.pm"],
    "rt5-standalone": ["/usr/share/perl5/Plack/Handler/Starlet.pm"],
    # Request Tracker comes with no database and no mail server but those that the tests need.
    "dbconfig-no-thanks": ["/var/lib/dpkg/info/dbconfig-*.list"],
    "msmtp-mta": ["/usr/sbin/sendmail"],
    "openjdk-17-jre-headless": ["/usr/lib/jvm/*/bin/java"],
}


def missing(packages: list[str]) -> list[str]:
    """Name the packages whose program is not there."""
    return [p for p in packages if not any(list(Path("/").glob(g.lstrip("/"))) for g in PROGRAMS[p])]


def install(packages: list[str]) -> None:
    """Install with apt, without starting any service."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    apt = ["apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
    subprocess.run([*apt, "update"], check=True, env=environment)
    subprocess.run(
        [*apt, "install", "-y", "--no-install-recommends", *packages],
        check=True,
        env=environment,
        stdout=subprocess.DEVNULL,
    )


def main() -> int:
    """Install what is missing; return 1 with the command to type where that is not possible."""
    wanted = missing(sys.argv[1:])
    if not wanted:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        install(wanted)
        wanted = missing(wanted)
        if not wanted:
            return 0
    names = " ".join(wanted)
    sys.stderr.write(f"The tests need these Debian packages: {names}\n")
    sys.stderr.write(f"  sudo apt-get install --no-install-recommends {names}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())

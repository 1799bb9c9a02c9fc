"""The systems that ``bench_connectors`` reads, each a process of its own: simulators of ours, and a real slapd.

``python -m tests.bench.connector_servers USERS`` serves the IAM fake until its input closes.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX, Slapd
from tests.simulators import aws_iam

ROOT = Path(__file__).parents[2]
PEOPLE = f"ou=people,{SUFFIX}"


@contextmanager
def _process(module: str, *flags: str) -> Iterator[dict[str, Any]]:
    """Start a server that prints one line of JSON and ends when its input closes."""
    command = [sys.executable, "-m", module, *flags]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.stdin.close()
            process.wait(30)


def graph_settings(told: dict[str, Any]) -> dict[str, Any]:
    """Return the Entra connector's settings for a simulator of Graph."""
    return {
        "tenant_id": told["tenant_id"],
        "client_id": told["client_id"],
        "client_secret": "env:BENCH_GRAPH_SECRET",
        "endpoint_url": told["url"],
        "authority_url": told["url"],
        "ca_file": told["ca_file"],
    }


def graph_token(told: dict[str, Any]) -> str:
    """Sign in to the simulator of Graph."""
    import ssl

    trust = ssl.create_default_context(cafile=told["ca_file"])
    form = {"grant_type": "client_credentials", "client_id": told["client_id"], "client_secret": told["secret"],
            "scope": "https://graph.microsoft.com/.default"}  # fmt: skip
    with httpx.Client(verify=trust, trust_env=False) as client:
        answer = client.post(f"{told['url']}/{told['tenant_id']}/oauth2/v2.0/token", data=form)
    return str(answer.json()["access_token"])


@contextmanager
def graph(users: int) -> Iterator[dict[str, Any]]:
    """Serve a made-up tenant."""
    with _process("tests.simulators.graph", "--users", str(users)) as told:
        yield told


@contextmanager
def okta(users: int) -> Iterator[dict[str, Any]]:
    """Serve a made-up Okta organisation."""
    with _process("tests.simulators.okta", "--users", str(users)) as told:
        yield told


def okta_settings(told: dict[str, Any]) -> dict[str, Any]:
    """Return the Okta connector's settings for its simulator; without factors, which are a call for each user."""
    return {"org_url": told["url"], "api_token": "env:BENCH_OKTA_TOKEN", "ca_file": told["ca_file"], "factors": False}


@contextmanager
def iam(users: int) -> Iterator[dict[str, Any]]:
    """Serve an AWS account."""
    with _process("tests.bench.connector_servers", str(users)) as told:
        yield told


class _LargeSlapd(Slapd):
    def _write_config(self, access: str, passwords: str, *, logged: bool) -> None:
        super()._write_config(access, passwords, logged=logged)
        config = self.folder / "slapd.conf"
        config.write_text(config.read_text().replace("maxsize 268435456", "maxsize 4294967296"))


@contextmanager
def slapd(users: int) -> Iterator[dict[str, Any]]:
    """Serve a directory of people with eleven attributes each."""
    entries: dict[str, Any] = {PEOPLE: {"objectClass": ["organizationalUnit"], "ou": ["people"]}}
    for number in range(users):
        entries[f"uid=user{number},{PEOPLE}"] = {
            "objectClass": ["inetOrgPerson"],
            "uid": [f"user{number}"],
            "cn": [f"User {number}"],
            "sn": [str(number)],
            "givenName": ["User"],
            "displayName": [f"User {number}"],
            "mail": [f"user{number}@acme.test"],
            "employeeNumber": [f"E{number:07d}"],
            "departmentNumber": ["Sales"],
            "title": ["Clerk"],
            "employeeType": ["staff"],
        }
    with tempfile.TemporaryDirectory() as folder, _LargeSlapd(Path(folder) / "slapd", entries) as server:
        entries.clear()
        yield {"url": server.url, "bind_dn": READER, "password": READER_PASSWORD}


def ldap_settings(told: dict[str, Any]) -> dict[str, Any]:
    """Return the LDAP connector's settings for that directory."""
    return {"url": told["url"], "bind_dn": told["bind_dn"], "bind_password": "env:BENCH_LDAP_PASSWORD",
            "base_dn": PEOPLE, "profile": "openldap"}  # fmt: skip


def main() -> int:
    """Serve the IAM fake."""
    with aws_iam.serve() as simulator:
        account = simulator.account()
        account.add_group("staff")
        for number in range(int(sys.argv[1])):
            tags = [{"Key": "email", "Value": f"user{number}@acme.test"}]
            account.add_user(f"user{number}", tags=tags, groups=["staff"])
        sys.stdout.write(json.dumps({"url": simulator.url}) + "\n")
        sys.stdout.flush()
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())

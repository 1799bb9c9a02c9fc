"""What reading costs: CPU a record against the floor and the vendor's models, memory by size, use of rate limits.

Run as ``python -m tests.bench.bench_connectors [okta entra aws ldap]``; BENCH_FULL=1 measures memory at a million
records. Each reader is a process of its own and each server another; figures are CPU seconds of the reader, the
least of some rounds, as ratios within one run. Exits 1 where a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench import bench_rates, connector_parts
from tests.bench import connector_servers as servers
from tests.bench.bench_pull import say
from tests.servers.slapd import READER_PASSWORD
from tests.simulators.graph import server as graph_server
from tests.simulators.graph.generated import GeneratedTenant
from tests.simulators.okta import server as okta_server
from tests.simulators.okta.generated import GeneratedOrg, Sizes

HERE = Path(__file__).parent
ROUNDS = 3
RECORDS, FEW = 10_000, 1_000
SMALL = 10_000
LARGE = 1_000_000 if os.environ.get("BENCH_FULL") == "1" else 100_000
MOST_GROWTH_MIB = 96
"""Peak memory may grow by so much from ``SMALL`` to ``LARGE`` records: the snapshot's writer holds one row group of
65,536 rows, which ``SMALL`` does not fill. From there on it must stay flat, up to a million records."""
_SECRETS = {
    "BENCH_GRAPH_SECRET": graph_server.SECRET,
    "BENCH_OKTA_TOKEN": okta_server.TOKEN,
    "BENCH_LDAP_PASSWORD": READER_PASSWORD,
    "BENCH_AWS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
}
Figures = dict[str, float]


@dataclass
class Goals:
    """What was promised, and what was not kept."""

    missed: list[str] = field(default_factory=list)

    def hold(self, words: str, *, kept: bool) -> None:
        """Print a goal and whether it is kept."""
        say(f"    {'kept  ' if kept else 'MISSED'} {words}")
        if not kept:
            self.missed.append(words)


def run(part: str, given: Mapping[str, Any]) -> Figures:
    """Run one part in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.connector_parts", part]
    return _figures(command, given)


def _figures(command: list[str], given: Mapping[str, Any]) -> Figures:
    done = subprocess.run(
        command,
        input=json.dumps(given),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=HERE.parents[1],
        env={**os.environ, **_SECRETS},
    )
    figures: Figures = json.loads(done.stdout)
    return figures


def least(parts: Mapping[str, Callable[[], Figures]], rounds: int = ROUNDS) -> dict[str, Figures]:
    """Run the parts in turn, some rounds over, and keep of each the round that took the least CPU."""
    best: dict[str, Figures] = {}
    for _ in range(rounds):
        for name, part in parts.items():
            figures = part()
            if name not in best or figures["cpu"] < best[name]["cpu"]:
                best[name] = figures
    return best


def show(found: Mapping[str, Figures]) -> dict[str, float]:
    """Print and return microseconds of CPU a record."""
    cost = {name: figures["cpu"] / figures["records"] * 1e6 for name, figures in found.items()}
    for name, figures in found.items():
        speed = 1e6 / cost[name]
        mib = f"{figures['mib']:6.0f} MiB peak" if "mib" in figures else ""
        say(f"    {name:34} {cost[name]:9.1f} us a record {speed:10,.0f} a CPU-second {figures['records']:8,.0f} {mib}")
    return cost


def entra(goals: Goals) -> None:
    """Entra: users of the simulated Graph."""
    with graph_server.GraphSimulator(GeneratedTenant(20)) as probe:
        told = {"url": probe.url, "tenant_id": probe.tenant.tenant_id, "client_id": graph_server.CLIENT_ID,
                "ca_file": str(probe.ca_file)}  # fmt: skip
        run("ours", _users("entra", servers.graph_settings(told)))
        asked = [each for each in probe.requests if each.path == "/v1.0/users" and each.query.get("$top") != "1"]
    query = "&".join(f"{name}={value}" for name, value in asked[-1].query.items())
    eventual = asked[-1].headers.get("consistencylevel")

    def raw(told: dict[str, Any]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {servers.graph_token(told)}"} | (
            {"ConsistencyLevel": eventual} if eventual else {}
        )
        return {
            "url": f"{told['url']}/v1.0/users?{query}",
            "ca_file": told["ca_file"],
            "headers": headers,
            "size": "$top",
        }

    with servers.graph(RECORDS) as told, servers.graph(FEW) as few:
        found = least(
            {
                "entra connector's pages": lambda: run("ours", _users("entra", servers.graph_settings(told))),
                "http.client and msgspec": lambda: run("floor", raw(told)),
                "httpx and msgspec": lambda: run("httpx", raw(told)),
            }
        )
        found["msgraph-sdk's models"] = run("entra_models", raw(few))
    _against(goals, found, "entra connector's pages", "msgraph-sdk's models")


def okta(goals: Goals) -> None:
    """Okta: users of the simulated organisation."""
    with okta_server.OktaSimulator(GeneratedOrg(Sizes(users=20))) as probe:
        told = {"url": probe.url, "ca_file": str(probe.ca_file)}
        run("ours", _users("okta", servers.okta_settings(told)))
        asked = [each for each in probe.requests if each.path == "/api/v1/users" and each.query.get("limit") != "1"]
    query = "&".join(f"{name}={value}" for name, value in asked[-1].query.items())

    def raw(told: dict[str, Any]) -> dict[str, Any]:
        return {
            "url": f"{told['url']}/api/v1/users?{query}",
            "ca_file": told["ca_file"],
            "headers": {"Authorization": f"SSWS {okta_server.TOKEN}"},
            "search": asked[-1].query.get("search"),
            "size": "limit",
        }

    with servers.okta(RECORDS) as told, servers.okta(FEW) as few:
        found = least(
            {
                "okta connector's pages": lambda: run("ours", _users("okta", servers.okta_settings(told))),
                "http.client and msgspec": lambda: run("floor", raw(told)),
                "httpx and msgspec": lambda: run("httpx", raw(told)),
            }
        )
        found["okta's models"] = run("okta_models", raw(few))
    _against(goals, found, "okta connector's pages", "okta's models")


def _users(connector: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {"connector": connector, "settings": settings, "table": "accounts", "partition": "users"}


def _against(goals: Goals, found: dict[str, Figures], name: str, models: str) -> None:
    cost = show(found)
    ratio = cost[name] / cost["httpx and msgspec"]
    goals.hold(f"{name}: {ratio:.2f} times the floor (raw httpx and msgspec), at most 2", kept=ratio <= 2)
    barest = cost[name] / cost["http.client and msgspec"]
    say(f"           {name}: {barest:.2f} times http.client and msgspec, which can have one request under way only")
    cheaper = cost[models] / cost[name]
    goals.hold(f"{name}: {cheaper:.0f} times cheaper than {models}, at least 4", kept=cheaper >= 4)


def aws(goals: Goals) -> None:
    """AWS: the IAM fake, in XML: boto3's own parser is both the vendor's model and what the connector stands on.

    Grants come from the bulk listing alone; each account costs seven calls more, so fewer are read.
    """
    with servers.iam(RECORDS) as told:
        given = {"url": told["url"], "page_size": 100}
        found = least(
            {
                "aws connector's pages of grants": lambda: run("ours", _aws(told, "grants")),
                "boto3's paginator": lambda: run("aws_sdk", given),
                "http.client and ElementTree": lambda: run("aws_floor", given),
            }
        )
    with servers.iam(FEW // 4) as told:
        found |= least(
            {
                "aws connector's pages of accounts": lambda: run("ours", _aws(told, "accounts")),
                "boto3 with the same calls a user": lambda: run("aws_calls", {"url": told["url"]}),
            },
            rounds=1,
        )
    cost = show(found)
    for ours, theirs in (
        ("aws connector's pages of grants", "boto3's paginator"),
        ("aws connector's pages of accounts", "boto3 with the same calls a user"),
    ):
        ratio = cost[ours] / cost[theirs]
        goals.hold(f"{ours}: {ratio:.2f} times {theirs}, at most 2", kept=ratio <= 2)


def _aws(told: dict[str, Any], table: str) -> dict[str, Any]:
    settings = {
        "endpoint_url": told["url"],
        "access_key_id": "env:BENCH_AWS_KEY",
        "secret_access_key": "env:BENCH_AWS_KEY",
    }
    return {"connector": "aws", "settings": settings, "table": table}


def ldap(goals: Goals) -> None:
    """LDAP: people in a real slapd, against python-ldap on the same server with the same attributes."""
    names = connector_parts.ldap_search()
    program = _with_python_ldap()
    with servers.slapd(5 * RECORDS) as told:
        settings = servers.ldap_settings(told)
        given = {**told, **names, "settings": settings, "base": servers.PEOPLE, "page_size": 500}
        parts: dict[str, Callable[[], Figures]] = {
            "ldap connector's entries": lambda: run("ldap_entries", given),
            "ldap connector's pages": lambda: run(
                "ours", {"connector": "ldap", "settings": settings, "table": "accounts"}
            ),
        }
        if program is not None:
            command = [program, str(HERE / "python_ldap.py")]
            parts["python-ldap"] = lambda: _figures(command, given)
        found = least(parts)
        found["ldap3 as it comes"] = run("ldap3_stock", given)
    cost = show(found)
    if program is None:
        say("    python-ldap is not here: apt-get install python3-ldap")
        return
    ratio = cost["ldap connector's entries"] / cost["python-ldap"]
    goals.hold(f"ldap connector's entries: {ratio:.2f} times python-ldap's CPU, at most 2", kept=ratio <= 2)
    whole = cost["ldap connector's pages"] / cost["python-ldap"]
    say(f"    ldap connector's pages: {whole:.2f} times python-ldap's CPU, rows made of the entries included")


def _with_python_ldap() -> str | None:
    """Return Debian's own interpreter where it has python-ldap."""
    program = "/usr/bin/python3"
    found = subprocess.run([program, "-c", "import ldap"], capture_output=True, check=False)
    return program if found.returncode == 0 else None


@dataclass(frozen=True)
class _System:
    """A system of any size, and the table that is pulled to see what memory it takes."""

    serve: Callable[[int], AbstractContextManager[dict[str, Any]]]
    settings: Callable[[dict[str, Any]], dict[str, Any]]
    table: str = "accounts"
    large: int = LARGE


def _aws_settings(told: dict[str, Any]) -> dict[str, Any]:
    return {**_aws(told, "")["settings"], "page_size": 1000}


_SYSTEMS = {
    "okta": _System(servers.okta, servers.okta_settings),
    "entra": _System(servers.graph, servers.graph_settings),
    # Seven calls an account would be minutes of boto3; and no AWS account has more than some thousand users.
    "aws": _System(servers.iam, _aws_settings, "grants", 50_000),
    "ldap": _System(servers.slapd, servers.ldap_settings),
}


def memory(goals: Goals, name: str) -> None:
    """Pull a table of a small and of a large system through the product, and compare the peaks."""
    system = _SYSTEMS[name]
    peaks = {}
    for users in (SMALL, system.large):
        with system.serve(users) as told:
            settings = {**system.settings(told), "tables": [system.table]}
            figures = run("snapshot", {"connector": name, "settings": settings})
        peaks[users] = figures["mib"]
        pulled = f"{figures['records']:>9,.0f} {system.table} pulled and sealed"
        cost = f"{figures['mib']:5.0f} MiB peak, {figures['cpu']:6.1f} CPU s, {figures['seconds']:6.1f} s"
        say(f"    {name}: {pulled}, {cost}")
    grown = peaks[system.large] - peaks[SMALL]
    words = f"{name}: {grown:.0f} MiB more for {system.large:,} than for {SMALL:,}, at most {MOST_GROWTH_MIB}"
    goals.hold(words, kept=grown <= MOST_GROWTH_MIB)


def main() -> int:
    """Measure what is asked for; 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[], help="connectors: okta entra aws ldap (default: all)")
    parser.add_argument("--only", choices=["cpu", "memory", "rates"], help="one kind of figure")
    asked = parser.parse_args()
    names = asked.names or list(_CPU)
    goals = Goals()
    if asked.only in {None, "cpu"}:
        for name in names:
            say(f"  {name}: CPU")
            _CPU[name](goals)
    if asked.only in {None, "rates"}:
        say("  rate limits")
        for name in names:
            if name in bench_rates.RATES:
                bench_rates.RATES[name](goals, run)
    if asked.only in {None, "memory"}:
        say("  memory")
        for name in names:
            memory(goals, name)
    return 1 if goals.missed else 0


_CPU: dict[str, Callable[[Goals], None]] = {"okta": okta, "entra": entra, "aws": aws, "ldap": ldap}

if __name__ == "__main__":
    sys.exit(main())

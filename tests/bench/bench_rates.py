"""How full a connector's reading keeps a provider's rate limit, and how often the provider has to say no."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from reconciler import clock
from tests.bench import connector_servers as servers
from tests.bench.bench_pull import say
from tests.simulators import aws_iam
from tests.simulators.graph import server as graph_server
from tests.simulators.graph.generated import SPREAD, GeneratedTenant
from tests.simulators.graph.throttle import Throttle, Window
from tests.simulators.okta import server as okta_server
from tests.simulators.okta.generated import GeneratedOrg, Sizes
from tests.simulators.okta.limits import RateLimits

WINDOWS = 3.5
"""Windows that a reading fills; the first and last, which it does not fill alone, are left out of the figures."""
LEAST_USED, MOST_REFUSED = 0.90, 0.05


class Goals(Protocol):
    """What is told of a goal."""

    def hold(self, words: str, *, kept: bool) -> None:
        """Print a goal and whether it is kept."""


Run = Callable[[str, Mapping[str, Any]], dict[str, float]]


@dataclass
class _Use:
    limit: int
    seconds: float
    windows: Sequence[Window]

    def used(self) -> float:
        """Return the share of what the provider would have allowed from the first window's start to the last one's."""
        span = (self.windows[-1].starts - self.windows[0].starts) / self.seconds
        return sum(window.used for window in self.windows[:-1]) / (self.limit * span)


class _Watched(RateLimits):
    """Remembers the windows of one bucket."""

    def __init__(self, limits: Mapping[str, int], window_seconds: float, watched: str) -> None:
        super().__init__(limits, window_seconds)
        self.watched = watched
        self.windows: list[Window] = []

    def count(self, path: str) -> tuple[bool, dict[str, str]]:
        within, headers = super().count(path)
        bucket = self._buckets.get(self.watched)
        if bucket is not None and path.startswith(self.watched.removeprefix("^")):
            begun = bucket.end - self.window_seconds
            if not self.windows or begun > self.windows[-1].starts:
                self.windows.append(Window(begun))
            self.windows[-1].used += within
            self.windows[-1].refused += not within
        return within, headers


def okta(goals: Goals, run: Run) -> None:
    """Members of groups: a request each, 250 allowed in 20 seconds."""
    limit, seconds, pattern = 250, 20.0, "^/api/v1/groups/"
    org = GeneratedOrg(Sizes(users=500, groups=int(limit * WINDOWS), members=3))
    simulator = okta_server.OktaSimulator(org, window_seconds=seconds, limits={pattern: limit, r"": 1_000_000})
    simulator.rate = watch = _Watched(simulator.limits, seconds, pattern)
    with simulator:
        settings = servers.okta_settings({"url": simulator.url, "ca_file": str(simulator.ca_file)})
        _read(goals, run, ("okta", settings), lambda: (_Use(limit, seconds, watch.windows), watch.refused))


def entra(goals: Goals, run: Run) -> None:
    """Members of groups: two resource units each, in batches, 3,500 units in 10 seconds (a small tenant)."""
    limit, seconds = 3_500, 10.0
    throttle = Throttle(units=limit, seconds=seconds)
    tenant = GeneratedTenant(int(limit / 2 * WINDOWS) * SPREAD, members=5)
    with graph_server.GraphSimulator(tenant, throttle=throttle) as graph:
        told = {"url": graph.url, "tenant_id": tenant.tenant_id, "client_id": graph_server.CLIENT_ID,
                "ca_file": str(graph.ca_file)}  # fmt: skip
        _read(
            goals,
            run,
            ("entra", servers.graph_settings(told)),
            lambda: (_Use(limit, seconds, throttle.windows), sum(window.refused for window in throttle.windows)),
        )


def _read(goals: Goals, run: Run, what: tuple[str, dict[str, Any]], outcome: Callable[[], tuple[_Use, int]]) -> None:
    name, settings = what
    begun = clock.monotonic()
    figures = run("ours", {"connector": name, "settings": settings, "table": "grants", "partition": "group members"})
    use, refused = outcome()
    asked = sum(window.used for window in use.windows)
    fill = ", ".join(f"{window.used}/{use.limit} (429: {window.refused})" for window in use.windows)
    say(f"    {name}: {figures['records']:,.0f} grants in {clock.monotonic() - begun:.0f} s; windows: {fill}")
    used = use.used()
    goals.hold(f"{name}: {used:.0%} of the rate limit used, at least {LEAST_USED:.0%}", kept=used >= LEAST_USED)
    share = refused / asked
    goals.hold(f"{name}: {refused} answers with 429 for {asked} that count, at most {MOST_REFUSED:.0%}",
               kept=share <= MOST_REFUSED)  # fmt: skip


def aws(goals: Goals, run: Run) -> None:
    """Assignments of Identity Center: a call for each principal, 20 allowed a second."""
    limit, users = 20, 300
    with aws_iam.serve() as simulator:
        simulator.account()
        cloud = simulator.cloud
        cloud.per_second = limit
        reader = cloud.add_set("Reader")
        for number in range(users):
            cloud.assign("USER", cloud.add_user(number)["UserId"], reader, "111122223333")
        key = "env:BENCH_AWS_KEY"
        settings = {"endpoint_url": simulator.url, "access_key_id": key, "secret_access_key": key,
                    "identity_center": {}}  # fmt: skip
        part = "identity center assignments"
        figures = run("ours", {"connector": "aws", "settings": settings, "table": "grants", "partition": part})
        calls, seconds = len(cloud.answered), cloud.answered[-1] - cloud.answered[0]
    say(f"    aws: {figures['records']:,.0f} grants in {seconds:.0f} s; {calls} calls, {cloud.throttled} throttled")
    used = (calls - 1) / seconds / limit
    goals.hold(f"aws: {used:.0%} of the rate limit used, at least {LEAST_USED:.0%}", kept=used >= LEAST_USED)
    goals.hold(f"aws: {cloud.throttled} of {calls} calls throttled, at most {MOST_REFUSED:.0%}",
               kept=cloud.throttled <= MOST_REFUSED * calls)  # fmt: skip


RATES: dict[str, Callable[[Goals, Run], None]] = {"okta": okta, "entra": entra, "aws": aws}

"""Serve a generated tenant until the input closes: ``python -m tests.simulators.graph --users 1000000``.

The first line of output is JSON: url, tenant_id, client_id, secret, ca_file. Closing the input, or SIGTERM, ends it.
A line ``windows`` on the input is answered with what each window of the throttle saw.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.simulators.graph.generated import GeneratedTenant
from tests.simulators.graph.server import CLIENT_ID, SECRET, GraphSimulator
from tests.simulators.graph.throttle import Throttle


def main() -> int:
    """Serve; 0 at the end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--members", type=int, default=20, help="direct members of a group")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="http instead of https")
    parser.add_argument("--units", type=int, help="resource units a window before 429")
    parser.add_argument("--reports", type=int, help="requests of reports and logs a window before 429")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of a window")
    asked = parser.parse_args()
    throttle = Throttle(units=asked.units, reports=asked.reports, seconds=asked.seconds)
    tenant = GeneratedTenant(asked.users, members=asked.members)
    with GraphSimulator(tenant, tls=not asked.plain, port=asked.port, throttle=throttle) as graph:
        _say({"url": graph.url, "tenant_id": tenant.tenant_id, "client_id": CLIENT_ID, "secret": SECRET,
              "ca_file": None if graph.ca_file is None else str(graph.ca_file)})  # fmt: skip
        for line in sys.stdin:
            if line.strip() == "windows":
                windows = [
                    {"starts": window.starts, "used": window.used, "refused": window.refused}
                    for window in throttle.windows
                ]
                _say({"windows": windows, "requests": len(graph.requests)})
    return 0


def _say(content: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(content) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())

"""Serve a made-up org as a process of its own: ``python -m tests.simulators.okta --users 1000000``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from dataclasses import fields

from tests.simulators.okta.generated import GeneratedOrg, Sizes
from tests.simulators.okta.limits import DOCUMENTED, UNLIMITED
from tests.simulators.okta.server import TOKEN, OktaSimulator


def main() -> None:
    """Print one line of JSON (url, ca_file, token), then serve until standard input closes or a signal comes."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulators.okta", description=__doc__)
    for size in fields(Sizes):
        parser.add_argument(f"--{size.name.replace('_', '-')}", type=int, default=size.default)
    parser.add_argument("--limits", choices=["none", "documented"], default="none")
    parser.add_argument("--window-seconds", type=float, default=60.0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--plain", action="store_true", help="http instead of https")
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    sizes = Sizes(**{size.name: getattr(given, size.name) for size in fields(Sizes)})
    simulator = OktaSimulator(
        GeneratedOrg(sizes),
        limits=DOCUMENTED if given.limits == "documented" else UNLIMITED,
        window_seconds=given.window_seconds,
        tls=not given.plain,
        port=given.port,
        delay=given.delay,
        keep_requests=False,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with simulator:
        print(json.dumps({"url": simulator.url, "ca_file": str(simulator.ca_file or ""), "token": TOKEN}), flush=True)  # noqa: T201 - what the caller reads
        sys.stdin.read()


if __name__ == "__main__":
    main()

"""Sail, a Spark Connect server without a JVM, on a free loopback port, in a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SERVE = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", 0)
server.start(background=True)
print(f"listening on {server.listening_address[1]}", flush=True)
sys.stdin.read()
"""


@contextmanager
def serve() -> Iterator[str]:
    """Serve until the block ends; give the server's URL."""
    command = [sys.executable, "-c", _SERVE]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"listening on (\d+)", process.stdout.readline())
            assert found, "Sail did not start"
            yield f"sc://127.0.0.1:{found[1]}"
        finally:
            process.kill()

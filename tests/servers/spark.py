"""Apache Spark's own Connect server, local mode, one JVM; its client stays out of the tests' environment.

PyPI's ``pyspark`` carries the whole server and excludes ``pyspark-client``; it is put into a folder of its own once.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

_START_SECONDS = 120
_SETTINGS = {
    "spark.connect.grpc.binding.address": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.host": "127.0.0.1",
    "spark.ui.enabled": "false",
    # Small statements spend their time on compiling and on scheduling, not on rows.
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.files.minPartitionNum": "1",
    "spark.sql.files.openCostInBytes": "1",
}
_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""A JVM that lives for minutes earns little back from its second compiler: two fifths of the CPU time of the cases, and
nearly a third with 100,000 accounts."""
_MEMORY = "1g"
_FOR_MANY_ROWS = {
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
    "spark.sql.adaptive.enabled": "true",
}
"""Where rows take the time, and not statements: as Spark comes, but for as many parts as two cores and so much memory
work on."""
_MEMORY_FOR_MANY_ROWS = "6g"
"""Of four, nine tenths were still in use after a collection, with 100,000 accounts."""


def home() -> Path:
    """Return the folder of Spark's server, installed where it is not yet; RECONCILER_SPARK names another place."""
    wanted = version("pyspark-client")
    kept = os.environ.get("RECONCILER_SPARK") or str(Path.home() / ".cache" / "reconciler" / f"spark-{wanted}")
    folder = Path(kept)
    if not (folder / "pyspark" / "jars").is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as half:
            fresh = Path(half) / "spark"  # put in place only when it is whole
            uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--target", str(fresh), f"pyspark=={wanted}"]
            subprocess.run(uv, check=True)
            fresh.rename(folder)
    return folder / "pyspark"


def java() -> str:
    """Return the home of a Java that Spark runs on."""
    found = sorted(Path("/usr/lib/jvm").glob("java-17-*/bin/java"))
    return str(found[0].parent.parent) if found else os.environ.get("JAVA_HOME", "")


@contextmanager
def serve(*, many_rows: bool = False) -> Iterator[str]:
    """Serve until the block ends; give the URL. ``many_rows``: set up for an estate, not for the cases of rules."""
    spark = home()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings = _SETTINGS | {"spark.connect.grpc.binding.port": str(port)} | (_FOR_MANY_ROWS if many_rows else {})
    command = [
        str(spark / "bin" / "spark-submit"),
        "--master",
        "local[2]",
        "--driver-memory",
        _MEMORY_FOR_MANY_ROWS if many_rows else _MEMORY,
        "--driver-java-options",
        _JAVA,
    ]
    command += ["--class", "org.apache.spark.sql.connect.service.SparkConnectServer"]
    command += [part for name, value in settings.items() for part in ("--conf", f"{name}={value}")]
    environment = os.environ | {"JAVA_HOME": java(), "SPARK_HOME": str(spark), "SPARK_LOCAL_IP": "127.0.0.1"}
    with (
        tempfile.TemporaryDirectory() as work,
        subprocess.Popen(
            [*command, "spark-internal"],
            cwd=work,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        try:
            _wait(process, port)
            yield f"sc://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(30)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    for _ in range(_START_SECONDS * 4):
        assert process.poll() is None, "Spark did not start"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.25)
        else:
            return
    raise AssertionError("Spark did not listen in time")

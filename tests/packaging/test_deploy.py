"""What stands in deploy/ starts commands that there are, with options that they have."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from reconciler.cli.main import reconciler as command
from reconciler.sections.inbound import Inbound

DEPLOY = Path(__file__).parents[2] / "deploy"
SERVICES = sorted((DEPLOY / "systemd").glob("*.service"))


def _settings(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        name, is_one, value = line.partition("=")
        if is_one and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.stem)
def test_a_unit_starts_a_command_with_options_that_it_has(path: Path) -> None:
    ((binary, name, *rest),) = [line.split() for line in _settings(path)["ExecStart"]]
    assert binary.endswith("/bin/reconciler")
    found = command.get_command(click.Context(command), name)
    assert found is not None
    found.make_parser(click.Context(found)).parse_args(rest)  # an option that there is not raises


def test_each_unit_is_shut_in_alike() -> None:
    assert {path.stem for path in SERVICES} == {"reconciler", "reconciler-serve"}
    for name in ("User", "UMask", "ProtectSystem", "NoNewPrivileges", "CapabilityBoundingSet", "StateDirectory"):
        assert len({str(_settings(path)[name]) for path in SERVICES}) == 1


def test_the_proxy_passes_what_may_come_to_where_the_unit_listens() -> None:
    proxy = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    (unit,) = _settings(DEPLOY / "systemd" / "reconciler-serve.service")["ExecStart"]
    port = unit.partition("--port ")[2].split()[0]
    assert f"proxy_pass http://127.0.0.1:{port};" in proxy
    (megabytes,) = re.findall(r"client_max_body_size (\d+)m;", proxy)
    largest = next(limit.le for limit in Inbound.model_fields["max_bytes"].metadata if hasattr(limit, "le"))
    assert int(megabytes) * 1024 * 1024 == largest

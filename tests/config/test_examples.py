"""Every connector has an example, and every example is a section that the product takes as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from reconciler import connectors
from reconciler.run import check_tables, open_sources
from reconciler.settings import load

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.toml"))
FILING = sorted((ROOT / "config" / "examples" / "filing").glob("*.toml"))
_ESTATE = '[estate]\nname = "acme"\ntime_zone = "Europe/Amsterdam"\n\n'


def test_each_bundled_connector_has_its_example() -> None:
    bundled = {folder.parent.name for folder in (ROOT / "connectors").glob("*/__init__.py")}
    assert bundled == set(connectors.names())
    assert {path.stem for path in EXAMPLES} == set(connectors.readers())
    assert {path.stem for path in FILING} == set(connectors.filers())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_taken_as_it_stands(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"env:(\w+)", path.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, "planted")
    config = tmp_path / "reconciler.toml"
    config.write_text(_ESTATE + path.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "qms").mkdir()
    (tmp_path / "qms" / "people.csv").write_text("person_id\nP1\n", encoding="utf-8")
    settings = load(config)
    (section,) = settings.sources.values()
    assert section.connector == path.stem
    (pull,) = open_sources(settings)
    check_tables(settings, [pull])
    assert pull.source.endpoint


@pytest.mark.parametrize("path", FILING, ids=lambda path: path.stem)
def test_an_example_of_filing_is_taken_as_it_stands(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in re.findall(r"env:(\w+)", path.read_text(encoding="utf-8")):
        monkeypatch.setenv(name, "planted")
    (section,) = tomllib.loads(path.read_text(encoding="utf-8"))["filing"]["systems"].values()
    module = connectors.load_tickets(path.stem)
    settings = module.TicketSettings.model_validate(section)
    assert settings.connector == path.stem
    assert module.open_tickets("qms", settings, tmp_path).endpoint

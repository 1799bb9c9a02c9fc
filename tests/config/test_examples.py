"""Every connector has an example, and every example is a section that the product takes as it stands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from reconciler import connectors, notices
from reconciler.run import check_tables, open_sources
from reconciler.sections.inbound import Inbound
from reconciler.settings import Settings, load
from reconciler.web.api import prepare

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "config" / "examples").glob("*.toml"))
INBOUND = sorted((ROOT / "config" / "examples" / "inbound").glob("*.toml"))
NOTICES = sorted((ROOT / "config" / "examples" / "notices").glob("*.toml"))
FILING = sorted((ROOT / "config" / "examples" / "filing").glob("*.toml"))
_WHSEC = "whsec_" + "QUJD" * 8
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


def completed(path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Load an example in a configuration with one source, every secret that it names being there."""
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"env:(\w+)", text):
        monkeypatch.setenv(name, _WHSEC)
    config = folder / "reconciler.toml"
    config.write_text(f'{_ESTATE}[sources.qms]\nconnector = "files"\npath = "qms"\n\n{text}', encoding="utf-8")
    return load(config)


@pytest.mark.parametrize("path", INBOUND, ids=lambda path: path.stem)
def test_an_example_of_inbound_webhooks_can_be_served_as_it_stands(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = completed(path, tmp_path, monkeypatch)
    assert {one.section.kind for one in prepare(settings).values()} == {path.stem}


@pytest.mark.parametrize("path", NOTICES, ids=lambda path: path.stem)
def test_an_example_of_notices_can_be_used_as_it_stands(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = completed(path, tmp_path, monkeypatch)
    notices.check(settings)
    notices.refuse_disabled(settings)


def test_every_kind_of_webhook_and_every_way_to_tell_has_its_example() -> None:
    assert {path.stem for path in INBOUND} == set(get_args(get_type_hints(Inbound)["kind"]))
    assert {path.stem for path in NOTICES} == {"mail", "webhook"}


def test_what_the_first_configuration_shows_in_comments_is_taken_as_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "config" / "reconciler.toml").read_text(encoding="utf-8")
    shown = re.sub(r"^# (?=\[|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    for name in re.findall(r"env:(\w+)", shown):
        monkeypatch.setenv(name, _WHSEC)
    config = tmp_path / "reconciler.toml"
    config.write_text(shown, encoding="utf-8")
    settings = load(config)
    assert settings.config.inbound
    assert prepare(settings)
    notices.check(settings)

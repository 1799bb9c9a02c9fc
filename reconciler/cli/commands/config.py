"""``reconciler config``: check, show and describe the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.sdk.secrets import SecretRef
    from reconciler.settings import Settings
    from reconciler.toml import Key

    Keys = tuple[Key, ...]


@click.group()
def command() -> None:
    """Check, show and describe the configuration."""


@command.command()
@options.config
@options.as_json
def check(settings: Settings, *, machine: bool) -> None:
    """Check every key, table, secret reference, rule and parameter; connect to nothing."""
    from reconciler import notices, run
    from reconciler.cli import output
    from reconciler.filing.systems import open_systems
    from reconciler.report.wording import count

    secrets = _secrets(settings)
    sources = run.open_sources(settings)
    run.check_tables(settings, sources)
    systems = open_systems(settings)
    notices.check(settings)
    if settings.config.inbound:
        from reconciler.web.api import prepare

        prepare(settings)
    rules = run.load_rules(settings)
    if machine:
        names = [p.source.name for p in sources]
        output.emit({"config": str(settings.path), "sources": names, "systems": list(systems), "rules": len(rules)})
        return
    counted = [count(len(sources), "source"), *([count(len(systems), "ticket system")] if systems else [])]
    counted += [f"{count(secrets, 'secret')} present", count(len(rules), "rule")]
    click.echo(f"{settings.path}: {', '.join(counted)}. No problem found.")


@command.command()
@options.config
@options.as_json
def show(settings: Settings, *, machine: bool) -> None:
    """Show every setting in force, defaults included; secrets stay references."""
    from reconciler.cli import output

    _ = settings.database_url  # from here on its password is known, and hidden
    shown = settings.config.model_dump(mode="json")
    shown["sources"] = {name: section.model_dump(mode="json") for name, section in settings.sources.items()}
    shown["filing"]["systems"] = {name: one.model_dump(mode="json") for name, one in settings.systems.items()}
    if machine:
        output.emit(shown)
    else:
        output.table(("setting", "value"), _flat(shown))


@command.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file."""
    from reconciler.cli import output
    from reconciler.settings import schema as describe

    output.emit(describe())


def _secrets(settings: Settings) -> int:
    """Reveal every secret reference so that a missing one is said now, not at night; return how many there are."""
    from reconciler.errors import ConfigurationError
    from reconciler.sdk.secrets import SecretRef, reveal

    config = settings.config
    sections: list[tuple[Keys, object]] = [(("sources", name), section) for name, section in settings.sources.items()]
    sections += [(("filing", "systems", name), section) for name, section in settings.systems.items()]
    sections += [(("notices",), config.notices), (("inbound",), config.inbound)]
    urls = ((("store", "database"), config.store.database), (("engine", "engine"), config.engine.engine))
    sections += [(keys, SecretRef(url)) for keys, url in urls if url.startswith(("env:", "file:"))]
    references = [found for keys, section in sections for found in _references(keys, section)]
    problems = []
    for keys, reference in references:
        try:
            reveal(reference)
        except ConfigurationError as error:
            problems.append(f"{settings.at(*keys)}: {'.'.join(map(str, keys))}: {error.message}. {error.advice}")
    if problems:
        raise ConfigurationError("\n".join(problems), advice="Secrets are referenced as env:NAME or file:/path.")
    return len(references)


def _references(keys: Keys, value: object) -> Iterator[tuple[Keys, SecretRef]]:
    """Yield each secret reference at or below a setting, with the way to it."""
    from pydantic import BaseModel

    from reconciler.sdk.secrets import SecretRef

    if isinstance(value, SecretRef):
        yield keys, value
    elif isinstance(value, BaseModel):
        for name, part in value:
            yield from _references((*keys, name), part)
    elif isinstance(value, dict):
        for name, part in value.items():
            yield from _references((*keys, name), part)
    elif isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from _references((*keys, number), part)


def _flat(value: object, prefix: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [row for key, part in value.items() for row in _flat(part, f"{prefix}.{key}" if prefix else str(key))]
    return [(prefix, "" if value is None else str(value))]

"""The ticket systems of the configuration, and what a nonconformity becomes in each."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler import connectors
from reconciler.errors import ConfigurationError
from reconciler.filing.facts import Facts, mapping
from reconciler.filing.keys import key
from reconciler.sdk.tickets import Ticket, TicketSystem
from reconciler.sections import templates
from reconciler.settings import Settings

_LONGEST_TITLE = 250


def open_systems(settings: Settings, names: Sequence[str] = ()) -> dict[str, TicketSystem]:
    """Make the configured systems (all, or those of ``names``) without connecting yet.

    Raises ``ConfigurationError`` for a name that is none.
    """
    if unknown := sorted(set(names) - set(settings.systems)):
        known = ", ".join(settings.systems)
        raise ConfigurationError(
            f"no system {', '.join(unknown)} in [filing.systems] of {settings.path}",
            advice=f"Use one of: {known}." if known else "Write a section [filing.systems.NAME].",
        )
    return {
        name: connectors.load_tickets(section.connector).open_tickets(name, section, settings.base)
        for name, section in settings.systems.items()
        if not names or name in names
    }


def ticket(settings: Settings, system: str, facts: Facts) -> Ticket:
    """Return what is filed for a nonconformity in a system, every template filled in.

    Raises ``ConfigurationError``, with file and line, for a template that these facts cannot fill.
    """
    filing, own = settings.config.filing, settings.systems[system]
    known = mapping(
        facts,
        personal_data=filing.personal_data,
        listed=filing.listed_findings,
        time_zone=settings.config.estate.time_zone,
    )
    section = ("filing", "systems", system)
    try:
        keys: tuple[str, ...] = (*section, "title") if own.title else ("filing", "title")
        title = templates.filled(own.title or filing.title, known)
        keys = (*section, "body") if own.body else ("filing", "body")
        body = templates.filled(own.body or filing.body, known)
        keys = (*section, "fields")
        fields = templates.value(own.fields, known)
    except ValueError as error:
        raise ConfigurationError(
            f"{settings.at(*keys)}: {'.'.join(keys)} cannot be filled in for {facts.about}: {error}",
            advice="Correct the template; `reconciler filing preview` shows what it makes.",
        ) from error
    title = " ".join(title.split())
    return Ticket(
        key=key(settings.config.estate.name, facts.about),
        title=title if len(title) <= _LONGEST_TITLE else title[: _LONGEST_TITLE - 3].rstrip() + "...",
        body=body.strip() + "\n",
        severity=facts.severity,
        due_at=facts.due_at,
        fields=fields,
    )

"""Ticket systems of three vendors, and the sections that file in them by the profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectors.rest import TicketSettings, open_tickets
from connectors.rest.tickets import RestTickets
from reconciler.sdk.tickets import Ticket
from tests.simulators.desks import freshservice, vault, zendesk
from tests.simulators.desks.service import Service

SECRETS = {"ZENDESK_TOKEN": zendesk.TOKEN, "FRESHSERVICE_KEY": freshservice.KEY, "VEEVA_PASSWORD": vault.PASSWORD}
ACTION = "api/{{ var.version }}/vobjects/{{ var.object }}/{{ id }}/actions/{{ status }}"
SECTIONS: dict[str, dict[str, Any]] = {
    "zendesk": {"auth": {"type": "basic", "user": zendesk.USER, "password": "env:ZENDESK_TOKEN"}},
    "freshservice": {
        "auth": {"type": "basic", "user_secret": "env:FRESHSERVICE_KEY"},
        "fields": {"email": "reconciler@acme.test"},
    },
    "veeva-vault": {
        "auth": {
            "type": "session",
            "path": "api/v25.1/auth",
            "token": "sessionId",
            "user": vault.USER,
            "password": "env:VEEVA_PASSWORD",
        },
        "change": {"method": "POST", "path": ACTION},
        "status_values": {
            "open": "Objectaction.quality_event__qdm.open_state__c",
            "resolved": "Objectaction.quality_event__qdm.resolved_state__c",
            "closed": "Objectaction.quality_event__qdm.closed_state__c",
        },
    },
}
SERVICES: dict[str, type[Service]] = {
    "zendesk": zendesk.Zendesk,
    "freshservice": freshservice.Freshservice,
    "veeva-vault": vault.Vault,
}


def section(profile: str, url: str, **changes: Any) -> dict[str, Any]:
    """Return the section that files by a profile."""
    return {"connector": "rest", "profile": profile, "url": url, **SECTIONS[profile], **changes}


def opened(profile: str, url: str, name: str = "desk", **changes: Any) -> RestTickets:
    """Make the ticket system."""
    settings = TicketSettings.model_validate(section(profile, url, **changes))
    return open_tickets(name, settings, Path("/"))


def ticket(number: int = 1, **changes: Any) -> Ticket:
    """Return a ticket to file, with what every service asks for in its fields."""
    about = f"NC-{number:06}"
    given = {"title": f"{about}: a leaver can sign in", "body": "It does not hold.\n\n- F-1: u-1001\n- F-2: <b>\n"}
    key = f"rec-acme-{about.lower()}"
    return Ticket(**({"key": key, "severity": "critical", "fields": {"email": "r@acme.test"}} | given | changes))

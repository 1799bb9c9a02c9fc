"""No ticket twice and none lost by any profile: workers killed, answers lost, late requests, lists that lag."""

from __future__ import annotations

import pytest

from connectors.rest.tickets import RestTickets
from tests.connectors.rest.desks import SECRETS, SERVICES, opened
from tests.filing.fire import DATABASES, LAG, SETTLE, under_fire

pytestmark = pytest.mark.parametrize("url", DATABASES, indirect=True)


def zendesk(endpoint: str) -> RestTickets:
    """Make the system that the workers file in."""
    return opened("zendesk", endpoint, settle_seconds=SETTLE)


def freshservice(endpoint: str) -> RestTickets:
    """Make the system that the workers file in."""
    return opened("freshservice", endpoint, settle_seconds=SETTLE)


def veeva_vault(endpoint: str) -> RestTickets:
    """Make the system that the workers file in."""
    return opened("veeva-vault", endpoint)


OPENS = {
    "zendesk": (zendesk, "/tickets.json"),
    "freshservice": (freshservice, "/tickets"),
    "veeva-vault": (veeva_vault, "/quality_event__qdm"),
}


@pytest.mark.parametrize("profile", sorted(SERVICES))
def test_each_ticket_is_filed_once(profile: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    opens, path = OPENS[profile]
    lags = profile != "veeva-vault"  # VQL sees a record at once
    with SERVICES[profile](lag=LAG if lags else 0.0) as service:
        fire = under_fire(
            url,
            system=service.url,
            opens=opens,
            held=service.held,
            behind=(lambda: service.behind) if lags else None,
            creates=lambda method, asked: method == "POST" and asked.endswith(path),
            fields={"email": "reconciler@acme.test"},
        )
    fire.check()

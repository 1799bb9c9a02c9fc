"""No issue twice and none lost: workers killed, answers lost, requests that come late, a search that lags."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.jira import TicketSettings, open_tickets
from connectors.jira.tickets import Jira
from tests.connectors.jira.conftest import REQUEST
from tests.filing.fire import DATABASES, LAG, SETTLE, under_fire
from tests.simulators.jira.server import USER
from tests.simulators.jira.server import Jira as Simulator

pytestmark = pytest.mark.parametrize("url", DATABASES, indirect=True)


def issues(endpoint: str, **changes: Any) -> Jira:
    """Make the system that files issues."""
    given = {"connector": "jira", "url": endpoint, "user": USER, "api_token": "env:JIRA_TOKEN", "project": "GRC"}
    return open_tickets("desk", TicketSettings.model_validate(given | {"settle_seconds": SETTLE} | changes), Path("/"))


def requests(endpoint: str) -> Jira:
    """Make the system that files requests of the service desk."""
    return issues(endpoint, request=REQUEST)


@pytest.mark.parametrize("opens", [issues, requests])
def test_each_ticket_is_filed_once(url: str, site: Simulator, opens: Callable[[str], Jira]) -> None:
    site.site.lag = LAG
    fire = under_fire(
        url,
        system=site.url,
        opens=opens,
        held=site.held,
        behind=lambda: site.site.behind,
        creates=lambda method, path: method == "POST" and path.endswith(("/issue", "/request")),
    )
    fire.check()

"""No issue twice and none lost: workers killed, answers lost, the site busy, and a search that lags."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from connectors.jira import TicketSettings
from connectors.jira import open_tickets as opened
from connectors.jira.tickets import Jira
from tests.connectors.jira.conftest import REQUEST
from tests.filing.fire import under_fire
from tests.simulators.jira.server import USER
from tests.simulators.jira.server import Jira as Simulator


def _open(endpoint: str, **changes: Any) -> Jira:
    given = {"connector": "jira", "url": endpoint, "user": USER, "api_token": "env:JIRA_TOKEN", "project": "GRC"}
    return opened("desk", TicketSettings.model_validate(given | {"settle_seconds": 1.5} | changes), Path("/"))


def open_issues(endpoint: str) -> Jira:
    """Make the system that files issues."""
    return _open(endpoint)


def open_requests(endpoint: str) -> Jira:
    """Make the system that files requests of the service desk."""
    return _open(endpoint, request=REQUEST)


def test_each_issue_is_filed_once(url: str, site: Simulator) -> None:
    _filed(url, site, "open_issues", 60)


def test_each_request_is_filed_once(tmp_path: Path, site: Simulator) -> None:
    _filed(f"sqlite:///{tmp_path}/fire.db", site, "open_requests", 24)


def _filed(url: str, site: Simulator, way: str, tickets: int) -> None:
    site.site.lag = 1.0
    fire = under_fire(
        url,
        simulator=site.url,
        open_tickets=f"tests.connectors.jira.test_fire:{way}",
        held=site.held,
        creates=lambda method, path: method == "POST" and path.endswith(("/issue", "/request")),
        tickets=tickets,
    )
    fire.check(tickets)

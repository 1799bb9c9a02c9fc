from __future__ import annotations

import datetime as dt
import json
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.rest.profiles import names
from reconciler.bundled import root
from reconciler.connectors import load, load_tickets
from reconciler.sdk.connector import Page
from tests.connectors.rest.conftest import pages_of
from tests.simulators import http_faults as faults

README = (root("connectors") / "rest" / "README.md").read_text(encoding="utf-8")
PROFILES = sorted(path.stem for path in (root("connectors") / "rest" / "profiles").glob("*.toml"))


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[faults.FaultServer]:
    monkeypatch.setenv("BAMBOOHR_KEY", "planted-key")
    async with faults.FaultServer() as running:
        yield running


async def read(service: faults.FaultServer, profile: str, table: str, **more: Any) -> list[Page]:
    connector = load("rest")
    given = {"connector": "rest", "profile": profile, "url": service.url, **more}
    return await pages_of(connector.open_source("x", connector.Settings.model_validate(given), Path("/")), table)


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_is_whole(profile: str) -> None:
    settings: Any = load("rest").Settings.model_validate(
        {"connector": "rest", "profile": profile, "url": "https://x.test"}
    )
    assert settings.mapping
    assert f"`{profile}`" in README


@pytest.mark.parametrize("profile", names("tickets"))
def test_every_profile_of_tickets_is_whole(profile: str) -> None:
    given = {"connector": "rest", "profile": profile, "url": "https://x.test"}
    settings: Any = load_tickets("rest").TicketSettings.model_validate(given)
    assert settings.create.id
    assert set(settings.statuses.values()) == {"open", "resolved", "closed"}
    assert f"`{profile}`" in README


def test_the_readme_names_every_setting_of_tickets() -> None:
    own = set(load_tickets("rest").TicketSettings.model_fields) - {"connector", "title", "body"}
    assert {name for name in own if f"`{name}`" not in README} == set()


def test_the_examples_of_the_readme_are_settings() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    *reading, filing = blocks
    assert len(reading) == 2
    tickets = tomllib.loads(filing)["filing"]["systems"]["desk"]
    assert load_tickets("rest").TicketSettings.model_validate(tickets).fields == {"group_id": 360000000001}
    for block in reading:
        (section,) = tomllib.loads(block)["sources"].values()
        settings: Any = load("rest").Settings.model_validate(section)
        assert settings.canaries
    assert "business_unit" not in settings.mapping["people"].columns
    assert settings.mapping["people"].columns["kind"] == "employmentHistoryStatus"


async def test_servicenow_follows_links_and_counts(service: faults.FaultServer) -> None:
    def user(number: int) -> dict[str, str]:
        found = {"sys_id": f"{number:032x}", "user_name": f"u{number}", "name": "Ann", "email": "a@acme.test"}
        return found | {"employee_number": "007", "active": "true", "manager": "", "department": "d", "company": ""}

    path = "/api/now/table/sys_user"
    link = f'<{service.url}{path}?sysparm_offset=0>;rel="first",<{service.url}{path}?sysparm_offset=1>;rel="next"'
    service.script(
        path,
        faults.in_json({"result": [user(1)]}, headers={"Link": link, "X-Total-Count": "2"}),
        faults.in_json({"result": [user(2)]}, headers={"X-Total-Count": "2"}),
    )
    pages = await read(service, "servicenow", "people")
    row: Any = pages[0].rows[0]
    assert [page.total for page in pages] == [2, 2]
    assert (row.person_id, row.employee_id, row.emails, row.manager_id) == (f"{1:032x}", "007", ["a@acme.test"], None)
    assert "sysparm_limit=1000" in service.requests[0].target
    contract = {"sys_id": "c", "vendor": "v", "state": "active", "starts": "2026-01-01", "ends": "2026-03-31"}
    answer = {"result": [{**contract, "contract_administrator": "p"}]}
    service.script("/api/now/table/ast_contract", faults.in_json(answer, headers={"X-Total-Count": "1"}))
    ((found,),) = [page.rows for page in await read(service, "servicenow", "contracts")]
    assert found.ends_on == dt.date(2026, 3, 31)  # type: ignore[attr-defined] # contracts


async def test_jira_goes_on_until_the_last_page_says_so(service: faults.FaultServer) -> None:
    def request(number: int) -> dict[str, Any]:
        date = {"iso8601": "2026-01-02T03:04:05+0100", "epochMillis": 1}
        status = {"status": "Approved", "statusDate": date}
        reporter = {"accountId": "a-1"}
        return {"issueId": str(number), "issueKey": f"HR-{number}", "reporter": reporter, "currentStatus": status}

    service.script(
        "/rest/servicedeskapi/request",
        faults.in_json({"size": 2, "start": 0, "limit": 2, "isLastPage": False, "values": [request(1), request(2)]}),
        faults.in_json({"size": 1, "start": 2, "limit": 2, "isLastPage": True, "values": [request(3)]}),
    )
    pages = await read(service, "jira-service-management", "approvals")
    row: Any = pages[1].rows[0]
    assert (row.approval_id, row.requested_by, row.decision, row.kind) == ("HR-3", "a-1", "Approved", "access_request")
    assert row.decided_at == dt.datetime(2026, 1, 2, 2, 4, 5, tzinfo=dt.UTC)
    assert "start=2" in service.requests[1].target


async def test_bamboohr_gives_all_rows_of_one_report(service: faults.FaultServer) -> None:
    employee = {"id": "17", "employeeNumber": "0017", "fullName1": "Ann Smith", "workEmail": None, "status": "Active"}
    employee |= {"hireDate": "2020-01-01", "terminationDate": "0000-00-00", "department": "QA", "division": None}
    employee["supervisorEId"] = "3"
    service.script("/v1/reports/custom", faults.in_json({"title": "reconciler", "employees": [employee]}))
    auth = {"type": "basic", "user_secret": "env:BAMBOOHR_KEY"}
    ((row,),) = [page.rows for page in await read(service, "bamboohr", "people", auth=auth)]
    found: Any = row
    assert (found.person_id, found.employee_id, found.ends_on, found.manager_id) == ("17", "0017", None, "3")
    (sent,) = service.requests
    assert (sent.method, sent.target) == ("POST", "/v1/reports/custom?format=JSON&onlyCurrent=false")
    assert "terminationDate" in json.loads(sent.body)["fields"]
    assert sent.headers["authorization"].startswith("Basic ")

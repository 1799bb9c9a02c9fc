from __future__ import annotations

import re
import tomllib

import pytest

from connectors.jira import TicketSettings
from reconciler.bundled import root
from reconciler.sdk import tickets

README = (root("connectors") / "jira" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```toml\n(.*?)```", README, re.DOTALL))
def test_each_example_is_taken_as_it_stands(block: str) -> None:
    (section,) = tomllib.loads(block)["filing"]["systems"].values()
    assert TicketSettings.model_validate(section).connector == "jira"


def test_every_setting_is_in_the_table() -> None:
    table = " ".join(re.findall(r"^\| (`.*?) \|", README, re.MULTILINE))
    for name in set(TicketSettings.model_fields) - set(tickets.TicketSettings.model_fields):
        assert f"`{name}`" in table, name

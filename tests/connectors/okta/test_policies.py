"""The least-privilege list names exactly what is asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from connectors.okta.settings import SCOPES
from connectors.okta.source import OktaSource
from tests.connectors.okta.conftest import pulled
from tests.simulators.okta.server import ADMIN, OktaSimulator
from tests.simulators.okta.small import uid

POLICY = Path(__file__).parents[3] / "deploy" / "policies" / "okta-read.json"


def test_the_policy_grants_the_scopes_that_are_asked_for_and_they_only_read() -> None:
    scopes = json.loads(POLICY.read_text())["scopes"]
    assert scopes == list(SCOPES)
    assert all(scope.endswith(".read") for scope in scopes)


async def test_no_call_is_made_that_the_policy_does_not_list(
    okta: OktaSimulator, tmp_path: Path, opened: Callable[..., OktaSource]
) -> None:
    await pulled(okta, tmp_path)
    source = opened(okta)
    for account in (uid("ann"), ADMIN, "0oa1simbatch00000000"):
        await source.reread(account)
    listed = [
        re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(call)) + "$")
        for call in json.loads(POLICY.read_text())["calls"]
    ]
    asked = {f"{seen.method} {seen.path}" for seen in okta.requests}
    assert [call for call in sorted(asked) if not any(one.match(call) for one in listed)] == []
    unused = [
        one.pattern.replace("[^/]+", "*").replace("\\", "").rstrip("$")
        for one in listed
        if not any(map(one.match, asked))
    ]
    assert unused == [
        "GET /api/v1/users/*/roles/*/targets/catalog/apps",  # an APP_ADMIN held directly
        "GET /api/v1/groups/*/roles/*/targets/groups",  # a USER_ADMIN held by a group
        "POST /oauth2/v1/token",
    ]

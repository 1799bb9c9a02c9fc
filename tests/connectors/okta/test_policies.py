"""The least-privilege list names exactly what is asked."""

from __future__ import annotations

import json
import re
from pathlib import Path

from connectors.okta.settings import SCOPES
from tests.connectors.okta.conftest import pulled
from tests.simulators.okta.server import ADMIN, OktaSimulator
from tests.simulators.okta.small import uid

POLICY = Path(__file__).parents[3] / "deploy" / "policies" / "okta-read.json"


def test_the_policy_grants_the_scopes_that_are_asked_for_and_they_only_read() -> None:
    scopes = json.loads(POLICY.read_text())["scopes"]
    assert scopes == list(SCOPES)
    assert all(scope.endswith(".read") for scope in scopes)


async def test_no_call_is_made_that_the_policy_does_not_list(okta: OktaSimulator, tmp_path: Path, opened) -> None:  # type: ignore[no-untyped-def] # a fixture
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
    unused = [one.pattern for one in listed if not any(one.match(call) for call in asked)]
    assert unused == [
        re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(call)) + "$"
        for call in (
            "GET /api/v1/users/{id}/roles/{role}/targets/catalog/apps",
            "GET /api/v1/groups/{id}/roles/{role}/targets/groups",
            "POST /oauth2/v1/token",
        )
    ]

"""Who may see what of the Okta simulator, how often they may ask, and what its System Log answers."""

import asyncio
import json
import subprocess
import sys
from datetime import timedelta
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from reconciler.clock import now
from tests.simulators.http_injection import FaultKind
from tests.simulators.okta import shapes
from tests.simulators.okta.auth import Principal, ServiceApp
from tests.simulators.okta.generated import GeneratedOrg, Sizes
from tests.simulators.okta.server import ADMIN, TOKEN, OktaSimulator
from tests.simulators.okta.small import small_org, uid

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PUBLIC = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
APP = "0oa1simreconciler000"
SCOPES = frozenset({"okta.users.read", "okta.groups.read", "okta.logs.read"})


def simulator(**options: Any) -> OktaSimulator:
    clients = {APP: ServiceApp({"key-1": PUBLIC}, SCOPES, **options.pop("service", {}))}
    return OktaSimulator(small_org(), tls=False, clients=clients, **options)


def assertion(okta: OktaSimulator, *, key: Any = KEY, kid: str = "key-1", **claims: Any) -> str:
    stated = {
        "iss": APP,
        "sub": APP,
        "aud": f"{okta.url}/oauth2/v1/token",
        "exp": now() + timedelta(minutes=5),
        "jti": claims.pop("jti", str(id(claims))),
    }
    return jwt.encode({**stated, **claims}, key, algorithm="RS256", headers={"kid": kid})


def fetch(okta: OktaSimulator, signed: str, scope: str = "okta.users.read") -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "scope": scope,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": signed,
    }
    return httpx.post(f"{okta.url}/oauth2/v1/token", data=form, trust_env=False)


def get(okta: OktaSimulator, path: str, authorization: str = f"SSWS {TOKEN}") -> httpx.Response:
    return httpx.get(okta.url + path, headers={"Authorization": authorization}, trust_env=False)


@pytest.mark.parametrize("authorization", ["", "SSWS wrong", f"SSWS{TOKEN}", f"Bearer {TOKEN}", "Bearer expired"])
def test_wrong_credentials_answer_401(authorization: str) -> None:
    with simulator() as okta:
        answer = get(okta, "/api/v1/users", authorization)
        assert (answer.status_code, answer.json()["errorCode"]) == (401, "E0000011")


def test_a_signed_assertion_is_exchanged_for_a_token_of_the_scopes_asked_for() -> None:
    with simulator() as okta:
        answer = fetch(okta, assertion(okta), "okta.users.read okta.groups.read").json()
        assert (answer["token_type"], answer["expires_in"]) == ("Bearer", 3600)
        assert answer["scope"] == "okta.groups.read okta.users.read"
        bearer = f"Bearer {answer['access_token']}"
        assert len(get(okta, "/api/v1/users", bearer).json()) > 10
        refused = get(okta, "/api/v1/logs", bearer)
        assert (refused.status_code, refused.json()["errorCode"]) == (403, "E0000006")
        assert 'scope="okta.logs.read"' in refused.headers["www-authenticate"]
        assert get(okta, "/api/v1/users/me", bearer).status_code == 404
        okta.gate.revoke_all()
        assert get(okta, "/api/v1/users", bearer).status_code == 401


def test_assertions_that_prove_nothing_are_refused() -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    with simulator() as okta:
        wrong = [
            assertion(okta, key=other),
            assertion(okta, kid="key-2"),
            assertion(okta, aud="https://elsewhere.invalid/oauth2/v1/token"),
            assertion(okta, exp=now() - timedelta(minutes=1)),
            assertion(okta, exp=now() + timedelta(hours=2)),
            assertion(okta, sub="0oa1simsomebodyelse0"),
            assertion(okta, iss="0oa1simsomebodyelse0"),
            "no.token.at-all",
        ]
        for signed in wrong:
            answer = fetch(okta, signed)
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), signed
        once = assertion(okta, jti="once")
        assert [fetch(okta, once).status_code for _ in range(2)] == [200, 401]
        unknown = fetch(okta, assertion(okta), "okta.users.read okta.apps.read")
        assert (unknown.status_code, unknown.json()["error"]) == (400, "invalid_scope")


def test_a_token_dies_with_its_time() -> None:
    with simulator(service={"seconds": 0}) as okta:
        bearer = f"Bearer {fetch(okta, assertion(okta)).json()['access_token']}"
        assert get(okta, "/api/v1/users", bearer).status_code == 401


def test_a_service_app_without_an_admin_role_gets_200_and_nothing() -> None:
    with simulator(service={"role": ""}) as okta:
        bearer = f"Bearer {fetch(okta, assertion(okta), ' '.join(SCOPES)).json()['access_token']}"
        for path in ("users", "users?search=status+pr", "groups", "groups/00g1simengineering00/users"):
            answer = get(okta, f"/api/v1/{path}", bearer)
            assert (answer.status_code, answer.json()) == (200, []), path
        assert get(okta, f"/api/v1/users/{uid('ann')}", bearer).status_code == 404
        assert get(okta, "/api/v1/logs", bearer).status_code == 403


def test_an_administrator_of_some_sees_some() -> None:
    few = Principal(role="READ_ONLY_ADMIN", user_id=ADMIN, sees=frozenset({ADMIN, uid("ann")}), denied=("api-tokens",))
    with simulator(tokens={TOKEN: few}) as okta:
        assert {row["id"] for row in get(okta, "/api/v1/users?search=status+pr").json()} == {ADMIN, uid("ann")}
        assert [row["id"] for row in get(okta, "/api/v1/groups/00g1simengineering00/users").json()] == [uid("ann")]
        assert get(okta, f"/api/v1/users/{uid('bob')}").status_code == 404
        denied = ("iam/roles", f"users/{ADMIN}/roles", "api-tokens")
        assert [get(okta, f"/api/v1/{path}").status_code for path in denied] == [403] * 3


def test_buckets_count_apart_and_open_again() -> None:
    with simulator(limits={"^/api/v1/users": 2, "": 100}, window_seconds=0.3) as okta:
        answers = [get(okta, "/api/v1/users?limit=1") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert [answer.headers["x-rate-limit-remaining"] for answer in answers] == ["1", "0", "0"]
        refused = answers[2]
        assert (refused.json()["errorCode"], refused.headers["x-rate-limit-limit"]) == ("E0000047", "2")
        assert int(refused.headers["x-rate-limit-reset"]) <= now().timestamp() + 2
        assert "date" in refused.headers
        assert get(okta, "/api/v1/groups").status_code == 200
        while get(okta, "/api/v1/users?limit=1").status_code == 429:
            pass
        assert okta.rate.refused >= 1


async def test_too_many_at_once_are_refused() -> None:
    with simulator(concurrency=3, delay=0.2) as okta:
        async with httpx.AsyncClient(headers={"Authorization": f"SSWS {TOKEN}"}, trust_env=False) as client:
            answers = await asyncio.gather(*(client.get(f"{okta.url}/api/v1/groups") for _ in range(5)))
        told = [answer for answer in answers if answer.status_code == 429]
        assert 1 <= len(told) <= 2
        assert {answer.headers["x-rate-limit-limit"] for answer in told} == {"0"}
        assert okta.most_at_once > 3


def test_a_bounded_log_ends_and_a_polled_one_never_does() -> None:
    with OktaSimulator(GeneratedOrg(Sizes(events=25)), tls=False) as okta:
        since = shapes.stamp(now() - timedelta(days=2))
        bounded, url = [], f"/api/v1/logs?since={since}&until={shapes.stamp(now())}&limit=10"
        while url:
            answer = get(okta, url.removeprefix(okta.url))
            bounded += answer.json()
            url = answer.links.get("next", {}).get("url", "")
        assert len({row["uuid"] for row in bounded}) == len(bounded) == 25
        assert [row["published"] for row in bounded] == sorted(row["published"] for row in bounded)
        backwards = get(okta, f"/api/v1/logs?since={since}&sortOrder=DESCENDING").json()
        assert backwards == bounded[::-1]
        assert get(okta, f"/api/v1/logs?since={bounded[20]['published']}&until={since}").status_code == 400


def test_polling_brings_what_is_published_later() -> None:
    with simulator() as okta:
        answer = get(okta, "/api/v1/logs")
        assert answer.json()
        following = answer.links["next"]["url"].removeprefix(okta.url)
        empty = get(okta, following)
        assert (empty.json(), "next" in empty.links) == ([], True)
        admin = shapes.party(ADMIN, "User", "Root Okt")
        okta.org.put("logs", shapes.event("new", shapes.stamp(now()), "user.lifecycle.suspend", actor=admin))
        later = get(okta, empty.links["next"]["url"].removeprefix(okta.url))
        assert [row["uuid"] for row in later.json()] == ["new"]
        filtered = get(okta, '/api/v1/logs?filter=eventType eq "user.session.start"').json()
        assert [row["eventType"] for row in filtered] == ["user.session.start"]


def test_faults_reach_okta_as_okta_would_word_them() -> None:
    with simulator() as okta:
        okta.faults.add(FaultKind.THROTTLED, path="/users")
        answer = get(okta, "/api/v1/users")
        assert (answer.status_code, answer.json()["errorCode"]) == (429, "E0000047")
        assert {"date", "x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"} <= set(answer.headers)
        okta.faults.add(FaultKind.THROTTLED_SILENT)
        assert "x-rate-limit-reset" not in get(okta, "/api/v1/users").headers
        okta.faults.add(FaultKind.NEXT_MISSING, path="iam/assignees")
        assert get(okta, "/api/v1/iam/assignees/users?limit=1").json()["_links"] == {}
        assert [fired.number for fired in okta.faults.fired] == [1, 2, 3]


def test_it_runs_as_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.simulators.okta", "--users", "1000000", "--plain", "--limits", "documented"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        answer = httpx.get(
            f"{told['url']}/api/v1/users?search=status+pr",
            headers={"Authorization": f"SSWS {told['token']}"},
            trust_env=False,
        )
        assert (len(answer.json()), answer.headers["x-rate-limit-limit"]) == (200, "600")
        process.stdin.close()
        assert process.wait(20) == 0

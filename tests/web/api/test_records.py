"""Records read again: what they say now, and what nobody can say of them."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from reconciler import run
from reconciler.findings import FindingStore
from tests.simulators.http_server import LoopbackServer
from tests.web.api.serving import body
from tests.web.api.worlds import AT, CONTRACTS, EXCEPTIONS, INBOUND, OVER_HTTP, PEOPLE, looked, said, world


def test_a_record_is_told_as_it_stands_and_as_it_stood(tmp_path: Path) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    run.pull(settings, FindingStore.open(settings.database_url), as_of=AT, progress=lambda _: None)
    world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="terminated"))
    found = looked(settings, body())
    assert found.state == "done"
    assert said(found) == (
        "qms contracts C1: status terminated, ends_on 2026-02-15 (in the newest snapshot status active)"
    )
    assert found.outcome is not None
    assert found.outcome.facts == (
        {
            "source": "qms",
            "table": "contracts",
            "id": "C1",
            "now": {"status": "terminated", "ends_on": "2026-02-15"},
            "before": {"status": "active", "ends_on": "2026-02-15"},
        },
    )
    assert [one.by for one in found.outcome.history] == ["reconciler"]


def test_a_record_that_is_not_there_is_gone_only_where_all_was_read(tmp_path: Path) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    found = looked(settings, body(subject="C9"))
    assert (found.state, said(found)) == ("done", "qms was read whole and has no record C9")


def test_what_could_not_be_read_is_not_taken_for_gone(tmp_path: Path) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"error": "not yours"}, status=403)

    def make() -> web.Application:
        application = web.Application()
        application.router.add_get("/contracts", refuse)
        return application

    with LoopbackServer(make, tls=False) as server:
        settings = world(tmp_path, OVER_HTTP.format(url=server.url), contracts=CONTRACTS.format(status="active"))
        found = looked(settings, body(subject="C9"), endpoint="register")
    assert found.state == "waiting"
    assert said(found).startswith("register could not be read whole, so nothing is known of C9: contracts: ")
    assert "HTTP 403" in said(found)


def test_what_is_in_several_records_is_told_of_each(tmp_path: Path) -> None:
    settings = world(tmp_path, INBOUND, contracts="contract_id,status\nC1,active\nC2,ended\n")
    found = looked(settings, body(subject=["C1", "C2", "C1", None]))
    assert (found.state, said(found)) == ("done", "qms contracts C1: status active; qms contracts C2: status ended")


def test_records_that_come_together_are_read_with_one_pull(tmp_path: Path) -> None:
    asked: list[str] = []

    async def contracts(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"items": [{"id": f"C{n}", "state": "ended"} for n in range(20)]})

    def make() -> web.Application:
        application = web.Application()
        application.router.add_get("/contracts", contracts)
        return application

    with LoopbackServer(make, tls=False) as server:
        settings = world(tmp_path, OVER_HTTP.format(url=server.url), contracts=CONTRACTS.format(status="x"))
        run.pull(settings, FindingStore.open(settings.database_url), as_of=AT, progress=lambda _: None)
        before = len(asked)
        found = looked(settings, body(subject=[f"C{n}" for n in range(20)]), endpoint="register")
    assert (found.state, said(found).count("status ended")) == ("done", 20)
    assert len(asked) - before < 5


def test_a_table_that_its_source_no_longer_reports_is_not_read_whole(tmp_path: Path) -> None:
    settings = world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"), people=PEOPLE + "P1,,,,,,\n")
    run.pull(settings, FindingStore.open(settings.database_url), as_of=AT, progress=lambda _: None)
    (tmp_path / "qms" / "contracts.csv").unlink()
    found = looked(settings, body())
    assert found.state == "waiting"
    assert said(found).startswith("qms could not be read whole, so nothing is known of C1: contracts: no part of")


def test_a_table_that_lost_too_much_shows_nothing_gone(tmp_path: Path) -> None:
    many = CONTRACTS.format(status="active") + "".join(f"D{n},active,2026-02-15\n" for n in range(400))
    settings = world(tmp_path, INBOUND, contracts=many)
    run.pull(settings, FindingStore.open(settings.database_url), as_of=AT, progress=lambda _: None)
    world(tmp_path, INBOUND, contracts=CONTRACTS.format(status="active"))
    assert said(looked(settings, body())).startswith("qms contracts C1: status active")
    found = looked(settings, body(subject="D7"), delivery="d-2")
    assert found.state == "waiting"
    assert said(found) == (
        "qms could not be read whole, so nothing is known of D7: "
        "contracts: 401 rows in the newest snapshot and 1 now, which a person has to look at"
    )


def test_who_works_under_a_contract_is_not_known_where_people_were_not_read_whole(tmp_path: Path) -> None:
    async def contracts(_: web.Request) -> web.Response:
        return web.json_response({"items": [{"id": "C1", "state": "terminated"}]})

    async def people(_: web.Request) -> web.Response:
        return web.json_response({"error": "not yours"}, status=403)

    def make() -> web.Application:
        application = web.Application()
        application.router.add_get("/contracts", contracts)
        application.router.add_get("/people", people)
        return application

    with LoopbackServer(make, tls=False) as server:
        more = OVER_HTTP.format(url=server.url) + PEOPLE_OVER_HTTP + INBOUND
        settings = world(tmp_path, more, contracts=CONTRACTS.format(status="terminated"))
        told = "contracts C1: status terminated{}; not everybody under it is known: "
        mine, other = told.format(""), told.format(", ends_on 2026-02-15")
        found = looked(settings, body())
        assert (found.state, said(found)) == ("failed", f"qms {other}no snapshot of the other sources is sealed yet")
        run.pull(settings, FindingStore.open(settings.database_url), as_of=AT, progress=lambda _: None)
        found = looked(settings, body(), delivery="d-2")
        unread = "people of register were not read whole in the newest snapshot"
        assert (found.state, said(found)) == ("failed", f"qms {other}{unread}")
        found = looked(settings, body(), endpoint="register", delivery="d-3")
        assert found.state == "waiting"
        assert said(found).startswith(f"register {mine}people of register: ")


def test_a_source_that_keeps_nothing_to_ask_for_says_so(tmp_path: Path) -> None:
    (tmp_path / "qms").mkdir()
    (tmp_path / "qms" / "accounts.csv").write_text("account_id,login\nu1,ada\n")
    found = looked(world(tmp_path, INBOUND), body())
    assert found.state == "failed"
    assert said(found).startswith("qms keeps nothing that can be asked for one by one. Let [inbound.NAME] source name")


def test_an_account_of_another_estate_that_an_exception_covers_cannot_be_looked_at(tmp_path: Path) -> None:
    row = EXCEPTIONS.format(row="E1,elsewhere,u1,,active,2027-01-01T00:00:00Z")
    found = looked(world(tmp_path, INBOUND, exceptions=row), body("exception.changed", "E1"))
    assert found.state == "failed"
    assert said(found).endswith("; account u1 of elsewhere cannot be looked at")


PEOPLE_OVER_HTTP = """\
[sources.register.mapping.people]
path = "people"
rows = "items"
columns = { person_id = "id", contract_id = "contract" }
"""

"""A register and a directory, and a delivery that is looked at as the worker does."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from reconciler import clock
from reconciler.settings import Settings, load
from reconciler.web.api import prepare
from reconciler.web.api.deliveries import Deliveries, Delivery
from reconciler.web.api.endpoints import digest
from reconciler.web.api.work import work

AT = datetime(2026, 3, 1, 6, tzinfo=UTC)


ESTATE = """\
[estate]
name = "acme"
time_zone = "Europe/Amsterdam"
[store]
database = "sqlite:///reconciler.db"
[sources.qms]
connector = "files"
path = "qms"
"""


PEOPLE = "person_id,full_name,emails,logins,employee_id,contract_id,status\n"


DIRECTORY = """\
[sources.corp]
connector = "ldap"
url = "{url}"
bind_dn = "{reader}"
bind_password = "env:LDAP_PASSWORD"
base_dn = "{suffix}"
retry_seconds = 1
"""


INBOUND = """\
[inbound.qms]
kind = "standard"
secrets = ["env:HOOK"]
source = "qms"
"""


def world(folder: Path, more: str, **tables: str) -> Settings:
    """Write the configuration and the register's tables, and load it."""
    (folder / "qms").mkdir(exist_ok=True)
    for name, text in tables.items():
        (folder / "qms" / f"{name}.csv").write_text(text)
    (folder / "reconciler.toml").write_text(ESTATE + more)
    return load(folder / "reconciler.toml")


def none_of_ours(*_: object) -> str | None:
    return None


def looked(
    settings: Settings,
    content: bytes,
    read_ticket: Callable[[Settings, str, str], str | None] = none_of_ours,
    *,
    endpoint: str = "qms",
    delivery: str = "d-1",
) -> Delivery:
    """Keep a delivery and look at it once, as the worker does."""
    deliveries = Deliveries(settings.database_url)
    deliveries.keep(
        endpoint=endpoint, delivery_id=delivery, digest=digest(content), body=content, headers={}, at=clock.now()
    )
    begun = deliveries.take(clock.now())
    assert begun is not None
    return work(settings, prepare(settings), deliveries, begun, read_ticket)


def said(delivery: Delivery) -> str:
    assert delivery.outcome is not None
    return delivery.outcome.said


CONTRACTS = "contract_id,status,ends_on\nC1,{status},2026-02-15\n"


EXCEPTIONS = "exception_id,source,account_id,person_id,status,expires_at\n{row}\n"


OVER_HTTP = """\
[sources.register]
connector = "rest"
url = "{url}/"
[sources.register.mapping.contracts]
path = "contracts"
rows = "items"
columns = {{ contract_id = "id", status = "state" }}
[inbound.register]
kind = "standard"
secrets = ["env:HOOK"]
source = "register"
"""

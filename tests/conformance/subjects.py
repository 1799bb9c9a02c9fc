"""The connectors that the matrix runs over: each with its simulator, and the parts whose end nobody vouches for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tenacity import wait_none

import connectors.compliancequest
import connectors.entra
import connectors.okta.settings
from reconciler.connectors import load
from reconciler.sdk.connector import Source
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.settings import SourceSettings
from tests.conformance.matrix import Part, Subject
from tests.connectors.compliancequest import company
from tests.simulators.graph.sample import sample
from tests.simulators.graph.server import CLIENT_ID, READER, GraphSimulator
from tests.simulators.graph.server import SECRET as ENTRA_SECRET
from tests.simulators.http_injection import FaultKind
from tests.simulators.okta import shapes
from tests.simulators.okta.auth import ServiceApp
from tests.simulators.okta.server import TOKEN, OktaSimulator
from tests.simulators.okta.small import SECRET, small_org
from tests.simulators.rest_qms import TOKEN as QMS_TOKEN
from tests.simulators.rest_qms import Qms, person
from tests.simulators.salesforce.server import App, Salesforce


def _in(table: str, *parts: str) -> frozenset[Part]:
    return frozenset((table, part) for part in parts)


@contextmanager
def okta() -> Iterator[Subject]:
    """Okta by API token, three objects a page."""
    given = {"api_token": "env:CONFORMANCE_OKTA"}
    with _okta(OktaSimulator(small_org(), page_size=3, tls=False), TOKEN, given, [TOKEN]) as subject:
        yield subject


@contextmanager
def okta_by_key() -> Iterator[Subject]:
    """Okta's accounts by a service app with a private key, over TLS."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    client = "0oa1simreconciler000"
    org = small_org()
    super_admin = shapes.role(
        "ra11simreconciler000", "SUPER_ADMIN", f"/oauth2/v1/clients/{client}", assignment="CLIENT"
    )
    org.add(f"clients/{client}/roles", super_admin)
    apps = {client: ServiceApp({"key-1": public}, frozenset(connectors.okta.settings.SCOPES))}
    given = {
        "client_id": client,
        "private_key": "env:CONFORMANCE_OKTA",
        "key_id": "key-1",
        "tables": ["accounts"],
    }
    with _okta(OktaSimulator(org, clients=apps, page_size=5), pem, given, pem.split("\n")[1:-2]) as subject:
        yield subject


@contextmanager
def _okta(server: OktaSimulator, secret: str, given: dict[str, Any], secrets: list[str]) -> Iterator[Subject]:
    with server, patch.dict(os.environ, {"CONFORMANCE_OKTA": secret}):
        settings = connectors.okta.Settings(
            connector="okta",
            org_url=server.url,
            ca_file=str(server.ca_file) if server.ca_file else None,
            concurrency=1,
            parallel_calls=1,
            retry_seconds=600.0,
            **given,
        )

        def opened(seconds: float) -> tuple[Source, SourceSettings]:
            timed = settings.model_copy(update={"request_timeout_seconds": seconds})
            return connectors.okta.open_source("okta", timed, Path()), timed

        yield Subject(
            "okta",
            server.faults,
            opened,
            lambda: [*secrets, SECRET, *server.gate.issued],
        )


@contextmanager
def entra() -> Iterator[Subject]:
    """Entra by client secret, three objects a page."""
    with (
        GraphSimulator(sample(), roles=READER | {"Member.Read.Hidden"}, retry_after=0) as server,
        patch.dict(os.environ, {"CONFORMANCE_ENTRA": ENTRA_SECRET}),
    ):
        server.item_faults = server.faults  # the items of a batch are requests like others
        settings = connectors.entra.Settings(
            connector="entra",
            tenant_id=server.tenant.tenant_id,
            client_id=CLIENT_ID,
            client_secret=SecretRef("env:CONFORMANCE_ENTRA"),
            authority_url=server.authority,
            endpoint_url=server.url,
            ca_file=str(server.ca_file),
            page_size=3,
            concurrency=1,
            parallel_calls=1,
            retry_seconds=600.0,
        )

        def opened(seconds: float) -> tuple[Source, SourceSettings]:
            limits = {"read_timeout_seconds": seconds, "request_timeout_seconds": seconds}
            timed = settings.model_copy(update=limits)
            return connectors.entra.open_source("entra", timed, Path()), timed

        yield Subject(
            "entra",
            server.faults,
            opened,
            lambda: [ENTRA_SECRET],
            # Role definitions have no count that Graph would give.
            blind={FaultKind.EMPTY_END: _in("entitlements", "directory roles")},
            # An item of a batch that gets no answer is no reset, but an answer that breaks the contract.
            staying=frozenset({FaultKind.RESET_BEFORE}),
        )


@contextmanager
def compliancequest() -> Iterator[Subject]:
    """ComplianceQuest by client secret, three records a page."""
    org = company.org()
    people = company.people(org, 12)
    for number, member in enumerate(people):
        title = f"Procedure {number}"
        document = org.insert(company.DOCUMENT, compliancequest__Title__c=title, Approved__c="2026-01-02T00:00:00Z")
        org.insert(
            company.TRAINING,
            compliancequest__SQX_Personnel__c=member,
            compliancequest__SQX_Controlled_Document__c=document,
            compliancequest__Completion_Date__c="2026-02-03",
        )
    app = App("the-client", company.reader(org), secret=QMS_SECRET)
    with (
        Salesforce(org, tls=False, apps=[app], shrink=3) as server,
        patch.dict(os.environ, {"CONFORMANCE_CQ": QMS_SECRET}),
        patch("reconciler.sdk.http._BACKOFF", wait_none()),
    ):
        settings = connectors.compliancequest.Settings(
            connector="compliancequest",
            domain=server.url,
            client_id="the-client",
            client_secret=SecretRef("env:CONFORMANCE_CQ"),
            concurrency=1,
            max_attempts=1,
            retry_seconds=600.0,
        )

        def opened(seconds: float) -> tuple[Source, SourceSettings]:
            limits = {"read_timeout_seconds": seconds, "request_timeout_seconds": seconds}
            timed = settings.model_copy(update=limits)
            return connectors.compliancequest.open_source("compliancequest", timed, Path()), timed

        yield Subject("compliancequest", server.faults, opened, lambda: [QMS_SECRET])


@contextmanager
def rest() -> Iterator[Subject]:
    """A JSON interface with a link to the next page and a count of its rows, three a page."""
    connector = load("rest")
    people = {
        "path": "link/people",
        "rows": "items",
        "columns": {"person_id": "number", "full_name": "name.full", "emails": "mails", "ends_on": "leaving"},
    }
    with (
        Qms(people=[person(number) for number in range(1, 22)]) as server,
        patch.dict(os.environ, {"CONFORMANCE_REST": QMS_TOKEN}),
        patch("reconciler.sdk.http._BACKOFF", wait_none()),
    ):
        settings = connector.Settings.model_validate(
            {
                "connector": "rest",
                "url": server.url,
                "auth": {"type": "bearer", "token": "env:CONFORMANCE_REST"},
                "paging": {"style": "link", "total_header": "X-Total-Count", "limit_parameter": "limit", "limit": 3},
                "mapping": {"people": people},
                "concurrency": 1,
                "retry_seconds": 600.0,
            }
        )

        def opened(seconds: float) -> tuple[Source, SourceSettings]:
            timed = settings.model_copy(update={"read_seconds": seconds, "request_seconds": seconds})
            return connector.open_source("rest", timed, Path()), timed

        yield Subject("rest", server.faults, opened, lambda: [QMS_TOKEN])


QMS_SECRET = "planted-Secret/of+the=app"
SUBJECTS: dict[str, Callable[[], AbstractContextManager[Subject]]] = {
    "okta": okta,
    "okta by key": okta_by_key,
    "entra": entra,
    "compliancequest": compliancequest,
    "rest": rest,
}

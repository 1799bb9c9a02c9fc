"""What ``bench_connectors`` measures, each part in a process of its own: read one chain to its end and tell the cost.

Run as ``python -m tests.bench.connector_parts PART`` with a JSON object on standard input; prints a JSON object. The
CPU is this process's own from the first page on: imports, sign-in and the first connection are not in it.
"""

from __future__ import annotations

import asyncio
import http.client
import importlib
import json
import ssl
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import msgspec

Given = dict[str, Any]
Figures = dict[str, float]
_LINK = '>; rel="next"'


class _NoParents:
    def values(self, table: str, column: str) -> Iterator[str]:
        del table, column
        return iter(())


@asynccontextmanager
async def opened(given: Given) -> AsyncIterator[tuple[Any, Any]]:
    """Open the connector's source, checked, with its settings."""
    connector = importlib.import_module(f"connectors.{given['connector']}")
    settings = connector.Settings.model_validate({"connector": given["connector"], **given["settings"]})
    source = connector.open_source("bench", settings, Path())
    try:
        yield source, settings
    finally:
        await source.close()


async def ours(given: Given) -> Figures:
    """Read the connector's own pages: rows, as the product gets them."""
    async with opened(given) as (source, _settings):
        await source.check()
        wanted = given.get("partition")
        parts = [p for p in await source.partitions(given["table"], _NoParents()) if wanted in {None, p.name}]
        begun, rows = time.process_time(), 0
        for partition in parts:
            cursor = None
            while True:
                page = await source.page(given["table"], partition, cursor)
                rows += len(page.rows)
                cursor = page.next
                if cursor is None:
                    break
        return {"records": rows, "cpu": time.process_time() - begun}


async def snapshot(given: Given) -> Figures:
    """Pull whole tables through the product into a sealed snapshot."""
    from reconciler import clock
    from reconciler.collect import Limits, Pull, pull
    from reconciler.snapshot import SnapshotStore

    begun, started = time.process_time(), time.monotonic()
    async with opened(given) as (source, settings):
        with tempfile.TemporaryDirectory() as folder:
            sealed = await pull(
                [Pull(source, given["connector"], settings)],
                SnapshotStore(Path(folder)),
                estate="bench",
                as_of=clock.now(),
                limits=Limits(),
                accepted=[],
                report=lambda _progress: None,
            )
            rows = sum(sealed.rows("bench", table) for table in settings.tables)
            for table in settings.tables:
                if gaps := sealed.gaps("bench", table):
                    sys.stderr.write(f"{given['connector']} {table} was not read whole: {gaps}\n")
    return {"records": rows, "cpu": time.process_time() - begun, "seconds": time.monotonic() - started}


def _next(body: Any, headers: http.client.HTTPMessage) -> str | None:
    if isinstance(body, dict):
        return body.get("@odata.nextLink")
    links = [part for line in headers.get_all("Link", []) for part in line.split(",") if _LINK in part]
    return links[0].strip().removesuffix(_LINK).lstrip("<") if links else None


async def floor(given: Given) -> Figures:
    """Fetch the same pages with the standard library's HTTP client and decode them with msgspec: nothing else."""
    begun, rows, link = 0.0, 0, given["url"]
    parts = urlsplit(link)
    trust = ssl.create_default_context(cafile=given["ca_file"])
    connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, context=trust)
    connection.connect()
    begun = time.process_time()
    while link is not None:
        where = urlsplit(link)
        connection.request("GET", f"{where.path}?{where.query}".replace(" ", "%20"), headers=given["headers"])
        answer = connection.getresponse()
        raw = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise SystemExit(f"{answer.status}: {raw[:300]!r}")
        body = msgspec.json.decode(raw)
        rows += len(body["value"] if isinstance(body, dict) else body)
        link = _next(body, answer.headers)
    connection.close()
    return {"records": rows, "cpu": time.process_time() - begun}


async def httpx_floor(given: Given) -> Figures:
    """Fetch the same pages with httpx, which the SDK of Graph stands on, and decode them with msgspec."""
    import httpx

    link, rows = given["url"], 0
    trust = ssl.create_default_context(cafile=given["ca_file"])
    async with httpx.AsyncClient(verify=trust, headers=given["headers"], trust_env=False, timeout=100) as client:
        await client.get(link.partition("?")[0] + "?" + urlencode({given["size"]: 1}))
        begun = time.process_time()
        while link is not None:
            answer = await client.get(link)
            answer.raise_for_status()
            body = msgspec.json.decode(answer.content)
            rows += len(body["value"] if isinstance(body, dict) else body)
            link = body.get("@odata.nextLink") if isinstance(body, dict) else answer.links.get("next", {}).get("url")
        return {"records": rows, "cpu": time.process_time() - begun}


async def entra_models(given: Given) -> Figures:
    """Read the users through the SDK's own typed models."""
    import httpx
    from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator
    from kiota_abstractions.authentication import BaseBearerTokenAuthenticationProvider as Bearer
    from msgraph.graph_request_adapter import GraphRequestAdapter
    from msgraph.graph_service_client import GraphServiceClient
    from msgraph_core import GraphClientFactory  # type: ignore[import-untyped] # ships no py.typed

    class Held(AccessTokenProvider):
        async def get_authorization_token(self, uri: str, additional_authentication_context: Any = None) -> str:
            del uri, additional_authentication_context
            return str(given["headers"]["Authorization"]).removeprefix("Bearer ")

        def get_allowed_hosts_validator(self) -> AllowedHostsValidator:
            return AllowedHostsValidator([])

    trust = ssl.create_default_context(cafile=given["ca_file"])
    async with (
        httpx.AsyncHTTPTransport(verify=trust) as inner,
        httpx.AsyncClient(transport=inner, timeout=100) as plain,
    ):
        adapter = GraphRequestAdapter(Bearer(Held()), GraphClientFactory.create_with_default_middleware(client=plain))
        client = GraphServiceClient(request_adapter=adapter)
        link, rows = given["url"], 0
        await client.users.with_url(link.partition("?")[0] + "?$top=1&$select=id").get()
        begun = time.process_time()
        while link:
            page = await client.users.with_url(link).get()
            if page is None or page.value is None:
                raise SystemExit("the models gave nothing")
            rows += len(page.value)
            link = page.odata_next_link
        return {"records": rows, "cpu": time.process_time() - begun}


async def okta_models(given: Given) -> Figures:
    """Read the users through the SDK's own models, over its own client."""
    import aiohttp
    from okta.client import Client

    trust = ssl.create_default_context(cafile=given["ca_file"])
    parts = urlsplit(given["url"])
    # SSWS from these methods lacks the blank after the scheme (okta 3.4.6), so the token brings it along.
    token = str(given["headers"]["Authorization"]).removeprefix("SSWS")
    client: Any = Client({"orgUrl": f"{parts.scheme}://{parts.netloc}", "token": token, "requestTimeout": 100})
    rows = 0
    after: str | None = None
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        client._request_executor.set_session(session)
        await client.list_users(limit=1)
        begun = time.process_time()
        while True:
            more: dict[str, str] = {} if after is None else {"after": after}
            users, answer, error = await client.list_users(search=given["search"], limit=200, **more)
            if error is not None or users is None:
                raise SystemExit(f"the models gave nothing: {error}")
            rows += len(users)
            link = {name.lower(): value for name, value in answer.headers.items()}.get("link", "")
            if _LINK not in link:
                return {"records": rows, "cpu": time.process_time() - begun}
            after = parse_qs(urlsplit(link.partition("<")[2].partition(">")[0]).query)["after"][0]


def _iam(given: Given) -> Any:
    import boto3

    return boto3.client(
        "iam",
        endpoint_url=given["url"],
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


async def aws_sdk(given: Given) -> Figures:
    """Page through the account's users with boto3 alone."""
    pages = _iam(given).get_paginator("get_account_authorization_details")
    begun, rows = 0.0, 0
    for page in pages.paginate(Filter=["User"], PaginationConfig={"PageSize": given["page_size"]}):
        if begun:
            rows += len(page["UserDetailList"])
        else:
            begun = time.process_time()  # the first page loads the service's model, which is not reading
    return {"records": rows, "cpu": time.process_time() - begun}


async def aws_calls(given: Given) -> Figures:
    """Ask boto3 alone, user by user, what the connector asks for each account."""
    client = _iam(given)
    names = [user["UserName"] for page in client.get_paginator("list_users").paginate() for user in page["Users"]]
    asks = (client.list_user_tags, client.list_access_keys, client.list_mfa_devices, client.list_ssh_public_keys,
            client.list_service_specific_credentials, client.list_signing_certificates)  # fmt: skip
    begun = time.process_time()
    for name in names:
        for ask in asks:
            ask(UserName=name)
        with suppress(client.exceptions.NoSuchEntityException):
            client.get_login_profile(UserName=name)
    return {"records": len(names), "cpu": time.process_time() - begun}


async def aws_floor(given: Given) -> Figures:
    """Fetch the same XML with the standard library's HTTP client and parse it into a tree: nothing else."""
    parts = urlsplit(given["url"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.connect()
    form = {"Action": "GetAccountAuthorizationDetails", "Version": "2010-05-08", "Filter.member.1": "User",
            "MaxItems": str(given["page_size"])}  # fmt: skip
    begun, rows, marker = time.process_time(), 0, ""
    while True:
        more = {"Marker": marker} if marker else {}
        connection.request("POST", "/", urlencode(form | more), {"Content-Type": "application/x-www-form-urlencoded"})
        tree = ET.fromstring(connection.getresponse().read())  # noqa: S314 - our own fake wrote it
        rows += sum(1 for _ in tree.iterfind(".//{*}UserDetailList/{*}member"))
        marker = tree.findtext(".//{*}Marker") or ""
        if not marker:
            connection.close()
            return {"records": rows, "cpu": time.process_time() - begun}


def ldap_search() -> dict[str, Any]:
    """Return what the LDAP connector asks OpenLDAP for: filter and attributes of accounts."""
    ldap = importlib.import_module("connectors.ldap")
    connector = importlib.import_module("connectors.ldap.connector")
    profiles = importlib.import_module("connectors.ldap.profiles")
    settings = ldap.Settings.model_validate({"connector": "ldap", "url": "ldap://127.0.0.1", "base_dn": "dc=acme"})
    mapper = connector.Mapper("bench", profiles.OPENLDAP, settings)
    return {"filter": profiles.OPENLDAP.accounts, "attributes": list(mapper.account_attributes())}


async def ldap_entries(given: Given) -> Figures:
    """Read entries with the connector's client, its decoder included, and make no rows of them."""
    client_module = importlib.import_module("connectors.ldap.client")
    settings = importlib.import_module("connectors.ldap").Settings.model_validate(
        {"connector": "ldap", **given["settings"]}
    )
    client = client_module.Client(settings, None)
    search = client_module.Search(given["base"], given["filter"], tuple(given["attributes"]), settings.page_size)
    client.page(client_module.Search(given["base"], given["filter"], tuple(given["attributes"]), 1), None)
    client.close()
    client = client_module.Client(settings, None)
    begun, rows, cookie = time.process_time(), 0, None
    while True:
        answer = client.page(search, cookie)
        rows += len(answer.entries)
        cookie = answer.cookie
        if cookie is None:
            client.close()
            return {"records": rows, "cpu": time.process_time() - begun}


async def ldap3_stock(given: Given) -> Figures:
    """Read the same entries with ldap3 as it comes."""
    import ldap3

    url = urlsplit(given["settings"]["url"])
    server = ldap3.Server(url.hostname or "", port=url.port or 389, get_info="NO_INFO")
    connection: Any = ldap3.Connection(server, given["settings"]["bind_dn"], given["password"], auto_bind=True)
    begun, rows = time.process_time(), 0
    for _ in connection.extend.standard.paged_search(
        given["base"], given["filter"], attributes=given["attributes"], paged_size=500, generator=True
    ):
        rows += 1
    connection.unbind()
    return {"records": rows, "cpu": time.process_time() - begun}


PARTS: dict[str, Callable[[Given], Awaitable[Figures]]] = {
    "ours": ours,
    "snapshot": snapshot,
    "floor": floor,
    "httpx": httpx_floor,
    "entra_models": entra_models,
    "okta_models": okta_models,
    "aws_sdk": aws_sdk,
    "aws_floor": aws_floor,
    "aws_calls": aws_calls,
    "ldap_entries": ldap_entries,
    "ldap3_stock": ldap3_stock,
}


def main() -> int:
    """Run the part that the command line names."""
    figures = asyncio.run(_run(PARTS[sys.argv[1]], json.loads(sys.stdin.read())))
    figures["mib"] = _peak_mib()
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def _peak_mib() -> float:
    """Return the most memory this process held; getrusage would count what its parent held when it started us."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


async def _run(part: Callable[[Given], Awaitable[Figures]], given: Given) -> Figures:
    return await part(given)


if __name__ == "__main__":
    sys.exit(main())

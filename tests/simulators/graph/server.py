"""Microsoft Graph v1.0 and the Entra token endpoint on one loopback port, as their public documents describe them.

with GraphSimulator(Tenant(...), roles=READER) as graph:
    graph.url, graph.authority, graph.ca_file     # https://localhost:PORT, twice, and the CA to trust
    graph.requests                                 # what was asked
    graph.faults.add(FaultKind.THROTTLED, path="/users", at=3)
    graph.item_faults.add(FaultKind.THROTTLED, path="/authentication/methods")   # items of a $batch
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from aiohttp import web
from cryptography import x509

from tests.simulators.graph.answers import Answer, Call, GraphError, bad
from tests.simulators.graph.batch import Shape, answer_batch
from tests.simulators.graph.entra_tokens import Client, TokenService
from tests.simulators.graph.listing import Lag, write
from tests.simulators.graph.service import Service
from tests.simulators.graph.tenant import Directory, Tenant
from tests.simulators.graph.throttle import Throttle
from tests.simulators.http_injection import Injector, shaped
from tests.simulators.http_server import LoopbackServer

CLIENT_ID = "11111111-2222-4333-8444-555555555555"
SECRET = "planted~client~secret.for.the.simulator"
READER = frozenset(
    {
        "User.Read.All",
        "GroupMember.Read.All",
        "Application.Read.All",
        "Directory.Read.All",
        "RoleManagement.Read.Directory",
        "RoleAssignmentSchedule.Read.Directory",
        "RoleEligibilitySchedule.Read.Directory",
        "PrivilegedAssignmentSchedule.Read.AzureADGroup",
        "PrivilegedEligibilitySchedule.Read.AzureADGroup",
        "UserAuthenticationMethod.Read.All",
        "AuditLog.Read.All",
    }
)
"""Application permissions that open everything this simulator has."""
LONGEST_URL = 4096
_JSON = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_ERRORS = {
    401: ("InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
    403: ("Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
    429: ("TooManyRequests", "Too many requests."),
    500: ("InternalServerError", "An internal server error occurred."),
    502: ("BadGateway", "Failed to execute backend request."),
    503: ("ServiceUnavailable", "Service is temporarily unavailable. Please wait and try again."),
    504: ("GatewayTimeout", "The gateway did not answer in time."),
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request that arrived, with its place in the order."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@dataclass
class GraphSimulator:
    """One tenant behind one port. ``clients`` may sign in; by default one app with a secret and ``roles``."""

    tenant: Directory = field(default_factory=Tenant)
    roles: Iterable[str] = READER
    clients: list[Client] = field(default_factory=list)
    certificate: x509.Certificate | None = None
    """Certificate that the default app may sign its assertions with."""
    tls: bool = True
    port: int = 0
    throttle: Throttle = field(default_factory=Throttle)
    token_seconds: int = 3599
    retry_after: int = 1
    """Seconds that injected 429 and 503 answers announce."""
    compress: bool = False
    """Send gzip to those that accept it, as Graph does."""
    service_principal_members: bool = False
    """Whether v1.0 lists service principals among a group's members; its known issue is that it does not."""
    faults: Injector = field(default_factory=Injector)
    item_faults: Injector = field(default_factory=Injector)
    """Faults of the items of batches, matched by an item's URL."""
    lag: Lag = field(default_factory=Lag)
    requests: list[Recorded] = field(default_factory=list)

    def __post_init__(self) -> None:
        clients = self.clients or [Client(CLIENT_ID, frozenset(self.roles), SECRET, self.certificate)]
        self.tokens = TokenService(
            self.tenant.tenant_id, {each.client_id: each for each in clients}, lifetime=self.token_seconds
        )
        self.throttle.app_id, self.throttle.tenant_id = clients[0].client_id, self.tenant.tenant_id
        self.service = Service(self.tenant, service_principal_members=self.service_principal_members, lag=self.lag)
        self._server = LoopbackServer(self._application, tls=self.tls, port=self.port)

    @property
    def url(self) -> str:
        """Origin of Graph; the API begins with /v1.0."""
        return self._server.url

    @property
    def authority(self) -> str:
        """Origin of the token endpoint, below which the tenant's id stands."""
        return self._server.url

    @property
    def ca_file(self) -> Path | None:
        """What to trust; None without TLS."""
        return self._server.ca_file

    def token(self, client_id: str | None = None) -> str:
        """Issue a token as if the app had signed in."""
        clients = self.tokens.clients
        return self.tokens.issue(clients[client_id] if client_id else next(iter(clients.values())))

    def start(self) -> None:
        """Begin to listen."""
        self._server.start()
        self.tokens.origin = self.service.origin = self.url

    def stop(self) -> None:
        """Drop every connection and stop listening."""
        self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _application(self) -> web.Application:
        inject = self.faults.middleware(self._refusal)
        application = web.Application(middlewares=[inject])
        application.router.add_route("*", "/{path:.*}", self._serve)
        return application

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        query = dict(request.query)
        self.requests.append(Recorded(request.method, request.path, query, headers, body))
        version, _, path = request.path.lstrip("/").partition("/")
        if version not in {"v1.0", "beta"}:
            return self._respond(request, self._authority(request, body))
        try:
            roles = self._signed_in(headers)
            if len(str(request.rel_url)) > LONGEST_URL:
                bad("The request URI is too long.", "BadRequest")
            call = Call(request.method, path, query, headers, roles, version, body)
            if path == "$batch" and request.method == "POST":
                root = f"{self.url}/{version}"
                answer = answer_batch(call, self._item, self.item_faults, self._refused, root=root)
                return self._respond(request, answer)
            told = self.throttle.admit(call)
            result = self.service.answer(call)
        except GraphError as error:
            return self._respond(request, error.answer)
        if isinstance(result, Answer):
            return self._respond(request, result, told)
        answer, listing = result
        content = write(answer.content, shaped(self.faults, request, listing))
        return self._respond(request, Answer(answer.status, content, answer.headers), told)

    def _signed_in(self, headers: Mapping[str, str]) -> frozenset[str]:
        """Return the permissions of the caller, or raise the 401."""
        client = self.tokens.client_of(headers.get("authorization", ""))
        if isinstance(client, dict):
            where = f'Bearer realm="", authorization_uri="{self.authority}/common/oauth2/authorize"'
            raise GraphError(401, client["code"], client["message"], {"WWW-Authenticate": where})
        return client.roles

    def _item(self, call: Call, shape: Shape) -> Answer:
        told = self.throttle.admit(call)
        result = self.service.answer(call)
        if isinstance(result, Answer):
            return Answer(result.status, result.content, {**told, **result.headers})
        return Answer(result[0].status, write(result[0].content, shape(result[1])), {**told, **result[0].headers})

    def _authority(self, request: web.Request, body: bytes) -> Answer:
        tenant, _, rest = request.path.lstrip("/").partition("/")
        if request.path == "/common/discovery/instance":
            return self.tokens.instance(request.query.get("authorization_endpoint", ""))
        if rest in {"v2.0/.well-known/openid-configuration", ".well-known/openid-configuration"}:
            return self.tokens.configuration(tenant)
        if rest == "oauth2/v2.0/token" and request.method == "POST":
            return self.tokens.token(tenant, body)
        return Answer(404, {"error": {"code": "NotFound", "message": "Nothing is here."}})

    def _respond(self, request: web.Request, answer: Answer, told: Mapping[str, str] | None = None) -> web.Response:
        asked = str(uuid.uuid4())
        headers = {
            "Content-Type": _JSON,
            "request-id": asked,
            "client-request-id": request.headers.get("client-request-id", asked),
            "OData-Version": "4.0",
            "Cache-Control": "no-cache",
            **(told or {}),
            **answer.headers,
        }
        response = web.Response(status=answer.status, body=answer.body, headers=headers)
        if self.compress:
            response.enable_compression()
        return response

    def _refused(self, status: int, announced: bool) -> Answer:
        code, message = _ERRORS[status]
        waits = {"Retry-After": str(self.retry_after)} if announced and status in {429, 503} else {}
        return GraphError(status, code, message, waits).answer

    def _refusal(self, status: int, *, announced: bool) -> web.Response:
        answer = self._refused(status, announced)
        return web.Response(status=status, body=answer.body, headers={"Content-Type": _JSON, **answer.headers})

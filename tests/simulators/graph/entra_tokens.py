"""The Entra token endpoint: client credentials by secret or by a signed assertion that is really verified."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from reconciler import clock
from tests.simulators.graph.answers import Answer, Json

GRAPH_APP_ID = "00000003-0000-0000-c000-000000000000"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Client:
    """An app registration that may sign in, and the application permissions it was granted."""

    client_id: str
    roles: frozenset[str]
    secret: str | None = None
    certificate: x509.Certificate | None = None
    enabled: bool = True


@dataclass
class TokenService:
    """Issues tokens and knows which it issued; times are seconds."""

    tenant_id: str
    clients: dict[str, Client]
    origin: str = ""
    lifetime: int = 3599
    issued: dict[str, tuple[Client, float]] = field(default_factory=dict)
    skew: float = 0.0
    """Seconds by which the service's clock is ahead: set it past ``lifetime`` to let every token expire."""
    used_assertions: set[str] = field(default_factory=set)
    _key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def configuration(self, tenant: str) -> Answer:
        """Answer /{tenant}/v2.0/.well-known/openid-configuration."""
        if not self._is_mine(tenant):
            return self._refused(
                "invalid_tenant", 90002, f"Tenant '{tenant}' not found. Check to make sure you have the correct ID."
            )
        base = f"{self.origin}/{tenant}"
        content = {
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{base}/discovery/v2.0/keys",
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "issuer": f"{self.origin}/{self.tenant_id}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
            "tenant_region_scope": "EU",
            "cloud_instance_name": "microsoftonline.com",
            "msgraph_host": "graph.microsoft.com",
        }
        return Answer(200, content)

    def instance(self, asked: str) -> Answer:
        """Answer /common/discovery/instance, which tells whether an authority is known."""
        if not asked.startswith(f"{self.origin}/"):
            return Answer(400, {"error": "invalid_instance", "error_description": "AADSTS50049: Unknown or invalid."})
        tenant = asked.removeprefix(f"{self.origin}/").partition("/")[0]
        discovery = f"{self.origin}/{tenant}/v2.0/.well-known/openid-configuration"
        return Answer(200, {"tenant_discovery_endpoint": discovery, "api-version": "1.1", "metadata": []})

    def token(self, tenant: str, body: bytes) -> Answer:  # noqa: PLR0911 - one return for each refusal
        """Answer POST /{tenant}/oauth2/v2.0/token."""
        form = dict(parse_qsl(body.decode("latin-1")))
        if not self._is_mine(tenant):
            return self._refused("invalid_request", 90002, f"Tenant '{tenant}' not found.", 400)
        if form.get("grant_type") != "client_credentials":
            return self._refused("unsupported_grant_type", 70003, "The app requested an unsupported grant type.", 400)
        client = self.clients.get(form.get("client_id", ""))
        if client is None:
            return self._refused(
                "unauthorized_client",
                700016,
                f"Application with identifier '{form.get('client_id')}' was not found.",
                400,
            )
        if not form.get("scope", "").endswith("/.default"):
            return self._refused("invalid_scope", 1002012, "The provided value for scope is not valid.", 400)
        if not client.enabled:
            return self._refused("unauthorized_client", 7000112, "Application is disabled.", 400)
        refusal = self._proof(client, form, tenant)
        if refusal is not None:
            return refusal
        token = self.issue(client)
        expires = {"expires_in": self.lifetime, "ext_expires_in": self.lifetime}
        return Answer(200, {"token_type": "Bearer", **expires, "access_token": token}, {"Cache-Control": "no-store"})

    def client_of(self, authorization: str) -> Client | Json:
        """Return whose token it is, or the error body of the 401."""
        scheme, _, token = authorization.partition(" ")
        if not authorization or scheme.lower() != "bearer" or not token:
            return {"code": "InvalidAuthenticationToken", "message": "Access token is empty."}
        held = self.issued.get(token)
        if held is None:
            message = (
                "IDX14100: JWT is not well formed, there are no dots (.)."
                if "." not in token
                else ("Access token validation failure. Invalid audience.")
            )
            return {"code": "InvalidAuthenticationToken", "message": message}
        if clock.monotonic() + self.skew >= held[1]:
            return {
                "code": "InvalidAuthenticationToken",
                "message": "Lifetime validation failed, the token is expired.",
            }
        return held[0]

    def revoke_all(self) -> None:
        """Forget every token that was issued."""
        self.issued.clear()

    def _proof(self, client: Client, form: Mapping[str, str], tenant: str) -> Answer | None:
        """Return why the client did not prove who it is; None where it did."""
        if "client_assertion" in form:
            return self._assertion(client, form, tenant)
        if "client_secret" not in form:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            return self._refused("invalid_client", 7000216, message)
        if client.secret is None or form["client_secret"] != client.secret:
            return self._refused("invalid_client", 7000215, "Invalid client secret provided.")
        return None

    def _assertion(self, client: Client, form: Mapping[str, str], tenant: str) -> Answer | None:
        if form.get("client_assertion_type") != ASSERTION or client.certificate is None:
            return self._refused("invalid_client", 700027, "Client assertion failed signature validation.")
        audiences = [
            f"{self.origin}/{name}/{end}" for name in {tenant, self.tenant_id} for end in ("oauth2/v2.0/token", "v2.0")
        ]
        try:
            header = jwt.get_unverified_header(form["client_assertion"])
            thumbprints = {
                name: base64.urlsafe_b64encode(client.certificate.fingerprint(digest)).decode().rstrip("=")
                for name, digest in (("x5t", hashes.SHA1()), ("x5t#S256", hashes.SHA256()))  # noqa: S303 - Entra's own header
            }
            if not any(str(header.get(name, "")).rstrip("=") == value for name, value in thumbprints.items()):
                return self._refused("invalid_client", 700027, "The key was not found by its thumbprint.")
            claims = jwt.decode(
                form["client_assertion"],
                client.certificate.public_key(),  # type: ignore[arg-type] # any key a certificate can hold
                algorithms=["RS256", "PS256"],
                audience=audiences,
                options={"require": ["exp", "aud", "iss", "sub", "jti"]},
            )
        except jwt.PyJWTError as error:
            return self._refused("invalid_client", 700027, f"Client assertion failed: {type(error).__name__}.")
        if claims["iss"] != client.client_id or claims["sub"] != client.client_id:
            return self._refused("invalid_client", 700025, "Issuer and subject must be the client.")
        return None

    def issue(self, client: Client) -> str:
        """Return a new access token of the client's."""
        start = int(clock.now().timestamp())
        claims = {
            "aud": "https://graph.microsoft.com",
            "iss": f"https://sts.windows.net/{self.tenant_id}/",
            "iat": start,
            "nbf": start,
            "exp": start + self.lifetime,
            "appid": client.client_id,
            "idtyp": "app",
            "oid": str(uuid.uuid5(uuid.NAMESPACE_OID, client.client_id)),
            "roles": sorted(client.roles),
            "tid": self.tenant_id,
            "uti": str(uuid.uuid4()),
            "ver": "1.0",
        }
        if not client.roles:
            del claims["roles"]  # an app without permissions has no such claim
        token = jwt.encode(claims, self._key, algorithm="ES256")
        self.issued[token] = (client, clock.monotonic() + self.skew + self.lifetime)
        return token

    def _is_mine(self, tenant: str) -> bool:
        return tenant.lower() == self.tenant_id

    def _refused(self, error: str, number: int, words: str, status: int = 401) -> Answer:
        trace = str(uuid.uuid4())
        content = {
            "error": error,
            "error_description": f"AADSTS{number}: {words} Trace ID: {trace}",
            "error_codes": [number],
            "timestamp": f"{clock.now():%Y-%m-%d %H:%M:%SZ}",
            "trace_id": trace,
            "correlation_id": trace,
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        }
        return Answer(status, json.loads(json.dumps(content)))

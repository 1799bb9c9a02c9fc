"""How the service knows who asks: what the configuration may say, and the header that follows from it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from reconciler.sdk.http import Authorize, basic, bearer, check_url
from reconciler.sdk.oauth import TokenSource, client_credentials, jwt_assertion
from reconciler.sdk.secrets import SecretRef, conceal, reveal

from .session import Session, SessionKeeper


def _token_url(url: str) -> str:
    check_url(url.partition("?")[0], secret=True)
    return url


TokenUrl = Annotated[str, Field(min_length=1, description="URL that gives tokens."), AfterValidator(_token_url)]


class _Auth(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Nobody(_Auth):
    """The service asks for no credentials."""

    type: Literal["none"] = "none"


class Bearer(_Auth):
    """A token in ``Authorization``."""

    type: Literal["bearer"]
    token: Annotated[SecretRef, Field(description="env:NAME or file:/path of the token.")]
    scheme: Annotated[str, Field(pattern=r"^[A-Za-z][\w-]*$", description="Word before the token.")] = "Bearer"


class Basic(_Auth):
    """User and password in ``Authorization``."""

    type: Literal["basic"]
    user: Annotated[str | None, Field(min_length=1, description="User.")] = None
    user_secret: Annotated[
        SecretRef | None, Field(description="env:NAME or file:/path of the user, where an API key stands there.")
    ] = None
    password: Annotated[
        SecretRef | None, Field(description="env:NAME or file:/path of the password; with user_secret none is needed.")
    ] = None

    @model_validator(mode="after")
    def _whole(self) -> Basic:
        if (self.user is None) == (self.user_secret is None):
            message = "user: set it, or user_secret, one of both"
            raise ValueError(message)
        if self.user is not None and self.password is None:
            message = "password: set it to env:NAME or file:/path"
            raise ValueError(message)
        return self


class Header(_Auth):
    """A key in a header of its own."""

    type: Literal["header"]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$", description="Header, such as X-API-Key.")]
    token: Annotated[SecretRef, Field(description="env:NAME or file:/path of the key.")]


class ClientCredentials(_Auth):
    """OAuth 2.0 client credentials."""

    type: Literal["client_credentials"]
    token_url: TokenUrl
    client_id: Annotated[str, Field(min_length=1, description="Client id.")]
    secret: Annotated[SecretRef, Field(description="env:NAME or file:/path of the client's secret.")]
    style: Annotated[Literal["basic", "post"], Field(description="Send the secret in a header or in the form.")] = (
        "basic"
    )
    scope: Annotated[str, Field(description="Scopes, separated by blanks.")] = ""
    audience: Annotated[str, Field(description="Audience, where the service asks for one.")] = ""


class JwtBearer(_Auth):
    """OAuth 2.0 with an assertion signed by an RSA key."""

    type: Literal["jwt_bearer"]
    token_url: TokenUrl
    client_id: Annotated[str, Field(min_length=1, description="Client id: the issuer.")]
    private_key: Annotated[SecretRef, Field(description="env:NAME or file:/path of the RSA key in PEM.")]
    subject: Annotated[str, Field(min_length=1, description="User to act as.")]
    audience: Annotated[str, Field(min_length=1, description="Audience of the assertion.")]
    key_id: Annotated[str, Field(description="kid of the assertion.")] = ""
    scope: Annotated[str, Field(description="Scopes, separated by blanks.")] = ""


Auth = Annotated[
    Nobody | Bearer | Basic | Header | ClientCredentials | JwtBearer | Session, Field(discriminator="type")
]


def authorize_of(
    auth: Auth, url: str, ca_file: Path | None, judge: Callable[[Any, str], None] | None = None
) -> tuple[Authorize | None, str, TokenSource | SessionKeeper | None]:
    """Return what gives the header, the header's name, and what keeps a token or session and is to be closed, if any.

    ``url`` is the service's, below which a session is opened; ``judge`` raises for what the answer to that says.
    """
    keeper: TokenSource | SessionKeeper | None = None
    authorize: Authorize | None = None
    match auth:
        case Bearer():
            authorize = bearer(auth.token, auth.scheme)
        case Basic(user=str(user), password=SecretRef() as password):
            authorize = basic(user, password)
        case Basic(user_secret=SecretRef() as user_secret):
            authorize = _key_as_user(user_secret, auth.password)
        case Header():
            authorize = _plain(auth.token)
        case ClientCredentials():
            keeper = client_credentials(
                auth.token_url, ca_file=ca_file, **auth.model_dump(exclude={"type", "token_url"})
            )
        case JwtBearer():
            keeper = jwt_assertion(auth.token_url, ca_file=ca_file, **auth.model_dump(exclude={"type", "token_url"}))
        case Session():
            keeper = SessionKeeper(auth, url, ca_file, judge)
    return keeper or authorize, auth.name if isinstance(auth, Header) else "Authorization", keeper


def _plain(reference: SecretRef) -> Authorize:
    async def authorize() -> str:
        return reveal(reference)

    return authorize


def _key_as_user(key: SecretRef, password: SecretRef | None) -> Authorize:
    async def authorize() -> str:
        word = reveal(password) if password is not None else "x"
        return f"Basic {conceal(b64encode(f'{reveal(key)}:{word}'.encode()).decode())}"

    return authorize

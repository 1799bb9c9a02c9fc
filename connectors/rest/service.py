"""Which service is asked, and as whom: what a source and a ticket system say alike."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, Field, field_validator, model_validator

from reconciler.sdk.http import check_url

from .credentials import Auth, Nobody

Plain = str | int | bool

_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


def no_secret(headers: dict[str, str]) -> dict[str, str]:
    """Return headers as they are; raise ``ValueError`` for one that holds credentials."""
    for name in headers:
        if name.lower() in _SECRET_HEADERS:
            message = f"{name} holds credentials: use auth"
            raise ValueError(message)
    return headers


class Service(BaseModel):
    """The service, the profile that its settings start from, and who asks."""

    url: Annotated[str, Field(min_length=1, description="URL below which every path lies: https, or http on loopback.")]
    profile: Annotated[
        str | None, Field(description="Profile that the settings start from; anything may be overridden.")
    ] = None
    auth: Annotated[Auth, Field(description="Who asks.")] = Nobody()
    headers: Annotated[dict[str, str], Field(description="Headers of every request, none of them secret.")] = Field(
        default_factory=dict
    )
    ca_file: Annotated[
        str | None, Field(description="PEM file of the authorities to trust; relative to the configuration.")
    ] = None

    _no_secret = field_validator("headers")(no_secret)

    @model_validator(mode="after")
    def _asks_where_it_may(self) -> Self:
        try:
            check_url(self.url, secret=not isinstance(self.auth, Nobody))
        except ValueError as error:
            message = f"url: {error}"
            raise ValueError(message) from None
        return self

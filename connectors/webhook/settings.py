"""What ``[filing.systems.NAME]`` may say where ``connector = "webhook"``."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from reconciler.sdk import tickets
from reconciler.sdk.http import check_url
from reconciler.sdk.secrets import SecretRef

_EVENT_TYPE = r"^[a-z0-9]+(?:[.-][a-z0-9]+)*$"
_OURS = frozenset({"content-type", "webhook-id", "webhook-timestamp", "webhook-signature", "authorization", "cookie"})


class TicketSettings(tickets.TicketSettings):
    """Who is told, and what the telling is signed with."""

    url: Annotated[str, Field(min_length=1, description="URL that takes events: https, or http on loopback.")]
    secret: Annotated[SecretRef, Field(description="env:NAME or file:/path of the signing secret, whsec_...")]
    old_secret: Annotated[
        SecretRef | None, Field(description="The secret before it, signed with too while the receiver changes over.")
    ] = None
    type_prefix: Annotated[
        str,
        Field(pattern=_EVENT_TYPE, description="How the type of each event begins; .filed or .changed ends it."),
    ] = "io.reconciler.nonconformity"
    source: Annotated[
        str | None,
        Field(min_length=1, description="source of each event (a URI reference); left out: /reconciler/NAME."),
    ] = None
    headers: Annotated[dict[str, str], Field(description="Further headers, none of them secret.")] = Field(
        default_factory=dict
    )
    ca_file: Annotated[
        str | None, Field(description="PEM file of the authorities to trust; relative to the configuration.")
    ] = None
    request_seconds: Annotated[float, Field(gt=0, le=600, description="Seconds that one delivery may take.")] = 30.0

    @field_validator("headers")
    @classmethod
    def _no_secret(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if name.lower() in _OURS:
                message = f"{name} is not set here: the connector sets it, and the signature proves who sends"
                raise ValueError(message)
            if re.fullmatch(r"[\w-]+", name) is None or not value.isascii() or not value.isprintable():
                message = f"{name!r} cannot be sent as a header"
                raise ValueError(message)
        return headers

    @model_validator(mode="after")
    def _asks_where_it_may(self) -> Self:
        try:
            check_url(self.url, secret=True)
        except ValueError as error:
            message = f"url: {error}"
            raise ValueError(message) from None
        return self

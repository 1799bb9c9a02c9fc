"""``[notices]``: who is told of what is due, late or unowned, and how."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.sdk.secrets import SecretRef
from reconciler.sections.section import Section

Days = Annotated[int, Field(ge=0, le=3650)]


class Smtp(Section):
    """``[notices.smtp]``: the mail server."""

    host: Annotated[str, Field(min_length=1, description="Name of the mail server.")]
    port: Annotated[int, Field(ge=1, le=65535, description="Its port.")] = 587
    security: Annotated[
        Literal["starttls", "tls", "none"], Field(description="none only for a server on this machine.")
    ] = "starttls"
    sender: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", description="Address that mail comes from.")]
    username: Annotated[str | None, Field(description="User, where the server asks for one.")] = None
    password: Annotated[SecretRef | None, Field(description="env:NAME or file:/path of the password.")] = None
    ca_file: Annotated[str | None, Field(description="PEM file of the authorities to trust.")] = None


class Hook(Section):
    """``[notices.webhook]``: an address that takes CloudEvents signed as Standard Webhooks are."""

    url: Annotated[str, Field(min_length=1, description="https, or http on loopback.")]
    secret: Annotated[SecretRef, Field(description="env:NAME or file:/path of the secret, whsec_...")]
    old_secret: Annotated[
        SecretRef | None, Field(description="The secret before it, signed with too while the receiver changes over.")
    ] = None
    ca_file: Annotated[str | None, Field(description="PEM file of the authorities to trust.")] = None


class Notices(Section):
    """``[notices]``: nothing is sent until ``enabled`` is true."""

    enabled: Annotated[bool, Field(description="Whether anything is sent.")] = False
    remind_days_before: Annotated[
        list[Days], Field(description="Days before the due date on which owners hear of it.")
    ] = [7, 1]
    escalate_days_after: Annotated[
        list[Days], Field(description="Days after it on which it goes up, a role of escalate_to each.")
    ] = [1, 7]
    digest_weekdays: Annotated[
        list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]],
        Field(description="Days on which each owner gets one list of what is open."),
    ] = ["mon"]
    addresses: Annotated[
        dict[str, str], Field(description="Governance role -> address, where not its holder's own.")
    ] = {}
    smtp: Annotated[Smtp | None, Field(description="The mail server.")] = None
    webhook: Annotated[Hook | None, Field(description="Where notices go as events.")] = None

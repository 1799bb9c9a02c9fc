"""``[inbound.NAME]``: webhooks that may reach us, each a hint that is checked by asking its system."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from reconciler.sdk.secrets import SecretRef
from reconciler.sections.section import Section


class Inbound(Section):
    """``[inbound.NAME]``: the last part of the path that it is sent to, and how it is known to be genuine."""

    kind: Annotated[Literal["standard", "github", "veeva"], Field(description="How deliveries are signed.")]
    secrets: Annotated[
        list[SecretRef], Field(description="env:NAME or file:/path; several while one is replaced by another.")
    ] = []
    certificate_url: Annotated[
        str | None, Field(description="veeva: https URL of the public keys, /api/{v}/services/certificate/.")
    ] = None
    vault_ids: Annotated[
        list[str], Field(description="veeva: ids of the vaults that may send; all vaults sign with the same keys.")
    ] = []
    source: Annotated[str | None, Field(description="Source whose record is read again after a delivery.")] = None
    system: Annotated[str | None, Field(description="Filing system whose ticket is read again after one.")] = None
    tolerance_seconds: Annotated[int, Field(ge=1, le=3600, description="How old a signed delivery may be.")] = 300
    max_bytes: Annotated[int, Field(ge=1, le=1_048_576, description="Size of a delivery.")] = 65_536
    event: Annotated[str, Field(description="JMESPath of the event's name in the body.")] = "type"
    subject: Annotated[str, Field(description="JMESPath of the record or person concerned.")] = "data.id"
    checks: Annotated[
        dict[str, Literal["reread", "person"]],
        Field(description="Event's name -> what is checked: the record is read again, or the person's accounts."),
    ] = {}

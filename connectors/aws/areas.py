"""Settings of the areas beyond IAM: AWS Organizations and IAM Identity Center."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

_ROLE = r"^arn:aws[\w-]*:iam::\d{12}:role/.+$"
AccountId = Annotated[str, Field(pattern=r"^\d{12}$")]
RegionName = Annotated[str, Field(pattern=r"^[a-z]{2,}(-[a-z]+)+-\d+$")]


class OrganizationSettings(BaseModel):
    """``[sources.NAME.organization]``: read every active account of an AWS organization."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role_arn: Annotated[
        str | None,
        Field(
            pattern=_ROLE,
            description="Role to list the accounts with, in the management or a delegated administrator's account; "
            "left out: the caller's own credentials.",
        ),
    ] = None
    role_external_id: Annotated[str | None, Field(description="External id that role_arn's trust policy asks for.")] = (
        None
    )
    external_id: Annotated[
        str | None, Field(description="External id that the trust policy of role_name asks for in each account.")
    ] = None
    exclude: list[AccountId] = Field(
        default_factory=list, description="Account ids to leave out: nothing in them is read, and nothing says so."
    )
    environment_tag: Annotated[
        str | None,
        Field(min_length=1, description="Tag of an account that holds its environment; costs one call an account."),
    ] = None


class IdentityCenterSettings(BaseModel):
    """``[sources.NAME.identity_center]``: read the users, groups and assignments of IAM Identity Center."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    region: Annotated[
        RegionName | None, Field(description="Region in which the instance lives; left out: the source's region.")
    ] = None
    instance_arn: Annotated[
        str | None,
        Field(
            pattern=r"^arn:aws[\w-]*:sso:::instance/.+$",
            description="Instance to read; left out: the only one that these credentials see there.",
        ),
    ] = None
    role_arn: Annotated[
        str | None,
        Field(
            pattern=_ROLE,
            description="Role in the management or delegated administrator's account; left out: the caller's own "
            "credentials.",
        ),
    ] = None
    external_id: Annotated[str | None, Field(description="External id that role_arn's trust policy asks for.")] = None
    calls_per_second: Annotated[
        float,
        Field(gt=0, le=20, description="Calls a second; AWS allows 20 for everybody together, and no increase."),
    ] = 19.0
    enterprise_attributes: Annotated[
        bool,
        Field(description="Ask for the enterprise extension too: personnel number, department, manager."),
    ] = True
    external_id_issuers: list[str] = Field(
        default_factory=list,
        description="Issuers of external ids, to look people up by personnel number as the id that an issuer gave.",
    )

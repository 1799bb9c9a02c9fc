"""What filing needs of the org and of the running user, and what of it is missing."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Refused

from .access import Sight
from .client import Client, NotShown
from .schema import Described
from .tickets_settings import TicketSettings

TABLE = "tickets"


async def missing(client: Client, settings: TicketSettings, sight: Sight) -> list[Gap]:
    """Return what these credentials cannot do; raise ``Refused`` where no record could carry our key."""
    names = settings.names
    described = await client.describe(names.entity)
    must_be_unique(described, settings.external_id)
    fields = [names.title, names.body, *settings.fields, *([settings.status_field] if settings.status_values else [])]
    gaps = [*_unwritable(described, fields), *_unfit(described, settings)]
    for entity, (reason, permission) in sight.hidden.items():
        gaps.append(Gap(TABLE, entity, f"what is gone cannot be told: {reason}", missing_permission=permission))
    if settings.chatter:
        try:
            await client.describe("FeedItem")
        except NotShown:
            gaps.append(
                Gap(TABLE, "FeedItem", "comments cannot be written or read: Chatter is off or not for this user")
            )
    if settings.exceptions is not None:
        where = settings.exceptions
        register = await client.describe(where.object)
        must_be_unique(register, where.external_id)
        gaps += _unwritable(register, where.columns.values())
    return gaps


def must_be_unique(described: Described, name: str) -> None:
    """Raise ``Refused`` for a field that cannot carry a key: an upsert makes one record where it is Unique alone."""
    info = described.fields.get(name.casefold())
    if info is None or not info.external_id:
        raise Refused(
            f"{described.name} has no External ID field {name}, or it is not shown to the running user",
            advice="Have an administrator add it: Text(64), External ID, Unique; and grant the user Edit on it.",
            missing_permission=f"Edit on {described.name}.{name}",
        )
    if not info.unique:
        raise Refused(
            f"{described.name}.{name} is not Unique: two records may come to carry one key",
            advice="Have an administrator check Unique on it, and keep one record of each key there is.",
        )


def _unfit(described: Described, settings: TicketSettings) -> Iterable[Gap]:
    """Yield what would have a long ticket refused, or its text read as HTML."""
    names = settings.names
    for key, name, longest in (
        ("title_length", names.title, settings.title_length),
        ("body_length", names.body, settings.body_length),
    ):
        info = described.fields.get(name.casefold())
        if info is not None and 0 < info.length < longest:
            reason = f"{name} holds {info.length} characters, and {key} is {longest}: what is longer is refused"
            yield Gap(TABLE, described.name, reason)
    info = described.fields.get(names.body.casefold())
    if info is not None and info.rich is not settings.body_html:
        wanted = "true, or what findings say is read as HTML" if info.rich else "false, or people read HTML in it"
        yield Gap(TABLE, described.name, f"{names.body}: body_html must be {wanted}")


def _unwritable(described: Described, names: Iterable[str]) -> list[Gap]:
    found = []
    for name in dict.fromkeys(names):
        plain = f"{name[:-1]}c" if name.endswith("__r") else name
        info = described.fields.get(plain.casefold())
        if info is None or not info.writable:
            what = "is not shown" if info is None else "cannot be set by the running user"
            found.append(Gap(TABLE, described.name, f"{name} {what}", missing_permission=f"Edit on {plain}"))
    return found

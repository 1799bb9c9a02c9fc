"""What the tests of Request Tracker share: users by the right that they lack, and a ticket to file."""

from __future__ import annotations

from typing import Any

from connectors.request_tracker import TicketSettings
from reconciler.sdk.tickets import Ticket
from tests.servers.request_tracker import FILING, KEY_FIELD, QUEUE

CAUSE, ELSEWHERE, MOVED = "Cause", "Only elsewhere", "Elsewhere"
"""A custom field of every queue, one of MOVED alone, and that queue."""

LACKING = (
    ("SeeQueue",),
    ("CreateTicket",),
    ("ShowTicket",),
    ("ShowTicketComments",),
    ("ModifyTicket",),
    ("CommentOnTicket", "ModifyTicket"),
    ("SeeCustomField",),
    ("ModifyCustomField",),
    ("SetInitialCustomField", "ModifyCustomField"),
)
"""The rights that one user each lacks."""


LEAST = "least"
"""The user with the rights that the connector's README lists, in the one queue and on the one field."""
QUEUE_RIGHTS = ("SeeQueue", "ShowTicket", "CreateTicket", "CommentOnTicket", "ShowTicketComments", "ModifyTicket")
FIELD_RIGHTS = ("SeeCustomField", "SetInitialCustomField")


def without(*rights: str) -> str:
    """Name the user that has the rights of FILING but for some."""
    return f"without-{'-'.join(rights)}"


def users() -> dict[str, list[str]]:
    """Return each user of LACKING, and LEAST, with its rights."""
    lacking = {without(*rights): [one for one in FILING if one not in rights] for rights in LACKING}
    return lacking | {
        LEAST: [f"{right}@{QUEUE}" for right in QUEUE_RIGHTS] + [f"{right}@{KEY_FIELD}" for right in FIELD_RIGHTS]
    }


def ticket(key: str, **given: Any) -> Ticket:
    """Return a ticket with a key."""
    return Ticket(**{"key": key, "title": "Leavers keep access", "body": "One.\n\nTwo.", "severity": "high"} | given)


def settings(url: str, token: str, **given: Any) -> TicketSettings:
    """Return settings for RT at ``url``; ``token`` is a reference."""
    section = {"connector": "request_tracker", "url": url, "token": token, "queue": QUEUE} | given
    return TicketSettings.model_validate(section)

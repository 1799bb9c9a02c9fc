"""A request as Graph's services see it, their answers, and errors in the shape that each of them gives."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

import msgspec

from reconciler.clock import now

Json = dict[str, Any]
encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Call:
    """One request below the version: of its own, or an item of a batch."""

    method: str
    path: str
    """Without the leading slash and the version, decoded."""
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    roles: frozenset[str]
    version: str = "v1.0"
    body: bytes = b""

    @property
    def eventual(self) -> bool:
        """Whether the advanced query engine is asked."""
        return self.headers.get("consistencylevel", "").lower() == "eventual"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back; ``content`` is JSON, or text where it is a string."""

    status: int
    content: Any
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """Return the bytes to send."""
        if self.content is None:
            return b""
        return self.content.encode() if isinstance(self.content, str) else encode(self.content)


class GraphError(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        asked = str(uuid.uuid4())
        inner = {"date": f"{now():%Y-%m-%dT%H:%M:%S}", "request-id": asked, "client-request-id": asked}
        self.answer = Answer(
            status, {"error": {"code": code, "message": message, "innerError": inner}}, dict(headers or {})
        )


def bad(message: str, code: str = "Request_BadRequest") -> NoReturn:
    """Refuse a request that is not well formed."""
    raise GraphError(400, code, message)


def missing(name: str) -> NoReturn:
    """Say that the object does not exist (or is deleted), in the directory's words."""
    raise GraphError(
        404,
        "Request_ResourceNotFound",
        f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
    )

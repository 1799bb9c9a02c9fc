"""Ask the AWS services that speak JSON: paced, in the source's threads, and decoded by types of our own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, TypeVar

import msgspec

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Misbehaved, Throttled
from reconciler.sdk.pace import Pacer

from .connection import Calls
from .paging import Listed, fields_of, list_in, one_page

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")
Run = Callable[..., Awaitable[Any]]
"""Runs a blocking call in the source's own threads."""
_HOLD_SECONDS = 1.0
"""How long everybody waits after AWS said "too fast" without saying for how long."""


class JsonApi:
    """One service of one AWS account in one region; ``bucket`` is what AWS counts its calls by."""

    def __init__(self, calls: Calls, run: Run, pacer: Pacer, bucket: str) -> None:
        self.calls = calls
        self._run = run
        self._pacer = pacer
        self._bucket = bucket

    def named(self, operation: str) -> str:
        """Return how messages name an operation of this service."""
        return f"AWS account {self.calls.reach.account_id}: {operation}"

    async def ask(self, operation: str, *, absent: frozenset[str] = frozenset(), **params: Any) -> bytes | None:
        """Make one call in its turn; None says that AWS answered with one of the codes in ``absent``."""
        async with self._pacer.turn(self._bucket):
            try:
                found: bytes | None = await self._run(partial(self.calls.body, operation, absent=absent, **params))
            except Throttled as error:
                self._pacer.hold(self._bucket, error.retry_after or _HOLD_SECONDS)
                raise
        return found

    async def one(self, operation: str, key: str, kind: type[S], **params: Any) -> S:
        """Return the object under ``key`` of an answer."""
        body = await self.ask(operation, **params) or b""
        fields = fields_of(body, self.named(operation))
        try:
            return msgspec.json.decode(fields[key], type=kind)
        except (KeyError, msgspec.DecodeError) as error:
            raise self._shapeless(operation, key) from error

    async def whole(self, operation: str, kind: type[S], **params: Any) -> S:
        """Return a whole answer as ``kind``."""
        body = await self.ask(operation, **params) or b""
        fields_of(body, self.named(operation))
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.DecodeError as error:
            raise self._shapeless(operation, kind.__name__) from error

    async def page(self, operation: str, key: str, *, size: int | None, token: str | None, **params: Any) -> Listed:
        """Read one page of a list, to an end that is proven as far as it can be."""

        async def ask(**given: Any) -> bytes:
            return await self.ask(operation, **given) or b""

        return await one_page(ask, key, self.named(operation), size=size, token=token, params=params)

    async def first(self, operation: str, key: str, **params: Any) -> Sequence[msgspec.Raw]:
        """Read the beginning of a list, however it goes on."""
        return list_in(await self.ask(operation, **params) or b"", key, self.named(operation)).items

    async def every(self, operation: str, key: str, *, size: int | None, **params: Any) -> list[msgspec.Raw]:
        """Read a short list to its end; ``size`` None: the call takes no page size."""
        found: list[msgspec.Raw] = []
        seen: set[str] = set()
        token: str | None = None
        while True:
            page = await self.page(operation, key, size=size, token=token, **params)
            found.extend(page.items)
            token = page.token
            if token is None:
                return found
            if token in seen:
                raise Misbehaved(f"{self.named(operation)} gave the same token twice: its pages go in a circle")
            seen.add(token)

    def _shapeless(self, operation: str, key: str) -> Misbehaved:
        return Misbehaved(
            f"{self.named(operation)} gave an answer without a proper {key}",
            advice="Check what stands at endpoint_url; otherwise report it.",
        )


def typed(items: Sequence[msgspec.Raw], kind: type[S], table: str, what: str) -> tuple[list[S], list[Gap]]:
    """Decode objects; a field of the wrong type becomes None and a gap that names the object, the object stays.

    The fields of ``kind`` without a default are what an object is referred to by: without them it is no object at
    all, and ``Misbehaved`` is raised.
    """
    decode = _decoder(kind)
    try:
        return [decode(item) for item in items], []
    except msgspec.DecodeError:
        pass
    rows: list[S] = []
    gaps: list[Gap] = []
    for item in items:
        try:
            rows.append(decode(item))
        except msgspec.DecodeError as error:
            row, wrong = _without_wrong_fields(item, kind, what, error)
            rows.append(row)
            name = str(getattr(row, kind.__struct_fields__[0]))
            gaps.append(Gap(table, name, f"AWS sent {what} with {', '.join(wrong)} of an unknown shape"))
    return rows, gaps


@cache
def _decoder(kind: type[S]) -> Callable[[msgspec.Raw], S]:
    return msgspec.json.Decoder(kind).decode


def _without_wrong_fields(item: msgspec.Raw, kind: type[S], what: str, error: Exception) -> tuple[S, list[str]]:
    found: Any = msgspec.json.decode(item)
    kept: dict[str, Any] = {}
    wrong: list[str] = []
    for field in msgspec.structs.fields(kind):
        if not isinstance(found, Mapping) or (field.required and field.encode_name not in found):
            raise Misbehaved(f"AWS sent {what} without {field.encode_name}") from error
        if field.encode_name in found:
            try:
                kept[field.name] = msgspec.convert(found[field.encode_name], field.type)
            except msgspec.ValidationError:
                if field.required:
                    raise Misbehaved(f"AWS sent {what} without a proper {field.encode_name}") from error
                wrong.append(field.encode_name)
    return kind(**kept), wrong


def at(seconds: float | None) -> datetime | None:
    """Return an instant that AWS gave as Unix seconds; None stays None, and so does what no calendar holds."""
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None

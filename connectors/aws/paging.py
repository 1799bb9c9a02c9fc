"""Lists that AWS pages by ``NextToken``: the end is the absence of a token, so a full last page is looked at twice.

``IsTruncated`` does not exist in these services: an answer whose token was lost on the way looks like an end. A page
that is short proves the end by itself. One that is full and carries no token is asked for again in another size: at
the true end the answer shows it, else it leads on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from reconciler.sdk.errors import Misbehaved, Unreachable

Ask = Callable[..., Awaitable[bytes]]
"""Makes one call with the parameters given and returns the bytes of its answer."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page: its objects, undecoded; ``token`` None: the list ends here."""

    items: Sequence[msgspec.Raw]
    token: str | None


_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_text = msgspec.json.Decoder(str | None).decode


def fields_of(body: bytes, what: str) -> dict[str, msgspec.Raw]:
    """Return the members of an answer; raise ``Unreachable`` for one that is cut off or no JSON object."""
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Unreachable(
            f"{what} gave an answer that is cut off or is no AWS answer",
            advice="Try again; if it stays, see what stands at endpoint_url or between here and AWS.",
        ) from error


def list_in(body: bytes, key: str, what: str) -> Listed:
    """Return the list ``key`` of an answer and the token behind it; its absence is no empty list."""
    found = fields_of(body, what)
    try:
        items = _items(found[key])
        token = _text(found.get("NextToken", msgspec.Raw(b"null")))
    except (KeyError, msgspec.DecodeError) as error:
        raise Misbehaved(
            f"{what} gave an answer without a proper {key}",
            advice="Check what stands at endpoint_url; AWS sends it even where it is empty.",
        ) from error
    return Listed(items, token or None)


async def one_page(
    ask: Ask,
    key: str,
    what: str,
    *,
    size: int | None,
    token: str | None,
    params: Mapping[str, Any],
) -> Listed:
    """Read the page at ``token``; its end is believed only where the page is short or a second look agrees.

    ``size`` None is for calls that take no page size: their end has to be believed. Raises ``Misbehaved`` where the
    token leads back to itself, and ``Unreachable`` where two looks contradict each other.
    """
    looked = _Look(ask, key, what, dict(params) if token is None else {**params, "NextToken": token})
    page = await looked.at(size)
    if size is not None and page.token is None and len(page.items) == size:
        page = await looked.again(size, page)
    if page.token is not None and page.token == token:
        raise Misbehaved(f"{what} gave the same token twice: its pages go in a circle")
    return page


@dataclass(frozen=True, slots=True)
class _Look:
    """One place in one list, and how to ask for it."""

    ask: Ask
    key: str
    what: str
    given: Mapping[str, Any]

    async def at(self, size: int | None) -> Listed:
        """Read the page there."""
        limit = {} if size is None else {"MaxResults": size}
        return list_in(await self.ask(**self.given, **limit), self.key, self.what)

    async def again(self, size: int, page: Listed) -> Listed:
        """Look again at a full page that seems to be the last one, in another size."""
        other = size - 1 if size > 1 else size + 1
        try:
            again = await self.at(other)
        except Misbehaved:
            # Some services hold a token to the page size that it was made with: ask for the same page once more.
            again, other = await self.at(size), 0
        if again.token is not None or len(again.items) > len(page.items):
            return again
        if other and len(again.items) == other < size:
            raise Unreachable(
                f"{self.what} ends a list after {size} objects and after {other}: an answer has lost its token",
                advice="Pull again; if it stays, check any proxy between here and AWS.",
            )
        if len(again.items) < len(page.items):
            raise Unreachable(f"{self.what} gave fewer objects when it was asked again", advice="Try again.")
        return page

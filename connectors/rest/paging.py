"""How a service hands out its pages, and when the last one was read: said by it, or an error, never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, model_validator

from reconciler.sdk.errors import Misbehaved
from reconciler.sdk.http import next_link

from .expressions import Expression

Value = str | int | bool

_TAIL = " short"
"""Stands behind the number of the page after a short one, which has to be empty."""
NO_END = "The chain neither goes on nor ends: check the paging settings, or report it to the provider."


class Counted(BaseModel):
    """What every style may have: where the service counts its rows, and where to write how many to send."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: Annotated[Expression | None, Field(description="JMESPath of the service's own count of all rows.")] = None
    total_header: Annotated[str | None, Field(description="Header that holds that count, such as X-Total-Count.")] = (
        None
    )
    limit_parameter: Annotated[str | None, Field(description="Parameter for the number of rows of a page.")] = None
    limit: Annotated[int, Field(ge=1, le=100_000, description="Rows of a page, sent as limit_parameter.")] = 100
    in_body: Annotated[
        bool, Field(description="Write the parameters of paging into the JSON body of a POST, not into the URL.")
    ] = False


class Unpaged(Counted):
    """One answer holds all rows."""

    style: Literal["none"] = "none"


class ByLink(Counted):
    """The header ``Link`` names the next page; its absence is the end."""

    style: Literal["link"]


class ByNextUrl(Counted):
    """The body holds the URL of the next page; null, empty or absent is the end."""

    style: Literal["next_url"]
    next: Annotated[Expression, Field(description="JMESPath of the URL of the next page.")]
    more: Annotated[Expression | None, Field(description="JMESPath of true or false: whether there is another.")] = None


class ByCursor(Counted):
    """The body holds a token for the next page; null, empty or absent is the end."""

    style: Literal["cursor"]
    parameter: Annotated[str, Field(min_length=1, description="Parameter that takes the token.")]
    next: Annotated[Expression, Field(description="JMESPath of the token of the next page.")]
    more: Annotated[Expression | None, Field(description="JMESPath of true or false: whether there is another.")] = None


class _Numbered(Counted):
    """Pages are asked for by number; the end is said by a count, by a flag, or by the rule of the short page."""

    last: Annotated[Expression | None, Field(description="JMESPath of true or false: whether this is the last.")] = None
    short_page_ends: Annotated[
        bool,
        Field(description="The service promises full pages: after one with fewer rows there is only an empty one."),
    ] = False

    @model_validator(mode="after")
    def _has_an_end(self) -> _Numbered:
        if not (self.total or self.total_header or self.last or self.short_page_ends):
            message = "names no end: set total, total_header, last, or short_page_ends where the service promises that"
            raise ValueError(message)
        if not self.last and not self.limit_parameter:
            message = "limit_parameter: say how many rows a page has, so that a short one can be told"
            raise ValueError(message)
        return self


class ByOffset(_Numbered):
    """A parameter takes the number of rows to pass over."""

    style: Literal["offset"]
    parameter: Annotated[str, Field(min_length=1, description="Parameter that takes the offset.")] = "offset"


class ByPage(_Numbered):
    """A parameter takes the number of the page."""

    style: Literal["page"]
    parameter: Annotated[str, Field(min_length=1, description="Parameter that takes the page.")] = "page"
    first: Annotated[int, Field(ge=0, le=1, description="Number of the first page.")] = 1


AnyPaging = Unpaged | ByLink | ByNextUrl | ByCursor | ByOffset | ByPage
Paging = Annotated[AnyPaging, Field(discriminator="style")]


@dataclass(frozen=True, slots=True)
class Answer:
    """One page as it came: the body, its headers, and how many rows it holds."""

    body: Any
    headers: httpx.Headers
    rows: int


@dataclass(frozen=True, slots=True)
class Next:
    """What to ask for: a URL of the service's own, or parameters for the table's path."""

    url: str | None
    parameters: Mapping[str, Value]


def request_of(paging: AnyPaging, cursor: str | None) -> Next:
    """Return what to ask for at ``cursor``, None for the first page."""
    sized: dict[str, Value] = {paging.limit_parameter: paging.limit} if paging.limit_parameter else {}
    match paging:
        case ByLink() | ByNextUrl() if cursor is not None:
            return Next(cursor, {})
        case ByCursor() if cursor is not None:
            return Next(None, sized | {paging.parameter: cursor.removeprefix("=")})
        case ByOffset():
            return Next(None, sized | {paging.parameter: _number(cursor, 0)})
        case ByPage():
            return Next(None, sized | {paging.parameter: _number(cursor, paging.first)})
    return Next(None, sized)


def total_of(paging: AnyPaging, answer: Answer, place: str) -> int | None:
    """Return the service's own count; None where none is configured. Raises ``Misbehaved`` where it is not there."""
    if paging.total is None and paging.total_header is None:
        return None
    said: object = paging.total.search(answer.body) if paging.total else answer.headers.get(paging.total_header or "")
    if isinstance(said, str) and said.isascii() and said.isdigit():
        said = int(said)
    if type(said) is not int or said < 0:
        where = f"total = {paging.total}" if paging.total else f"total_header = {paging.total_header}"
        raise Misbehaved(
            f"{place}: the answer holds no count where {where} says", advice="Correct paging, or leave it out."
        )
    return said


def next_of(paging: AnyPaging, cursor: str | None, answer: Answer, total: int | None, place: str) -> str | None:
    """Return the cursor of the next page, None where the service said that there is none.

    Raises ``Misbehaved`` where it said neither. A link is as the service wrote it, absolute or not.
    """
    match paging:
        case Unpaged():
            if next_link(answer.headers) is not None:
                raise Misbehaved(
                    f"{place}: the header Link names a next page, and paging says that one answer holds all",
                    advice='Set paging.style = "link".',
                )
            return None
        case ByLink():
            return next_link(answer.headers)
        case ByNextUrl():
            return _named(paging, answer, place)
        case ByCursor():
            found = _named(paging, answer, place)
            # A token may look like a link: "=" says that it is none.
            return None if found is None else f"={found}"
        case ByOffset() | ByPage():
            return _numbered(paging, cursor, answer, total, place)


def _named(paging: ByNextUrl | ByCursor, answer: Answer, place: str) -> str | None:
    said = paging.next.search(answer.body)
    if isinstance(said, int) and not isinstance(said, bool):
        said = str(said)
    if said is not None and said is not False and not isinstance(said, str):
        raise Misbehaved(f"{place}: next = {paging.next} gives no text", advice="Correct paging.next.")
    found = said or None
    if paging.more is not None:
        more = _flag(paging.more, "more", answer, place)
        if more and found is None:
            raise Misbehaved(f"{place}: more pages are announced and none is named", advice=NO_END)
        return found if more else None
    return found


def _numbered(
    paging: ByOffset | ByPage, cursor: str | None, answer: Answer, total: int | None, place: str
) -> str | None:
    begun = _number(cursor, 0) if isinstance(paging, ByOffset) else None
    number = _number(cursor, paging.first) if isinstance(paging, ByPage) else 0
    following = str(begun + answer.rows) if begun is not None else str(number + 1)
    if paging.last is not None:
        if _flag(paging.last, "last", answer, place):
            return None
        if answer.rows == 0:
            raise Misbehaved(f"{place}: an empty page that is not the last", advice=NO_END)
        return following
    if answer.rows > paging.limit:
        raise Misbehaved(
            f"{place}: {answer.rows} rows where {paging.limit} were asked for: the parameters have no effect",
            advice="Correct limit_parameter and parameter.",
        )
    if total is None:
        return _after(
            following, answer.rows, paging.limit, tail=cursor is not None and cursor.endswith(_TAIL), place=place
        )
    read = begun if isinstance(paging, ByOffset) else (number - getattr(paging, "first", 0)) * paging.limit
    if (read or 0) + answer.rows >= total:
        return None
    if answer.rows < paging.limit:
        raise Misbehaved(
            f"{place}: a page of {answer.rows} rows where {paging.limit} were asked for, and "
            f"{(read or 0) + answer.rows} of {total} read: rows are hidden from these credentials, "
            "or the service allows fewer a page",
            advice="Lower paging.limit to what the service allows; or grant the right to read every row.",
        )
    return following


def _after(following: str, rows: int, limit: int, *, tail: bool, place: str) -> str | None:
    """Follow pages until an empty one: a service that allows fewer rows a page than were asked for cuts each short."""
    if rows == 0:
        return None
    if tail:
        raise Misbehaved(
            f"{place}: rows after a page that was short of the {limit} asked for: the service allows fewer a page",
            advice="Lower paging.limit to what the service allows.",
        )
    return following if rows == limit else f"{following}{_TAIL}"


def _number(cursor: str | None, first: int) -> int:
    return first if cursor is None else int(cursor.removesuffix(_TAIL))


def _flag(expression: Expression, key: str, answer: Answer, place: str) -> bool:
    said = expression.search(answer.body)
    if not isinstance(said, bool):
        raise Misbehaved(
            f"{place}: {key} = {expression} gives neither true nor false", advice=f"Correct paging.{key}. {NO_END}"
        )
    return said

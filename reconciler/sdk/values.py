"""Turn foreign cells into the estate's types: strictly, and never by a guess.

Each family of data says in its own way what a cell is. CSV has text only. In files of JSON and Parquet a wrong type is
refused rather than converted. A spreadsheet turns what people type into numbers and dates by itself, so the few
conversions that undo this are allowed there. A database (``sql``) and an interface (``api``) keep whole numbers as
ids, exactly, so those are taken for ids; and what a database without a type for it keeps as text or 0 and 1 is read so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from reconciler import clock
from reconciler.sdk.columns import Column, nearest
from reconciler.sdk.problems import BadValueError, shown

Convert = Callable[[Any], Any]
"""Cell -> value; None is "not said". Raises `BadValueError`."""

ConvertAll = Callable[[Sequence[Any]], Collection[Any]]
"""Many cells of one column -> their values. Raises `BadValueError` where one of them is wrong, without saying which."""

Family = Literal["text", "json", "sheet", "arrow", "sql", "api"]
Epoch = Literal["seconds", "milliseconds"]

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_INSTANT = re.compile(
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s?([Zz]|[+-]\d{2}(:?\d{2})?)?", re.ASCII
)
_INTEGER = re.compile(r"[+-]?\d{1,19}", re.ASCII)
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_INT64 = 2**63
_TYPED = {"json", "arrow"}
"""Families whose lists are lists and never text."""
_TEXT_OR_NONE = {str, type(None)}
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = 10**15
_WITH_COMMAS = frozenset({"emails", "domains"})
_NUMBERED = re.compile(r".*(_id|_ref|_by|_owner)|login|logins|steward")

_WRITE_INSTANT = "Write date, time and zone, such as 2026-03-31T17:00:00+02:00 or 2026-03-31T15:00:00Z"
_MEND_CELL = "Correct the cell; where it should hold text, format the column as Text and type the value again."
_CONVERT = {
    "sql": "Convert it in the query, for example by CAST.",
    "api": "Correct the expression of the column, or convert it there, for example by to_string().",
}
_CAST = "Convert it in the query: CAST(... AS text[])."
_DUE = {
    "text": "text",
    "choice": "text",
    "zone": "text",
    "object": "a JSON object",
    "yes/no": "true or false",
    "integer": "a whole number",
    "date": "a date",
    "instant": "an instant",
    "list": "a list of texts",
}


@dataclass(frozen=True, slots=True)
class Reading:
    """How the settings say that cells are to be read."""

    null_values: frozenset[str] = field(default_factory=frozenset)
    list_separator: str | None = None
    date_format: str | None = None
    zone: ZoneInfo | None = None
    epoch: Epoch | None = None
    """What a number stands for where an instant is due, in `api`: time since 1970 in UTC; None: nothing."""

    def converter(self, column: Column, family: Family) -> Convert:
        """Return the function that reads the cells of `column` in this kind of file."""
        text = self._text(column)
        if family == "text":
            return text
        if family == "sheet":
            return _by_type(column, self._sheet(column, text), _MEND_CELL)
        if family in {"sql", "api"}:
            accepted = self._sql(column, text) if family == "sql" else self._api(column, text)
            return _by_type(column, accepted, _CONVERT[family])
        remedy = f"Have the export write {_DUE[column.kind]} there."
        if column.kind == "text":
            remedy += " A number has lost its leading zeros, so it is not taken for an id."
        return _by_type(column, self._typed(column, text), remedy)

    def columnwise(self, column: Column, family: Family, convert: Convert) -> ConvertAll:
        """Return what reads many cells of `column` as its `convert` reads one, at a fraction of the cost.

        Most columns hold plain text, or few values many times.
        """
        nulls = {"", *self.null_values}
        marks = re.compile(rf"[\[{{]|{self._between(column).pattern}")

        def whole(cells: Sequence[Any]) -> Collection[Any]:
            kinds = set(map(type, cells))
            if kinds <= _TEXT_OR_NONE:
                if column.kind == "text":
                    return _plain_texts(cells, nulls, key=column.key)
                if column.kind == "list" and family not in _TYPED:
                    found = _plain_texts(cells, nulls, key=False)
                    one_each = not marks.search("".join(filter(None, found)))
                    return [text and [text] for text in found] if one_each else [convert(cell) for cell in cells]
                if column.kind != "list" and len(distinct := set(cells)) * 2 <= len(cells):
                    known = {cell: convert(cell) for cell in distinct}
                    return [known[cell] for cell in cells]
            return [convert(cell) for cell in cells]

        return whole

    def _text(self, column: Column) -> Convert:
        parse = self._parser(column)
        nulls = self.null_values

        def convert(cell: str) -> Any:
            text = cell.strip()
            return None if not text or text in nulls else parse(text)

        return convert

    def _between(self, column: Column) -> re.Pattern[str]:
        """Return what stands between the items of a list that is written as text."""
        separators = ";|," if column.name in _WITH_COMMAS else ";|"
        return re.compile(re.escape(self.list_separator) if self.list_separator else f"[{separators}]")

    def _parser(self, column: Column) -> Callable[[str], Any]:
        if column.kind == "choice":
            return _choice(column.values)
        if column.kind == "list":
            return partial(_items, separator=self._between(column))
        parsers: dict[str, Callable[[str], Any]] = {
            "text": _one_line if column.key else _plain,
            "zone": _zone,
            "object": _object,
            "yes/no": _yes_no,
            "integer": _integer,
            "date": self._date,
            "instant": self._instant,
        }
        return parsers[column.kind]

    def _date(self, text: str) -> date:
        written = self.date_format
        try:
            if written is not None:
                return datetime.strptime(text, written).date()  # noqa: DTZ007 - a business date has no zone
            if _DATE.fullmatch(text):
                return date.fromisoformat(text)
        except ValueError as error:
            raise BadValueError(f"{shown(text)} is no date: {error}", "Correct the date.") from error
        if _INSTANT.fullmatch(text):
            raise BadValueError(
                f"{shown(text)} has a time of day where a date is due", "Leave only the date: 2026-03-31."
            )
        raise BadValueError(
            f"{shown(text)} is no date", "Write dates as 2026-03-31, or set date_format to how they are."
        )

    def _instant(self, text: str) -> datetime:
        if _DATE.fullmatch(text):
            raise BadValueError(
                f"{shown(text)} is a date without time and zone where an instant is due", _WRITE_INSTANT + "."
            )
        if not _INSTANT.fullmatch(text):
            raise BadValueError(f"{shown(text)} is no instant", _WRITE_INSTANT + ".")
        try:
            return self._utc(datetime.fromisoformat(text.replace(" +", "+").replace(" Z", "Z").upper()), text)
        except ValueError as error:
            if isinstance(error, BadValueError):
                raise
            raise BadValueError(f"{shown(text)} is no instant: {error}", _WRITE_INSTANT + ".") from error

    def _utc(self, moment: datetime, seen: object) -> datetime:
        """Return the instant in UTC; one without a zone is read in the zone that the settings name, else refused."""
        if moment.tzinfo is None:
            moment = self._localised(moment, seen)
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:
            raise BadValueError(
                f"{shown(seen)} lies outside the calendar", "Leave the cell empty for never."
            ) from error

    def _localised(self, moment: datetime, seen: object) -> datetime:
        if self.zone is None:
            raise BadValueError(
                f"{shown(seen)} has no time zone where an instant is due",
                f"{_WRITE_INSTANT}; or set time_zone to the zone in which this source writes its times.",
            )
        early, late = (moment.replace(tzinfo=self.zone, fold=fold) for fold in (0, 1))
        if early.utcoffset() != late.utcoffset():
            raise BadValueError(
                f"{shown(seen)} falls into a change of the clocks of {self.zone.key} and names no one instant",
                f"{_WRITE_INSTANT}.",
            )
        return early

    def _typed(self, column: Column, text: Convert) -> dict[type, Convert]:
        """Return what JSON and Parquet may hold in this column: type of the cell -> how it is read."""
        by_kind: dict[str, dict[type, Convert]] = {
            "yes/no": {bool: _same},
            "integer": {int: _within_int64},
            "list": {list: _texts},
            "object": {str: text, dict: _as_text},
            "date": {str: text, date: _same},
            "instant": {str: text, datetime: self._moment},
        }
        return by_kind.get(column.kind, {str: text})

    def _sql(self, column: Column, text: Convert) -> dict[type, Convert]:
        """Return what a database may give for this column; what its driver made a text is read like one."""
        by_kind: dict[str, dict[type, Convert]] = {
            "text": {int: str, Decimal: partial(_digits, column), UUID: str},
            "yes/no": {bool: _same, int: _truth},
            "integer": {int: _within_int64, Decimal: partial(_digits, column)},
            "list": {str: partial(_no_array, text), list: _texts, tuple: lambda items: _texts(list(items))},
            "object": {dict: _as_text},
            "date": {date: _same, datetime: _midnight},
            "instant": {datetime: self._moment},
        }
        return {str: text} | by_kind.get(column.kind, {})

    def _api(self, column: Column, text: Convert) -> dict[type, Convert]:
        """Return what the JSON of an interface may hold in this column."""
        by_kind: dict[str, dict[type, Convert]] = {
            "text": {int: str},
            "yes/no": {bool: _same},
            "integer": {int: _within_int64},
            "list": {list: _numbers_too},
            "object": {dict: _as_text},
            "instant": {int: self._since_1970} if self.epoch else {},
        }
        return {str: text} | by_kind.get(column.kind, {})

    def _since_1970(self, count: int) -> datetime:
        try:
            return _BEGIN + timedelta(**{self.epoch or "seconds": count})
        except OverflowError as error:
            raise BadValueError(f"{count} lies outside the calendar", "Correct the setting epoch.") from error

    def _sheet(self, column: Column, text: Convert) -> dict[type, Convert]:
        """Return what a spreadsheet may hold in this column, with the few conversions that undo Excel's own."""
        by_kind: dict[str, dict[type, Convert]] = {
            "yes/no": {bool: _same},
            "date": {date: _same, datetime: _midnight},
            "instant": {datetime: self._moment, date: lambda day: self._instant(day.isoformat())},
        }
        numbers = {int: partial(_number, column), float: partial(_number, column)}
        return {str: text} | numbers | by_kind.get(column.kind, {})

    def _moment(self, moment: datetime) -> datetime:
        return self._utc(moment, moment.isoformat())


def _by_type(column: Column, accepted: dict[type, Convert], remedy: str) -> Convert:
    def convert(cell: Any) -> Any:
        if cell is None:
            return None
        take = accepted.get(type(cell))
        if take is None:
            raise BadValueError(f"{shown(_plainly(cell))} stands where {_DUE[column.kind]} is due", remedy)
        return take(cell)

    return convert


def _plainly(cell: Any) -> Any:
    return cell.isoformat() if isinstance(cell, date | time) else cell


def _same(cell: Any) -> Any:
    return cell


def _as_text(cell: dict[str, Any]) -> str:
    return _sound(json.dumps(cell, ensure_ascii=False, sort_keys=True))


def _midnight(cell: datetime) -> date:
    if cell.time() != time.min:
        raise BadValueError(
            f"{cell.isoformat()} has a time of day where a date is due", "Leave only the date in the cell."
        )
    return cell.date()


def _digits(column: Column, number: Decimal) -> str | int:
    """Read a number without decimals; an id that has some is a rounding, not an id."""
    if not number.is_finite() or number != number.to_integral_value():
        raise BadValueError(f"{number} stands where {_DUE[column.kind]} is due", _CONVERT["sql"])
    return _within_int64(int(number)) if column.kind == "integer" else str(int(number))


def _truth(number: int) -> bool:
    if number not in {0, 1}:
        raise BadValueError(f"{number} stands where true or false is due", _CONVERT["sql"])
    return bool(number)


def _number(column: Column, cell: float) -> Any:
    """Read a number: Excel has one kind only, and makes one of any id that is all digits."""
    whole = int(cell) if abs(cell) < _EXACT and cell == int(cell) else None
    if whole is not None:
        if column.kind == "integer":
            return whole
        if column.kind == "yes/no" and whole in {0, 1}:
            return bool(whole)
        if column.kind in {"text", "list"} and (column.key or _NUMBERED.fullmatch(column.name)):
            return [str(whole)] if column.kind == "list" else str(whole)
    raise BadValueError(
        f"the number {shown(cell)} stands where {_DUE[column.kind]} is due",
        "Format the column as Text in the spreadsheet and type the value again.",
    )


def _sound(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadValueError(f"{shown(text)} holds half a character", "Export the file again as UTF-8.") from error
    if "\0" in text:
        raise BadValueError(f"{shown(text)} holds a NUL character", "Export the file again; it is damaged.")
    return text


def _plain(text: str) -> str:
    return text if text.isascii() and text.isprintable() else _sound(text)


def _plain_texts(cells: Sequence[str | None], nulls: Collection[str], *, key: bool) -> list[str | None]:
    texts = [cell and cell.strip() for cell in cells]
    (_one_line if key else _plain)("".join(filter(None, texts)))
    return [None if text in nulls else text for text in texts]


def _one_line(text: str) -> str:
    if "\n" in text or "\r" in text:
        raise BadValueError(
            f"{shown(text)} is a key with a line break in it", "Look for a quote that was never closed."
        )
    return _plain(text)


def _choice(values: tuple[str, ...]) -> Callable[[str], str]:
    known = {value: value for value in values}

    def choose(text: str) -> str:
        found = known.get(text) or known.get(text.lower())
        if found is None:
            raise BadValueError(
                f"{shown(text)} is not one of {', '.join(values)}{nearest(text, values)}",
                "Correct the value, or map it in the export.",
            )
        return found

    return choose


def _yes_no(text: str) -> bool:
    found = _TRUTH.get(text.lower())
    if found is None:
        raise BadValueError(
            f"{shown(text)} is neither yes nor no", "Write true or false, yes or no, 1 or 0, or nothing."
        )
    return found


def _integer(text: str) -> int:
    if not _INTEGER.fullmatch(text):
        raise BadValueError(f"{shown(text)} is no whole number", "Write digits only, such as 12.")
    return _within_int64(int(text))


def _within_int64(number: int) -> int:
    if not -_INT64 <= number < _INT64:
        raise BadValueError(f"{shown(number)} is too large", "Correct the number.")
    return number


def _zone(text: str) -> str:
    if text not in clock.zones():
        raise BadValueError(
            f"{shown(text)} is not an IANA time zone{nearest(text, clock.zones())}",
            "Write for example Europe/Amsterdam.",
        )
    return text


def _object(text: str) -> str:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadValueError(f"{shown(text)} is not JSON", 'Write a JSON object, such as {"site": "Delft"}.') from error
    if not isinstance(found, dict):
        raise BadValueError(f"{shown(text)} is not a JSON object", 'Write a JSON object, such as {"site": "Delft"}.')
    return _sound(text)


def _items(text: str, separator: re.Pattern[str]) -> list[str]:
    if text.startswith("["):
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BadValueError(
                f"{shown(text)} begins as a JSON list and is none", 'Write ["a", "b"], or a; b.'
            ) from error
        return _texts(found)
    return [_plain(item.strip()) for item in separator.split(text) if item.strip()]


def _no_array(read: Convert, text: str) -> Any:
    """Read a list written as text; not what PostgreSQL's driver leaves of an array of a type that it does not know."""
    if text.startswith("{") and text.endswith("}"):
        raise BadValueError(f"{shown(text)} is an array of a type that the driver does not know", _CAST)
    return read(text)


def _numbers_too(items: list[Any]) -> list[str]:
    return _texts([str(item) if type(item) is int else item for item in items])


def _texts(items: list[Any]) -> list[str]:
    for item in items:
        if not isinstance(item, str):
            raise BadValueError(f"{shown(item)} stands in a list of texts", 'Write each item as text: ["a", "b"].')
    return [_plain(item.strip()) for item in items if item.strip()]

"""Translate a rule's SQL, written for DuckDB, into Spark's dialect: the same verdicts, or a refusal.

sqlglot parses and writes; what it would translate to something that looks alike and means something else is rewritten
here. A function that is in neither list below is refused with its line: a rule is never run wrongly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache

import duckdb
from sqlglot import ErrorLevel, errors, exp, parse_one
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify

from reconciler.engine.access import CLOSURE
from reconciler.estate.tables import tables

SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
"""What DuckDB's trim removes; Spark's removes the first alone."""

_DAY = "DATE"
_INSTANTS = {"TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMPLTZ", "TIMESTAMPNTZ"}
_FORMATS = {"Y": "yyyy", "m": "MM", "d": "dd", "H": "HH", "M": "mm", "S": "ss", "f": "SSSSSS", "%": "'%'"}
_REGEX = re.compile(
    r"(?:[^\\\[\]{}()?*+|^$.]|\\[.\\*+?()\[\]{}|^$-]|\[\^?[\w @.*?+_-]+\]|[()|.*+?^$]|\{\d+(?:,\d*)?\})*"
)
_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Untranslatable(Exception):  # noqa: N818  # caught where the rule's file is known, and becomes a RuleError
    """What the rule's text says cannot be said to Spark; ``line`` is the line in the rule's text."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True, slots=True)
class Zones:
    """What ``access_deadline`` needs: the estate's zone, the zones known, and the days on which the server errs.

    At a midnight that a change of clocks skips or repeats, DuckDB and a server may choose another instant; ``odd`` says
    DuckDB's: (zone, the day that begins then, the instant).
    """

    estate: str
    known: tuple[str, ...]
    odd: tuple[tuple[str, date, datetime], ...] = ()


_NO_ZONES = Zones("UTC", ("UTC",))


def translate(sql: str, values: Mapping[str, object], zones: Zones) -> str:
    """Return the SELECT in Spark's dialect, with the parameters' ``values`` written into it.

    Raises ``Untranslatable``.
    """
    kinds = tuple((name, type(value)) for name, value in sorted(values.items()))
    text = _template(sql, kinds, zones if "access_deadline" in sql else _NO_ZONES)
    for name, value in values.items():
        text = text.replace(f"'{_mark(name)}'", _written(value))
    return text


@lru_cache(maxsize=512)
def _template(sql: str, kinds: tuple[tuple[str, type], ...], zones: Zones) -> str:
    """Return the SELECT in Spark's dialect with a mark for every parameter: the cases of a rule share it."""
    try:
        tree = parse_one(sql, read="duckdb", error_level=ErrorLevel.RAISE)
    except errors.SqlglotError as error:
        raise Untranslatable(f"Spark's dialect has no such construct: {_first(error)}", _parse_line(error)) from error
    _refuse_unknown(tree)
    marked = dict(kinds)
    tree = tree.transform(lambda node: _parameter(node, marked))
    for part in tree.find_all(exp.CTE):
        part.set("materialized", None)
    try:
        tree = qualify(tree, schema=_schema(), dialect="duckdb", quote_identifiers=True, validate_qualify_columns=False)
        tree = annotate_types(tree, schema=_schema(), dialect="duckdb")
    except errors.SqlglotError as error:
        raise Untranslatable(f"Spark's dialect has no such construct: {_first(error)}") from error
    writer = _Writer(zones)
    for node in list(tree.walk(bfs=False))[::-1]:
        other = writer.rewritten(node)
        if other is not node:
            node.replace(other)
    return str(tree.sql("spark", comments=False, unsupported_level=ErrorLevel.IGNORE))


def literal(value: object) -> str:  # noqa: PLR0911  # a line a type
    """Return a value of the estate as Spark writes it."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).upper()
        case datetime():
            return f"TIMESTAMP '{value.astimezone(UTC).strftime('%Y-%m-%d %H:%M:%S.%f')}+00:00'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case list() | tuple():
            return f"ARRAY({', '.join(map(literal, value))})"
        case int() | float():
            return repr(value)
        case _:
            return str(exp.Literal.string(str(value)).sql("spark"))


def _first(error: Exception) -> str:
    return re.sub(r"\x1b\[\d+m", "", str(error)).splitlines()[0]


def _parse_line(error: Exception) -> int:
    found = error.errors[0].get("line") if isinstance(error, errors.ParseError) and error.errors else None
    return int(found or 1)


@cache
def _schema() -> dict[str, object]:
    known: dict[str, object] = {
        name: {column.name: column.sql for column in table.columns} for name, table in tables().items()
    }
    return known | {"group_closure": dict(CLOSURE)}


def _mark(name: str) -> str:
    return f"\ue900{name}\ue901"


def _parameter(node: exp.Expr, kinds: Mapping[str, type]) -> exp.Expr:
    """Return a typed expression around the mark of a parameter."""
    if not isinstance(node, exp.Placeholder):
        return node
    mark, kind = exp.Literal.string(_mark(node.name)), kinds[node.name]
    if kind is list:
        return exp.Array(expressions=[mark])
    if kind is timedelta:
        # The cast tells the type while types are annotated; it is taken off again.
        made = exp.Anonymous(this="make_dt_interval", expressions=[mark])
        return exp.Cast(this=made, to=exp.DataType.build("INTERVAL", dialect="duckdb"))
    return exp.cast(mark, _KINDS[kind]) if kind in _KINDS else mark


_KINDS: dict[type, str] = {
    bool: "BOOLEAN", datetime: "TIMESTAMPLTZ", date: "DATE", int: "BIGINT", float: "DOUBLE"
}  # fmt: skip


def _written(value: object) -> str:
    """Return what stands in a mark's place."""
    match value:
        case timedelta():
            return f"{value.days}, 0, 0, {value.seconds}.{value.microseconds:06}"
        case list():
            return ", ".join(map(literal, value))
        case _:
            return literal(value)


# Classes of sqlglot's tree that need nothing but other words, or are rewritten by _Writer.
_PLAIN: tuple[type[exp.Expr], ...] = (
    exp.Abs, exp.And, exp.Or, exp.ArrayToString, exp.Avg, exp.Case, exp.Cast, exp.Coalesce, exp.Concat, exp.ConcatWs,
    exp.Contains, exp.Count, exp.CountIf, exp.CumeDist, exp.DateDiff, exp.DenseRank, exp.EndsWith, exp.Exists,
    exp.Explode, exp.FirstValue, exp.Greatest, exp.GroupConcat, exp.If, exp.JSONExtractScalar, exp.Lag, exp.LastValue,
    exp.Lead, exp.Least, exp.Left, exp.Length, exp.LogicalAnd, exp.LogicalOr, exp.Lower, exp.Max, exp.Min, exp.Nullif,
    exp.Rank, exp.RegexpFullMatch, exp.RegexpLike, exp.Replace, exp.Right, exp.RowNumber, exp.StartsWith,
    exp.StrPosition,
    exp.Substring, exp.Sum, exp.TimeToStr, exp.ToDays, exp.Trim, exp.Upper, exp.ArgMax, exp.ArgMin, exp.ArrayContains,
    exp.Array, exp.ArraySize, exp.Unnest, exp.Year, exp.Month, exp.Day, exp.Extract, exp.SplitPart, exp.Ceil, exp.Floor,
    exp.Round, exp.TimestampTrunc, exp.DateTrunc, exp.JSONCast,
)  # fmt: skip
_NAMED = {
    "access_deadline", "date_part", "json_valid", "row", "to_hours", "to_minutes", "to_seconds", "to_weeks", "suffix",
    "prefix", "list_value",
}  # fmt: skip


def _refuse_unknown(tree: exp.Expr) -> None:
    for node in tree.walk():
        if isinstance(node, exp.Anonymous):
            known = node.name.lower() in _NAMED
        elif isinstance(node, exp.Func):
            known = isinstance(node, _PLAIN)
        else:
            known = not isinstance(node, exp.Lambda | exp.Struct | exp.SimilarTo | exp.Bracket)
        if not known:
            name = node.name if isinstance(node, exp.Anonymous) else _called(node)
            raise Untranslatable(f"{name.lower()} has no equal in Spark's dialect", _line(node))


def _called(node: exp.Expr) -> str:
    return str(node.sql_name()) if isinstance(node, exp.Func) else type(node).__name__


def _line(node: exp.Expr) -> int:
    """Return the line of a node, or of the first below it that knows one, or around it."""
    place: exp.Expr | None = node
    while place is not None:
        for part in place.walk():
            if "line" in part.meta:
                return int(part.meta["line"])
        place = place.parent
    return 1


def _call(name: str, *args: exp.Expr | str | int) -> exp.Expr:
    given = [_plain(argument) for argument in args]
    return exp.Anonymous(this=name, expressions=given)


def _plain(argument: exp.Expr | str | int) -> exp.Expr:
    if isinstance(argument, exp.Expr):
        return argument.copy()
    return exp.Literal.number(argument) if isinstance(argument, int) else exp.Literal.string(argument)


def _kind(node: exp.Expr) -> str:
    """Return DuckDB's name of the type, UNKNOWN where sqlglot cannot tell."""
    return str(node.type.this.value) if node.type and isinstance(node.type.this, exp.DType) else "UNKNOWN"


class _Writer:
    """Rewrites what differs, node by node, from the leaves up; a method a class of sqlglot's tree."""

    def __init__(self, zones: Zones) -> None:
        self.zones = zones

    def rewritten(self, node: exp.Expr) -> exp.Expr:
        """Return what stands in the node's place; itself, where nothing differs."""
        rewrite = getattr(self, f"_{type(node).__name__.lower()}", None)
        if rewrite is None:
            return node
        other: exp.Expr = rewrite(node)
        if other is not node and other.type is None:
            other.type = node.type
        return other

    # Text

    def _concat(self, node: exp.Concat) -> exp.Expr:
        return _call("concat_ws", "", *map(self._shown, node.expressions))

    def _concatws(self, node: exp.ConcatWs) -> exp.Expr:
        return _call("concat_ws", *map(self._shown, node.expressions))

    def _dpipe(self, node: exp.DPipe) -> exp.Expr:
        return exp.DPipe(this=self._shown(node.this), expression=self._shown(node.expression), safe=True)

    def _shown(self, node: exp.Expr) -> exp.Expr:
        """Return a part of a text as text; what the two engines write differently is refused."""
        kind = _kind(node)
        if kind in _INSTANTS | {"DOUBLE", "FLOAT", "DECIMAL", "INTERVAL", "ARRAY", "LIST"}:
            raise Untranslatable(
                f"a value of type {kind} in a text reads otherwise; write strftime or a cast", _line(node)
            )
        return node if kind in _TEXTS else exp.cast(node.copy(), "TEXT")

    def _lower(self, node: exp.Lower) -> exp.Expr:
        # Full case mapping knows a final sigma, and two code points for the Turkish capital I; DuckDB maps one by one.
        return exp.Lower(this=_call("translate", node.this, "\u03a3\u0130", "\u03c3i"))

    def _upper(self, node: exp.Upper) -> exp.Expr:
        # Full case mapping makes two or three letters of some; they pass by as private characters.
        wide, single = _uppers()
        hidden = "".join(chr(0xE000 + number) for number in range(len(wide)))
        upper = exp.Upper(this=_call("translate", node.this, wide, hidden))
        return _call("translate", upper, hidden, single)

    def _trim(self, node: exp.Trim) -> exp.Expr:
        chars = node.expression or exp.Literal.string(SPACES)
        return exp.Trim(this=node.this.copy(), expression=chars.copy(), position=node.args.get("position") or "BOTH")

    def _like(self, node: exp.Like) -> exp.Expr:
        if isinstance(node.parent, exp.Escape):
            return node
        # Without ESCAPE a backslash is itself in DuckDB.
        doubled = exp.Replace(
            this=node.expression.copy(), expression=exp.Literal.string("\\"), replacement=exp.Literal.string("\\\\")
        )
        return exp.Like(this=node.this.copy(), expression=doubled)

    def _regexplike(self, node: exp.RegexpLike) -> exp.Expr:
        return exp.RegexpLike(this=node.this.copy(), expression=exp.Literal.string(self._pattern(node)))

    def _regexpfullmatch(self, node: exp.RegexpFullMatch) -> exp.Expr:
        pattern = rf"\A(?:{self._pattern(node)})\z"
        return exp.RegexpLike(this=node.this.copy(), expression=exp.Literal.string(pattern))

    def _pattern(self, node: exp.Expr) -> str:
        pattern = node.args.get("expression")
        known = isinstance(pattern, exp.Literal) and not node.args.get("flag") and not node.args.get("options")
        if not known or not isinstance(pattern, exp.Literal) or not _REGEX.fullmatch(pattern.name):
            told = "only a plain pattern (letters, sets, * + ? and bars) means the same in every engine"
            raise Untranslatable(told, _line(node))
        # Java's $ would stand before a last line break, too.
        return re.sub(r"(?<!\\)\$(?![^\[]*\])", r"\\z", pattern.name)

    def _substring(self, node: exp.Substring) -> exp.Expr:
        self._hold_positive(node, node.args.get("start"))
        return node

    def _left(self, node: exp.Left) -> exp.Expr:
        self._hold_positive(node, node.expression)
        return node

    def _right(self, node: exp.Right) -> exp.Expr:
        self._hold_positive(node, node.expression)
        return node

    def _splitpart(self, node: exp.SplitPart) -> exp.Expr:
        self._hold_positive(node, node.args.get("part_index"))
        return node

    def _hold_positive(self, node: exp.Expr, number: exp.Expr | None) -> None:
        if number is not None and not _positive(number):
            raise Untranslatable(f"{_called(node).lower()} needs a plain number above 0 here", _line(node))

    def _length(self, node: exp.Length) -> exp.Expr:
        if _kind(node.this) in {"ARRAY", "LIST"}:
            return _null_or(node.this, _call("size", node.this))
        return node

    # Instants and days

    def _timetostr(self, node: exp.TimeToStr) -> exp.Expr:
        form = node.args["format"]
        if not isinstance(form, exp.Literal):
            raise Untranslatable("strftime needs its format as a plain text", _line(node))
        return _call("date_format", node.this, _format(form.name, _line(node)))

    def _add(self, node: exp.Add) -> exp.Expr:
        return self._moved(node, "date_add")

    def _sub(self, node: exp.Sub) -> exp.Expr:
        if _kind(node.this) == _DAY and _kind(node.expression) == _DAY:
            return _call("datediff", node.this, node.expression)
        return self._moved(node, "date_sub")

    def _moved(self, node: exp.Binary, by_days: str) -> exp.Expr:
        left, right = _kind(node.this), _kind(node.expression)
        if right == "INTERVAL" and left in {"UNKNOWN", _DAY}:
            return type(node)(this=exp.cast(node.this.copy(), "TIMESTAMPLTZ"), expression=node.expression.copy())
        if "UNKNOWN" in {left, right}:
            raise Untranslatable(f"{node.sql('duckdb')}: what is counted here is unknown; cast its parts", _line(node))
        if left == _DAY and right in _WHOLE:
            return _call(by_days, node.this, exp.cast(node.expression.copy(), "INT"))
        if right == _DAY and left in _WHOLE:
            return _call(by_days, node.expression, exp.cast(node.this.copy(), "INT"))
        return node

    def _datediff(self, node: exp.DateDiff) -> exp.Expr:
        """Boundaries are counted, as DuckDB does: from 23:59 to 00:01 is one day."""
        later, earlier, unit = node.this, node.expression, node.text("unit").upper()
        if unit == "DAY":
            return _call("datediff", exp.cast(later.copy(), _DAY), exp.cast(earlier.copy(), _DAY))
        if unit not in _UNITS:
            raise Untranslatable(f"date_diff of {unit.lower() or 'this'} has no equal in Spark's dialect", _line(node))
        ends = (_call("date_trunc", unit.lower(), part) for part in (later, earlier))
        seconds = [_call("unix_timestamp", end) for end in ends]
        whole = exp.Paren(this=exp.Sub(this=seconds[0], expression=seconds[1]))
        return exp.cast(exp.Div(this=whole, expression=exp.Literal.number(_UNITS[unit])), "BIGINT")

    def _todays(self, node: exp.ToDays) -> exp.Expr:
        return self._interval(node.this, 86400)

    def _interval(self, count: exp.Expr, seconds: int) -> exp.Expr:
        """Return ``count`` times so many seconds; days and hours are all of one length in UTC."""
        days, hours, minutes = seconds // 86400, seconds % 86400 // 3600, seconds % 3600 // 60
        number = exp.cast(count.copy(), "INT")
        parts = (days, hours, minutes, seconds % 60)
        given = [exp.Mul(this=number, expression=exp.Literal.number(part)) if part else 0 for part in parts]
        moved = _call("make_dt_interval", *given)
        moved.type = exp.DataType.build("INTERVAL", dialect="duckdb")
        return moved

    def _cast(self, node: exp.Cast) -> exp.Expr:
        source, target = _kind(node.this), str(node.to.this.value)
        fixed = isinstance(node.this, exp.Literal | exp.Null)
        if target == "INTERVAL":
            value: exp.Expr = node.this
            value.type = node.to
            return value
        if target in _TEXTS:
            return exp.cast(self._shown(node.this).copy(), "TEXT")
        if target in _INSTANTS:
            target = "TIMESTAMPLTZ"
        if not fixed and (source in _TEXTS | {"UNKNOWN"} or (source in _BROKEN and target not in _BROKEN)):
            raise Untranslatable(f"a cast of {source} to {target} differs between engines", _line(node))
        return _typed_as(node, target) if target == "TIMESTAMPLTZ" else node

    def _trycast(self, node: exp.TryCast) -> exp.Expr:
        raise Untranslatable("try_cast differs between engines", _line(node))

    def _ilike(self, node: exp.ILike) -> exp.Expr:
        raise Untranslatable("ilike has no equal in Spark's dialect; write lower(x) like", _line(node))

    # Numbers

    def _div(self, node: exp.Div) -> exp.Expr:
        self._hold_positive(node, node.expression)
        return node

    def _intdiv(self, node: exp.IntDiv) -> exp.Expr:
        self._hold_positive(node, node.expression)
        return node

    # Lists and rows

    def _arraycontains(self, node: exp.ArrayContains) -> exp.Expr:
        items, wanted = node.this, node.expression
        if isinstance(items, exp.Array) and all(isinstance(item, exp.Literal) for item in items.expressions):
            return exp.In(this=wanted.copy(), expressions=[item.copy() for item in items.expressions])
        found = exp.func("coalesce", _call("array_contains", items, wanted), exp.false())
        return _null_or(items, _null_or(wanted, found))

    def _argmax(self, node: exp.ArgMax) -> exp.Expr:
        return self._picked("max_by", node)

    def _argmin(self, node: exp.ArgMin) -> exp.Expr:
        return self._picked("min_by", node)

    def _picked(self, name: str, node: exp.Expr) -> exp.Expr:
        """A row without the value is out; within a row, null is the greatest part."""
        value, order = node.this, node.expression
        if isinstance(order, exp.Anonymous) and order.name.lower() == "row":
            parts = [
                part for key in order.expressions for part in (exp.Is(this=key.copy(), expression=exp.Null()), key)
            ]
            order = _call("struct", *parts)
        return _call(name, value, _null_or(value, order))

    def _jsonextractscalar(self, node: exp.JSONExtractScalar) -> exp.Expr:
        path = node.expression
        parts = path.expressions if isinstance(path, exp.JSONPath) else []
        keys = [part.this for part in parts[1:] if isinstance(part, exp.JSONPathKey)]
        if not keys or len(keys) != len(parts) - 1 or not all(_KEY.fullmatch(str(key)) for key in keys):
            raise Untranslatable("json_extract_string needs a plain path such as '$.dn'", _line(node))
        return _call("get_json_object", node.this, f"$.{'.'.join(keys)}")

    def _anonymous(self, node: exp.Anonymous) -> exp.Expr:  # noqa: PLR0911  # a line a function
        name, given = node.name.lower(), node.expressions
        match name:
            case "access_deadline":
                return self._deadline(*given)
            case "json_valid":
                valid = exp.Is(this=_call("get_json_object", given[0], "$"), expression=exp.Null()).not_()
                return _null_or(given[0], valid)
            case "to_hours" | "to_minutes" | "to_seconds" | "to_weeks":
                return self._interval(given[0], _SECONDS[name])
            case "prefix" | "suffix":
                return _call("startswith" if name == "prefix" else "endswith", *given)
            case "list_value":
                return exp.Array(expressions=[item.copy() for item in given])
            case "date_part":
                return self._part(node, *given)
            case _:
                return node

    def _part(self, node: exp.Expr, unit: exp.Expr, value: exp.Expr) -> exp.Expr:
        name = unit.name.lower()
        if name not in {"year", "month", "day", "hour", "minute", "quarter"}:
            raise Untranslatable(f"date_part of {name!r} has no equal in Spark's dialect", _line(node))
        return _call(name, value)

    def _deadline(self, day: exp.Expr, zone: exp.Expr, grace: exp.Expr) -> exp.Expr:
        """The instant at which the day had ended in its zone, plus the grace: see ``Sandbox.zones``."""
        known = [exp.Literal.string(name) for name in self.zones.known]
        place = exp.func("coalesce", zone.copy(), exp.Literal.string(self.zones.estate))
        after = _call("date_add", day, 1)
        # The server may look at the zone of rows that the CASE keeps out.
        safe = exp.Case(ifs=[exp.If(this=exp.In(this=place.copy(), expressions=known), true=place.copy())])
        asked = exp.func("coalesce", safe, exp.Literal.string("UTC"))
        there = _call("to_utc_timestamp", exp.cast(after.copy(), "TIMESTAMPLTZ"), asked)
        ifs = [
            exp.If(
                this=exp.and_(
                    exp.EQ(this=place.copy(), expression=exp.Literal.string(name)),
                    exp.EQ(this=after.copy(), expression=_typed(odd)),
                ),
                true=_typed(instant),
            )
            for name, odd, instant in self.zones.odd
        ]
        ifs.append(exp.If(this=exp.In(this=place.copy(), expressions=[k.copy() for k in known]), true=there))
        return exp.Paren(this=exp.Add(this=exp.Case(ifs=ifs), expression=grace.copy()))


_TEXTS = {"TEXT", "VARCHAR", "CHAR"}
_WHOLE = {"INT", "BIGINT", "SMALLINT", "TINYINT", "INT128"}
_BROKEN = {"DOUBLE", "FLOAT", "DECIMAL"}
_UNITS = {"HOUR": 3600, "MINUTE": 60, "SECOND": 1}
_SECONDS = {"to_weeks": 604800, "to_hours": 3600, "to_minutes": 60, "to_seconds": 1}


def _positive(node: exp.Expr) -> bool:
    if isinstance(node, exp.Cast):
        node = node.this
    return isinstance(node, exp.Literal) and not node.is_string and float(node.name) > 0


def _typed(value: date) -> exp.Expr:
    kind = "TIMESTAMPLTZ" if isinstance(value, datetime) else "DATE"
    text = value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00:00") if isinstance(value, datetime) else str(value)
    return exp.cast(exp.Literal.string(text), kind)


def _typed_as(node: exp.Cast, target: str) -> exp.Expr:
    value: exp.Expr = node.this
    return exp.Cast(this=value.copy(), to=exp.DataType.build(target))


def _null_or(tested: exp.Expr, value: exp.Expr) -> exp.Expr:
    """Return ``value``, null where ``tested`` is."""
    if isinstance(tested, exp.Literal):
        return value
    there = exp.Is(this=tested.copy(), expression=exp.Null()).not_()
    return exp.Case(ifs=[exp.If(this=there, true=value.copy())])


def _format(form: str, line: int) -> str:
    """Return a strftime format as Java writes it."""
    parts: list[str] = []
    for mark, text in re.findall(r"%(.)|([^%]+)", form):
        if mark and mark not in _FORMATS:
            raise Untranslatable(f"strftime's %{mark} has no equal in Spark's dialect", line)
        quoted = text.replace("'", "''")
        parts.append(_FORMATS[mark] if mark else f"'{quoted}'" if re.search(r"[A-Za-z'\[\]{}#]", text) else text)
    return "".join(parts)


@cache
def _uppers() -> tuple[str, str]:
    """Return the letters whose capitals are several letters in Unicode's full mapping, and DuckDB's one for each."""
    wide = "".join(chr(code) for code in range(0x110000) if len(chr(code).upper()) > 1)
    with duckdb.connect() as connection:
        row = connection.execute("SELECT upper(?)", [wide]).fetchone()
    return wide, str(row[0]) if row else wide

"""The functions a rule may call; everything else is refused.

On the list: what is pure, needs no order of rows, reads nothing outside its arguments and cannot make a
value much larger than them. ``access_deadline`` is ours (``reconciler.engine.sandbox``).
"""

from __future__ import annotations

OPERATORS = frozenset({"+", "-", "*", "/", "//", "%", "||", "~~", "!~~", "~~*", "!~~*", "~~~", "->>", "->"})
TEXT = frozenset(
    {
        "concat",
        "concat_ws",
        "contains",
        "ends_with",
        "instr",
        "left",
        "length",
        "lower",
        "ltrim",
        "nfc_normalize",
        "prefix",
        "regexp_extract",
        "regexp_full_match",
        "regexp_matches",
        "regexp_replace",
        "replace",
        "right",
        "rtrim",
        "split_part",
        "starts_with",
        "strip_accents",
        "substr",
        "substring",
        "suffix",
        "trim",
        "upper",
        "like_escape",
        "ilike_escape",
        "not_like_escape",
        "not_ilike_escape",
        "json_extract_string",
        "json_valid",
    }
)
TIME = frozenset(
    {
        "access_deadline",
        "date_diff",
        "date_part",
        "date_trunc",
        "datediff",
        "datepart",
        "datetrunc",
        "epoch",
        "strftime",
        "timezone",
        "to_days",
        "to_hours",
        "to_minutes",
        "to_seconds",
        "to_weeks",
    }
)
VALUE = frozenset(
    {
        "abs",
        "ceil",
        "floor",
        "greatest",
        "if",
        "ifnull",
        "least",
        "nullif",
        "round",
        "trunc",
        "row",
        "struct_extract",
        "struct_pack",
        "list_value",
        "list_contains",
        "list_has",
        "list_has_any",
        "list_filter",
        "list_apply",
        "list_transform",
        "list_distinct",
        "list_extract",
        "list_sort",
        "array_to_string",
        "array_extract",
        "len",
        "unnest",
    }
)
AGGREGATE = frozenset(
    {
        "arg_max",
        "arg_min",
        "max_by",
        "min_by",
        "bool_and",
        "bool_or",
        "count",
        "count_if",
        "count_star",
        "list",
        "array_agg",
        "max",
        "min",
        "string_agg",
        "sum",
        "avg",
    }
)
WINDOW = frozenset(
    {"row_number", "rank", "dense_rank", "lag", "lead", "first_value", "last_value", "nth_value", "cume_dist"}
)

FUNCTIONS = OPERATORS | TEXT | TIME | VALUE | AGGREGATE | WINDOW
"""Every function a rule may call."""

UNORDERED = frozenset({"list", "array_agg", "string_agg"})
"""Aggregates whose value depends on the order of rows; they need an ORDER BY inside."""

PICKS = frozenset({"arg_max", "arg_min", "max_by", "min_by"})
"""Aggregates that pick one of several rows; a tie must be broken by the value itself."""

ORDERED = WINDOW | {"ntile", "percent_rank"}
"""Window functions that count or look along an order; they need one."""

CLOCKS = frozenset(
    {
        "now",
        "today",
        "current_date",
        "current_time",
        "current_timestamp",
        "current_localtime",
        "current_localtimestamp",
        "get_current_time",
        "get_current_timestamp",
        "transaction_timestamp",
        "statement_timestamp",
        "localtime",
        "localtimestamp",
        "age",
    }
)
"""What would make a replay differ from the run it repeats; named apart for a better message."""

SESSION = frozenset(
    {"current_catalog", "current_database", "current_role", "current_schema", "current_user", "session_user", "user"}
)
"""Written like columns, they tell of the session."""

ROW_NUMBERS = frozenset({"rowid", "filename", "file_row_number", "file_index"})
"""Columns that DuckDB adds by itself; they number rows as they happened to be loaded."""

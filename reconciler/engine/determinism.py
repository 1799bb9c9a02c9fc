"""Find calls whose value depends on the order in which rows happen to come; a replay must give the same verdicts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.engine.functions import ORDERED, PICKS, UNORDERED

_PLACES = {"query_location", "query_location_length", "alias"}
_ROWS = {"row", "struct_pack"}


@dataclass(frozen=True, slots=True)
class Doubt:
    """What is left to chance in a call, and how to settle it."""

    message: str
    advice: str


def doubt(name: str, node: dict[str, Any]) -> Doubt | None:
    """Say what a call of the function ``name`` leaves to chance; None where it leaves nothing.

    ``node`` is the call in DuckDB's parse tree.
    """
    given = [_bare(item["expression"]) for item in node.get("arguments", ())]
    if node.get("class") == "WINDOW":
        keys = _keys(node.get("orders", ()))
        if name in ORDERED and not any(map(_varies, keys)):
            return Doubt(f"{name}() without an order", "Write ORDER BY something unique inside OVER.")
    else:
        keys = _keys(node.get("order_bys", {}).get("orders", ()))
    if name in UNORDERED and not any(map(_varies, keys)):
        return Doubt(f"{name}() without an order", "Write ORDER BY inside it, so that every run gives the same text.")
    if name in UNORDERED and given and given[0] not in keys:
        return Doubt(
            f"{name}() leaves ties in chance's order", "Order by what is gathered, too: string_agg(x, ', ' order by x)."
        )
    if name in PICKS and len(given) > 1 and given[0] not in _parts(given[1]):
        return Doubt(f"{name}() picks among ties by chance", f"Let the value break ties: {name}(x, row(y, x)).")
    return None


def _keys(orders: Any) -> list[Any]:
    return [_bare(order["expression"]) for order in orders if "expression" in order]


def _parts(value: Any) -> Iterator[Any]:
    """Yield what is compared: the value itself, or each part of a row."""
    yield value
    if isinstance(value, dict) and value.get("function_name") in _ROWS:
        yield from (item["expression"] for item in value.get("arguments", ()))


def _bare(node: Any) -> Any:
    """Return an expression without where it stands and what it is called, to be compared with another."""
    if isinstance(node, dict):
        return {key: _bare(value) for key, value in node.items() if key not in _PLACES}
    return [_bare(item) for item in node] if isinstance(node, list) else node


def _varies(node: Any) -> bool:
    """Say whether an expression depends on the row: one without a column orders nothing."""
    if isinstance(node, dict):
        return node.get("class") == "COLUMN_REF" or any(map(_varies, node.values()))
    return isinstance(node, list) and any(map(_varies, node))

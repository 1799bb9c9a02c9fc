"""The reference page of the estate, written from the records themselves."""

from __future__ import annotations

from reconciler.estate.tables import Table, tables

BEGIN = "<!-- reference: begin; written by `python -m reconciler.estate.reference` -->"
END = "<!-- reference: end -->"

_GROUPS = {
    "identity": "What identity sources report",
    "governance": "What governance sources report",
    "built": "What the product builds",
    "declared": "What the organisation declares in its configuration",
}


def page() -> str:
    """Return the reference of every table as Markdown, between its two markers."""
    parts = [BEGIN]
    for group, heading in _GROUPS.items():
        parts += ["", f"## {heading}"]
        parts += [_table(table) for table in tables().values() if table.group == group]
    return "\n".join([*parts, "", END])


def _table(table: Table) -> str:
    rows = [
        f"| {column.name}{' *' if column.key else ''} | {column.type_name} | {_values(column.values)}{column.doc} |"
        for column in table.columns
    ]
    return "\n".join(
        ["", f"### {table.name}", "", table.doc, "", "| column | type | meaning |", "|---|---|---|", *rows]
    )


def _values(values: tuple[str, ...]) -> str:
    return f"{' '.join(f'`{value}`' for value in values)}: " if values else ""


def replaced(text: str) -> str:
    """Return ``text`` (a README) with the reference between its markers brought up to date."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + page() + after


if __name__ == "__main__":
    from pathlib import Path

    readme = Path(__file__).with_name("README.md")
    readme.write_text(replaced(readme.read_text(encoding="utf-8")), encoding="utf-8")

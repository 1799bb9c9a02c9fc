"""Plain text as an Atlassian Document, and back: paragraphs, lists, line breaks, and nothing that could be markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

import msgspec

from reconciler.sdk.texts import fitting

Node = dict[str, Any]

LONGEST = 32_767
"""What a text of Jira may have: bytes of the whole document in JSON, its nodes counted, not the text alone."""

_LINES = frozenset({"paragraph", "heading", "codeBlock", "rule"})


def document(text: str) -> Node:
    """Return text as a document that Jira takes: of one that is too long the middle is left out.

    Empty lines part paragraphs, lines that start with ``- `` are items of a list.
    """
    return _whole(fitting(text, LONGEST, lambda cut: len(msgspec.json.encode(_whole(cut)))))


def text_of(node: object) -> str:
    """Return what a document says, as plain text; empty for what is none."""
    return "".join(_said(node)).strip("\n")


def _whole(text: str) -> Node:
    content: list[Node] = []
    lines = [line.rstrip() for line in text.splitlines()]
    for blank, block in groupby(lines, key=lambda line: not line):
        if not blank:
            for item, part in groupby(block, key=lambda line: line.startswith("- ")):
                node = _list if item else _paragraph
                content.append(node(list(part)))
    return {"type": "doc", "version": 1, "content": content or [_paragraph([])]}


def _paragraph(lines: list[str]) -> Node:
    content: list[Node] = []
    for line in lines:
        if content:
            content.append({"type": "hardBreak"})
        content.append({"type": "text", "text": line})
    return {"type": "paragraph", "content": content}


def _list(lines: list[str]) -> Node:
    # A text node may not be empty.
    items = [{"type": "listItem", "content": [_paragraph([line[2:]] if line[2:] else [])]} for line in lines]
    return {"type": "bulletList", "content": items}


def _said(node: object) -> Iterator[str]:
    if not isinstance(node, Mapping):
        return
    kind, attributes = node.get("type"), node.get("attrs")
    if isinstance(node.get("text"), str):
        yield node["text"]
    elif kind == "hardBreak":
        yield "\n"
    elif isinstance(attributes, Mapping):
        # A mention, an emoji, a card: what stands for it in text.
        shown = attributes.get("text") or attributes.get("shortName") or attributes.get("url")
        if isinstance(shown, str):
            yield shown
    if kind == "listItem":
        yield "- "
    content = node.get("content")
    for inner in content if isinstance(content, list) else []:
        yield from _said(inner)
    if kind in _LINES:
        yield "\n"

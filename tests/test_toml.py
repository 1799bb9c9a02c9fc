from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from reconciler.errors import ConfigurationError
from reconciler.toml import Key, line_of, parse, read

TEXT = '''# head
id = "X" # [not.a.header]
a.b = 1
quoted."x.y" = """
[also.no.header]
many = "lines"
"""
[params.grace]
type = "duration"
list = [
  1, # one ]
  { deep = "}", other = [3,
    4] },
]
[[case]]
name = 'first'
[[case]]
name = "second"
given.people = [
  { person_id = "p1" },
  { person_id = "p2", ends_on = 2026-01-31 },
]
[case.sub]
key = true
[[case]]
'''


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("id",), 2),
        (("a", "b"), 3),
        (("quoted", "x.y"), 4),
        (("params", "grace"), 8),
        (("params", "grace", "type"), 9),
        (("params", "grace", "list", 1, "deep"), 12),
        (("params", "grace", "list", 1, "other", 1), 13),
        (("case", 0), 15),
        (("case", 1, "name"), 18),
        (("case", 1, "given", "people", 1, "ends_on"), 21),
        (("case", 1, "sub", "key"), 24),
        (("case", 2), 25),
        (("case", 2, "missing"), 25),
        (("nowhere",), 1),
    ],
)
def test_a_key_is_found_on_its_line(keys: tuple[Key, ...], line: int) -> None:
    tomllib.loads(TEXT)
    assert line_of(TEXT, keys) == line


def test_a_document_names_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(TEXT)
    document = read(path)
    assert document.data["a"]["b"] == 1
    assert document.at("case", 1, "name") == f"{path}:18"
    assert document.line("id") == 2


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a = 1\nb = \n", "x.toml:2:5: not TOML: Invalid value"),
        (b"a = 1\nb = [1,\n", "x.toml:2:8: not TOML"),
        (b"a = 1\n\nb = '\xff'\n", "x.toml:3:6: not UTF-8 text"),
        (b"a = 1\nb = [\n  " + b"9" * 5000 + b"]\n", "x.toml:3:3: not TOML: a number of too many digits"),
    ],
)
def test_bad_text_is_named_with_its_line(raw: bytes, message: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse(raw, Path("x.toml"))
    assert raised.value.message.startswith(message)
    assert raised.value.advice


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"gone\.toml: No such file"):
        read(tmp_path / "gone.toml")


@pytest.mark.parametrize("opening", ["[", "{b = "])
def test_a_text_that_nests_too_deeply_is_named_with_its_line(opening: str) -> None:
    with pytest.raises(ConfigurationError, match=r"x\.toml:2:1: nested too deeply"):
        parse(b"a = [1]\nb = " + opening.encode() * 5000, Path("x.toml"))


def test_what_the_parser_still_takes_is_found_on_its_line() -> None:
    text = f"a = 1\nb = {'[' * 300}{']' * 300}\nc = 3\n"
    document = parse(text.encode(), Path("x.toml"))
    assert document.line("c") == 3

"""Templates name facts that there are, keep types, and let nobody's name into a ticket."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from reconciler.errors import ConfigurationError
from reconciler.filing.facts import Named, example, mapping
from reconciler.filing.systems import open_systems, ticket
from reconciler.sections import templates
from reconciler.sections.filing import BODY, TITLE
from reconciler.settings import Settings, load, schema

HEAD = '[estate]\nname = "acme"\ntime_zone = "Europe/Amsterdam"\n[sources.hr]\nconnector = "files"\npath = "hr"\n'
SYSTEM = '[filing.systems.desk]\nconnector = "desk"\nurl = "http://127.0.0.1:9"\n'
PERSON = Named(finding_id="F-1", account="u-1001", reason="Ada Byron left on 2026-02-01", person_id="P-42")
FACTS = msgspec.structs.replace(
    example(), about="NC-000123", statement="Ada Byron left.", owner="P-17", findings=(PERSON,) * 3
)


pytestmark = pytest.mark.usefixtures("desk_is_a_connector")


def loaded(folder: Path, text: str) -> Settings:
    path = folder / "reconciler.toml"
    path.write_text(HEAD + text, encoding="utf-8")
    return load(path)


def test_every_fact_is_documented_and_every_documented_one_is_there() -> None:
    for personal in (False, True):
        there = mapping(FACTS, personal_data=personal, listed=2, time_zone="UTC")
        documented = templates.known(personal_data=personal)
        assert there.keys() == documented.keys()
        assert there["findings"][0].keys() == documented["findings"][0].keys()
        assert {name: type(fact) for name, fact in there.items()} == {n: type(f) for n, f in documented.items()}


def test_the_texts_of_the_product_are_templates() -> None:
    for text in (TITLE, BODY):
        assert templates.problem(text, personal_data=False) is None


def test_a_ticket_says_what_is_known(tmp_path: Path) -> None:
    made = ticket(loaded(tmp_path, "[filing]\nlisted_findings = 2\n" + SYSTEM), "desk", FACTS)
    assert made.key == "rec-acme-nc-000123"
    assert made.title == "NC-000123: A leaver can sign in, in an example source"
    assert "Due: 2026-03-08" in made.body
    assert "3 findings stand:\n- F-1: u-1001\n- F-1: u-1001\n- and 1 more" in made.body


def test_nobody_is_named_without_personal_data(tmp_path: Path) -> None:
    everything = "{{ statement }}|{% for f in findings %}{{ f }}{% endfor %}|" + "|".join(
        f"{{{{ {name} }}}}" for name in templates.FACTS
    )
    made = ticket(loaded(tmp_path, f"{SYSTEM}body = '{everything}'\n"), "desk", FACTS)
    assert "Ada" not in made.body
    assert "P-42" not in made.body
    assert "P-17" not in made.body
    assert "u-1001" in made.body
    named = "{{ statement }} {{ owner }} {% for f in findings %}{{ f.reason }} {{ f.person_id }}{% endfor %}"
    made = ticket(loaded(tmp_path, f"[filing]\npersonal_data = true\n{SYSTEM}body = '{named}'\n"), "desk", FACTS)
    assert made.body.startswith("Ada Byron left. P-17 Ada Byron left on 2026-02-01 P-42")


def test_fields_keep_their_types_and_are_templates_however_deep(tmp_path: Path) -> None:
    text = """\
[filing.systems.desk.fields]
priority = 2
urgent = true
count = "{{ findings_count }}"
controls = "{{ controls }}"
due = "{{ due_on }}"
plain = "in {{ source }}"
nested = { name = "{{ rule_id }}", list = ["{{ severity }}", 1, { deep = "{{ number }}" }] }
upper = "{{ severity | upper }}"
mapped = "{{ findings | map(attribute='account') | list }}"
"""
    assert ticket(loaded(tmp_path, SYSTEM + text), "desk", FACTS).fields == {
        "priority": 2,
        "urgent": True,
        "count": 3,
        "controls": ["EXAMPLE-1"],
        "due": "2026-03-08",
        "plain": "in example",
        "nested": {"name": "IG-LVR-001", "list": ["high", 1, {"deep": "NC-000123"}]},
        "upper": "HIGH",
        "mapped": ["u-1001", "u-1001", "u-1001"],
    }


def test_what_a_source_said_begins_no_line_and_is_no_template(tmp_path: Path) -> None:
    odd = Named(finding_id="F-1", account="u\n- {{ owner }}\x00\u202e1")
    made = ticket(loaded(tmp_path, SYSTEM), "desk", msgspec.structs.replace(FACTS, findings=(odd,), title="T\nU" * 200))
    assert "- F-1: u - {{ owner }} 1\n" in made.body
    assert "\n" not in made.title
    assert len(made.title) <= 250
    assert made.title.endswith("...")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('title = "{{ titel }}"', 10, "filing.systems.desk.title: unknown field titel; did you mean title?"),
        ('body = "{{ zzz }}"', 10, "unknown field zzz; known: number, title"),
        ('body = """\nOne\n{{ sevrity }}\n"""', 12, "unknown field sevrity; did you mean severity?"),
        ('body = """One\n{{ sevrity }}"""', 11, "unknown field sevrity"),
        ('title = "{{ owner }}"', 10, "owner names people: it is there with personal_data = true only"),
        (
            'body = "{% for f in findings %}{{ f.acount }}{% endfor %}"',
            10,
            "unknown field finding.acount; did you mean finding.account?",
        ),
        (
            "body = \"{% for f in findings | sort(attribute='account') %}{{ f.reason }}{% endfor %}\"",
            10,
            "finding.reason names people",
        ),
        ("body = \"{{ findings | map(attribute='reason') | join }}\"", 10, "cannot be filled in"),
        ('body = "{{ title.nothing }}"', 10, "cannot be filled in"),
        ('body = "{{ title"', 10, "is no template"),
        ('body = "{{ title | shout }}"', 10, "is no template: No filter named 'shout'"),
        ("body = \"{% include '/etc/passwd' %}\"", 10, "cannot be filled in"),
        ('body = "{{ range(9) }}"', 10, "unknown field range"),
        ('body = "{{ title.__class__.__mro__ }}"', 10, "cannot be filled in"),
        ('body = "{% if source %}{% else %}{{ 1 / 0 }}{% endif %}"', 10, "division by zero"),
        ('fields.nested = [{ deep = "{{ titel }}" }]', 10, "filing.systems.desk.fields.nested.0.deep: unknown field"),
        ('colour = "red"', 10, "filing.systems.desk.colour: unknown key"),
    ],
)
def test_a_template_that_cannot_work_is_refused_where_it_stands(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, f"{SYSTEM}{text}\n")
    assert said in caught.value.message
    assert f"reconciler.toml:{line}: " in caught.value.message


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[filing.systems.desk]\nurl = "x"\n', "7: filing.systems.desk: connector is missing; use one of: "),
        ('[filing.systems.desk]\nconnector = "dseK"\n', "7: filing.systems.desk: unknown connector 'dseK'"),
        ('[filing.systems.desk]\nconnector = "ldap"\n', "the connector 'ldap' files no tickets"),
        ('[filing.systems.desk]\nconnector = "desk"\n', "filing.systems.desk.url: is missing"),
        ("[filing]\nenabled = true\n", "8: filing.enabled: files nowhere"),
        ('[filing]\ntitle = "{{ numbr }}"\n', "8: filing.title: unknown field numbr; did you mean number?"),
    ],
)
def test_a_section_that_cannot_work_is_refused_where_it_stands(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        loaded(tmp_path, text)
    assert said in caught.value.message


def test_a_system_that_is_none_names_those_there_are(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SYSTEM)
    assert list(open_systems(settings)) == ["desk"]
    with pytest.raises(ConfigurationError) as caught:
        open_systems(settings, ["dks"])
    assert caught.value.advice == "Use one of: desk."


def test_facts_that_a_template_cannot_take_are_said_with_its_place(tmp_path: Path) -> None:
    settings = loaded(tmp_path, SYSTEM + 'fields.first = "{{ 1 / (5 - findings_count) }}"\n')
    five = msgspec.structs.replace(FACTS, findings=(PERSON,) * 5)
    with pytest.raises(
        ConfigurationError, match=r"toml:10: filing.systems.desk.fields cannot be filled in for NC-000123"
    ):
        ticket(settings, "desk", five)


def test_the_schema_describes_systems_by_their_connectors() -> None:
    described = schema()["$defs"]
    refs = [ref["$ref"] for ref in described["Filing"]["properties"]["systems"]["additionalProperties"]["oneOf"]]
    assert "#/$defs/system_desk" in refs
    assert "url" in described["system_desk"]["properties"]

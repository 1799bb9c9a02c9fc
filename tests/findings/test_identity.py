from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ConfigurationError
from reconciler.estate.results import Outcome
from reconciler.findings.identity import canonical, content, finding_id
from tests.findings.nights import rule, verdict

SUBJECTS = st.dictionaries(st.text(min_size=1), st.none() | st.text(min_size=1), min_size=1).filter(
    lambda subject: any(subject.values())
)


def test_the_id_of_a_subject_never_changes() -> None:
    subject = {"source": "ldap", "account_id": "b1946ac9-2f7c-4b5e-9d1a-3d1f6a1c0001"}
    assert canonical(subject) == b'{"account_id":"b1946ac9-2f7c-4b5e-9d1a-3d1f6a1c0001","source":"ldap"}'
    assert finding_id("IG-LVR-001", subject) == "F-48ad38569647c8c17f08"


@given(SUBJECTS)
def test_the_order_of_identity_columns_plays_no_part(subject: dict[str, str | None]) -> None:
    turned = dict(reversed(subject.items()))
    assert finding_id("R", subject) == finding_id("R", turned)
    assert re.fullmatch(r"F-[0-9a-f]{20}", finding_id("R", subject))


@given(SUBJECTS, SUBJECTS)
def test_two_subjects_have_two_ids(one: dict[str, str | None], other: dict[str, str | None]) -> None:
    assert (finding_id("R", one) == finding_id("R", other)) == (one == other)


def test_a_value_cannot_pass_for_another_column_or_rule() -> None:
    ids = {
        finding_id("R1", {"a": "x", "b": None}),
        finding_id("R1", {"a": "x"}),
        finding_id("R1", {"a": "null"}),
        finding_id("R1", {"a": 'x","b":null'}),
        finding_id("R2", {"a": "x"}),
    }
    assert len(ids) == 5


@pytest.mark.parametrize("subject", [{}, {"account_id": None}, {"source": None, "account_id": ""}])
def test_a_subject_without_a_value_is_refused(subject: dict[str, str | None]) -> None:
    with pytest.raises(ConfigurationError, match="rule IG-LVR-001 gave a subject without any value") as refused:
        finding_id("IG-LVR-001", subject)
    assert "IG-LVR-001" in refused.value.advice


def test_content_tells_what_is_said_apart_but_not_of_whom() -> None:
    same = content(rule(), verdict("a"))
    assert same == content(rule(), verdict("b"))
    others = {
        content(rule(version=2), verdict("a")),
        content(rule(severity="low"), verdict("a")),
        content(rule(name="renamed"), verdict("a")),
        content(rule(), verdict("a", Outcome.NOT_EVALUABLE)),
        content(rule(), verdict("a", reason="left on 2026-02-02")),
        content(rule(), verdict("a", person="p1")),
        content(rule(), verdict("a", source="aws")),
    }
    assert len(others | {same}) == 8

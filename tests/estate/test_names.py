from __future__ import annotations

import pytest

from reconciler.estate import names
from reconciler.estate.names import Named


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("Ada Byron", "Byron, Ada (Contractor)", False),
        ("Ada Byron", "Ada King", False),
        ("Ada Byron", "Aad Byorn", False),
        ("A. Byron", "Ada King", False),
        ("Zoë Straße", "ZOE STRASSE", False),
        ("abyron", "Bob Stone", False),
        ("Юрий Иванов", "Yuri Ivanov", False),
        ("Ada Byron", "Bob Stone", True),
        ("Jan van Dijk", "Piet van Loon", True),
        ("Sales Desk", "Bob Stone", True),
    ],
)
def test_strangers_share_no_part_of_a_name(one: str, other: str, apart: bool) -> None:
    assert names.strangers(one, other) is names.strangers(other, one) is apart


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("Ada Byron", "Byron, ADA", True),
        ("Ada M. Byron", "Ada Byron", True),
        ("Ada Byron", "Ada Byrons", False),
        ("Ada", "Ada Byron", False),
        ("Ada Byron", "Ada King Byorn", False),
    ],
)
def test_a_name_is_the_same_letter_by_letter(one: str, other: str, alike: bool) -> None:
    assert names.same(one, other) is names.same(other, one) is alike


@pytest.mark.parametrize(
    ("shown", "login", "apart"),
    [
        ("Helpdesk", "helpdesk", True),
        ("Jenkins", "svc-build", True),
        ("Helpdesk", "", True),
        ("Addie", "abyron", False),
        ("byrona", "x1", False),
        ("u48812", "u48812", False),
        ("Addie", "adabyr@acme.test", False),
        ("Bob", "", False),
        ("\u0410\u0434\u0430", "helpdesk", False),
        ("Sales Desk", "helpdesk", False),
    ],
)
def test_an_account_may_have_nothing_of_a_name(shown: str, login: str, apart: bool) -> None:
    assert names.impersonal(shown, login, "Ada Byron") is apart
    assert not names.impersonal(shown, login, "Ada"), "that is no full name"


def test_proposals_name_the_likeness_and_the_department() -> None:
    people = [
        Named("P17", "Ada Byron", "Research"),
        Named("P18", "Ada Byron", "Sales"),
        Named("P19", "Ada Byrons"),
        Named("P20", "Ada Byronn"),
        Named("P21", "Bob Stone", "Research"),
    ]
    account = Named("a", "Byron, Ada", " research", source="s")
    (fits,) = names.propose([account, Named("b", "root", source="s")], people).values()
    assert [fit.person_id for fit in fits] == ["P17", "P18", "P19"], "the best three, the same department first"
    assert fits[0].reason == "name 100 % like Ada Byron P17; department the same"
    assert fits[1].reason == "name 100 % like Ada Byron P18; department another"
    assert fits[2].reason == "name 95 % like Ada Byrons P19"
    assert fits[0].confidence == 0.5


def test_a_part_that_too_many_bear_is_not_looked_up_by(monkeypatch: pytest.MonkeyPatch) -> None:
    people = [Named(f"P{n}", f"Ada Byron{n}") for n in range(4)]
    monkeypatch.setattr(names, "MOST_PEOPLE", 3)
    assert names.propose([Named("a", "Ada Byron1", source="s")], people).keys() == {("s", "a")}, "by the rarer part"
    assert names.propose([Named("a", "Ada Byrn1", source="s")], people) == {}


def test_somebody_else_is_closer_only_where_much_alike() -> None:
    assert names.closer("Ada Byron", "Bob Stone", ["Ada Byorn", None])
    assert not names.closer("Ada Byron", "Bob Stone", ["Ada King"])
    assert not names.closer("Ada Byron", "Ada Byron", ["Ada Byron"])

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.ldap import dn
from connectors.ldap.dn import first_value, normalise, parent, under, without_unique_id
from tests.simulators.ldap_directory import key_of


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("uid=ada,ou=people,dc=x", "UID=Ada, OU=People , dc = X"),
        ("cn=Doe\\, John,dc=x", 'CN="doe, john",DC=x'),
        ("cn=Doe\\, John,dc=x", "cn=doe\\2c  john,dc=x"),
        ("cn=caf\\C3\\A9,dc=x", "CN=CAFÉ,dc=x"),
        ("ou=a+cn=b,dc=x", "CN=B+OU=A,DC=X"),
        ("cn=a\\20,dc=x", "cn=a,dc=x"),
        ("cn=a\\ ,dc=x", "cn=a,dc=x"),
        ("cn=tail\\\\,dc=x", "cn=tail\\5C,dc=x"),
    ],
)
def test_spellings_of_one_name_are_equal(one: str, other: str) -> None:
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cn=a\\,b,dc=x", "cn=a,b=,dc=x"),
        ("cn=a\\+b=c,dc=x", "cn=a+b=c,dc=x"),
        ("cn=ab,dc=x", "cn=a b,dc=x"),
        ("cn=a,dc=x", "cn=a,dc=y"),
    ],
)
def test_different_names_stay_different(one: str, other: str) -> None:
    assert normalise(one) != normalise(other)


@given(st.text(alphabet='aB ,+"\\=é#;', min_size=1, max_size=8).filter(lambda text: text.strip()))
def test_escaping_in_hex_or_by_backslash_names_the_same(value: str) -> None:
    plain = "".join(f"\\{char}" if char in ',+"\\#; =' else char for char in value)
    coded = "".join(f"\\{octet:02x}" for octet in value.encode())
    assert normalise(f"cn={plain},dc=x") == normalise(f"cn={coded},dc=x")
    assert (key_of(f"cn={plain},dc=x") == key_of(f"cn={coded},dc=x")) is True


@given(st.text(max_size=30))
def test_any_text_has_a_stable_normal_form(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


def test_parent_and_place() -> None:
    assert parent("cn=a\\,b, OU=X,dc=y") == "ou=x,dc=y"
    assert parent("dc=y") == ""
    assert under("ou=x,dc=y", "dc=y")
    assert under("dc=y", "dc=y")
    assert under("dc=y", "")
    assert not under("ou=xdc=y", "dc=y")


def test_the_value_in_the_name() -> None:
    assert first_value("OU=x+uid=Ada\\, L,dc=y", "UID") == "Ada, L"
    assert first_value("cn=x,uid=y", "uid") is None


def test_optional_uid_of_a_unique_member() -> None:
    assert without_unique_id("cn=a,dc=x#'0101'B") == "cn=a,dc=x"
    assert without_unique_id("cn=a#b,dc=x") == "cn=a#b,dc=x"
    assert dn.__doc__

"""The entry decoder: the same octets as ldap3 gives, and nothing less from what is broken."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import search_result_entry_response_to_dict_fast
from ldap3.utils.asn1 import decode_message_fast

from connectors.ldap.ber import Malformed, decode_entry, length_at, require_whole, span
from reconciler.sdk.errors import Misbehaved
from tests.connectors.ldap.pulling import pull, settings, source
from tests.connectors.ldap.stock import by_ldap3, by_us
from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX, Slapd
from tests.simulators import ber
from tests.simulators.ldap_server import Faults, LdapServer

M = pytest.MonkeyPatch
Attributes = dict[str, list[bytes]]

names = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}(;range=0-\d{1,4})?", fullmatch=True)
values = st.one_of(st.binary(max_size=20), st.binary(min_size=120, max_size=300), st.text(max_size=10).map(str.encode))
entries = st.dictionaries(names, st.lists(values, max_size=4), max_size=6).filter(
    lambda found: len({name.lower() for name in found}) == len(found)
)
widths = st.sampled_from([0, 1, 2, 4])
"""Octets of a length in the long form; Active Directory always writes four. 0 is the shortest form that does."""


def tlv(tag: int, content: bytes, width: int) -> bytes:
    if not width or len(content) >= 256**width:
        return ber.tlv(tag, content)
    return bytes((tag, 0x80 | width)) + len(content).to_bytes(width, "big") + content


def entry(dn: bytes, attributes: Attributes, width: int) -> bytes:
    """Encode the content of a SearchResultEntry."""
    parts = [
        tlv(0x30, tlv(4, name.encode(), width) + tlv(0x31, b"".join(tlv(4, v, width) for v in found), width), width)
        for name, found in attributes.items()
    ]
    return tlv(4, dn, width) + tlv(0x30, b"".join(parts), width)


def decode(content: bytes) -> tuple[str, Attributes]:
    return decode_entry(content, 0, len(content), {})


@given(st.text(max_size=40), entries, widths)
def test_attributes_are_those_of_ldap3_octet_for_octet(dn: str, attributes: Attributes, width: int) -> None:
    content = entry(dn.encode(), attributes, width)
    message = ber.tlv(0x30, ber.integer(7), ber.tlv(0x64, content))
    payload = decode_message_fast(message)["payload"]  # type: ignore[no-untyped-call] # ldap3 has no types here
    theirs = search_result_entry_response_to_dict_fast(payload, None, None, check_names=False)  # type: ignore[no-untyped-call] # nor here
    found_dn, found = decode(content)
    assert found_dn == dn == theirs["dn"]
    assert found == {name.lower(): given or [] for name, given in theirs["raw_attributes"].items()}
    assert found == {name.lower(): given for name, given in attributes.items()}


def reference(content: bytes) -> list[tuple[bytes, list[bytes]]]:
    """Decode by the simulator's parser, which shares no line with ours; raises ``ValueError``."""
    dn, listed = _children(content, (4, 0x30))
    found = []
    for item in ber.parse(listed.content):
        _require(item, 0x30)
        name, held = _children(item.content, (4, 0x31))
        each = list(ber.parse(held.content))
        for value in each:
            _require(value, 4)
        found.append((name.content, [value.content for value in each]))
    return [(dn.content, []), *found]


def _children(content: bytes, tags: Sequence[int]) -> list[ber.Tlv]:
    parts = list(ber.parse(content))
    if [part.tag for part in parts] != list(tags):
        raise ValueError
    return parts


def _require(part: ber.Tlv, tag: int) -> None:
    if part.tag != tag:
        raise ValueError


@given(entries, widths, st.data())
def test_a_changed_octet_gives_all_that_is_there_or_nothing(
    attributes: Attributes, width: int, data: st.DataObject
) -> None:
    content = bytearray(entry(b"cn=x", attributes, width))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        expected = reference(bytes(content))
    except ValueError:
        with pytest.raises(Malformed):
            decode(bytes(content))
        return
    try:
        _, found = decode(bytes(content))
    except Malformed:
        assert 0x80 in content or any(octet > 0x84 for octet in content)  # indefinite and absurd lengths are refused
        return
    joined: Attributes = {}
    for name, held in expected[1:]:
        joined.setdefault(name.decode(errors="backslashreplace").lower(), []).extend(held)
    assert found == joined


@given(entries.filter(bool), widths, st.data())
def test_an_entry_cut_short_is_malformed(attributes: Attributes, width: int, data: st.DataObject) -> None:
    content = entry(b"cn=x", attributes, width)
    with pytest.raises(Malformed):
        decode(content[: data.draw(st.integers(0, len(content) - 1))])


@given(st.binary(max_size=60))
def test_any_octets_decode_or_are_malformed(content: bytes) -> None:
    try:
        decode(content)
        require_whole(content, 0, len(content))
    except Malformed:
        return
    assert reference(content)


def test_values_of_an_attribute_that_comes_twice_are_joined() -> None:
    content = ber.octets("cn=x") + ber.tlv(
        0x30,
        *[ber.tlv(0x30, ber.octets(name), ber.strings(0x31, [value])) for name, value in (("Cn", "a"), ("cN", "b"))],
    )
    assert decode(content) == ("cn=x", {"cn": [b"a", b"b"]})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x04\x80x", "a length of 0 octets"),
        (b"\x04\x85\0\0\0\0\1x", "a length of 5 octets"),
        (b"\x02\x01x\x30\x00", "tag 0x02 where 0x04 belongs"),
        (b"\x04\x01x\x30\x00\x30\x00", "follows the attributes"),
        (b"\x04\x01x\x30\x09\x30\x07\x04\x01a\x31\x00\x04\x00", "follows the values of a"),
        (b"\x04\x01x\x30\x0a\x30\x08\x04\x01a\x31\x03\x04\x04b", "longer than what holds it"),
        (b"\x04\x01", "longer than what holds it"),
        (b"\x04", "cut short"),
    ],
)
def test_what_is_wrong_is_said(content: bytes, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        decode(content)


def test_a_nested_answer_must_be_whole_at_every_depth() -> None:
    deep = b"\x30\x00"
    for _ in range(3):
        deep = ber.tlv(0x30, deep)
    require_whole(deep, 0, len(deep))
    with pytest.raises(Malformed):
        require_whole(deep[:-1] + b"\x05", 0, len(deep))
    with pytest.raises(Malformed):
        require_whole(b"\x30\x84" * 3000, 0, 6000)
    assert span(b"\x04\x81\x01x", 0, 4, 4) == (3, 4)
    with pytest.raises(IndexError):
        length_at(b"\x82\x01", 0)


def test_every_entry_of_a_real_server_is_the_same_as_by_ldap3(slapd: Slapd, monkeypatch: M) -> None:
    theirs = by_ldap3(slapd.url, READER, READER_PASSWORD, SUFFIX)
    assert by_us(settings(slapd.url, monkeypatch), SUFFIX) == theirs
    assert len(theirs) > 15


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_a_page_whose_octets_are_broken_is_never_a_shorter_page(monkeypatch: M, page: int) -> None:
    people = {f"uid=p{n},{SUFFIX}": {"objectClass": ["person"], "uid": [f"p{n}"]} for n in range(6)}
    tree: dict[str, dict[str, list[str | bytes]]] = {SUFFIX: {"objectClass": ["domain"]}, **people}  # type: ignore[dict-item] # str is one of both
    for faults in (
        Faults(garble_on_page=page),
        Faults(spoil_on_page=(page, "value")),
        Faults(spoil_on_page=(page, "cookie")),
    ):
        simulator = LdapServer(tree, users={READER: READER_PASSWORD}, faults=faults)
        with simulator, pytest.raises(Misbehaved, match="no LDAP"):
            await pull(source(simulator.url, monkeypatch, page_size=2), "accounts")

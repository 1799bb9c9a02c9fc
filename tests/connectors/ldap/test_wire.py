"""Answers as they come over a socket: in pieces, at once, out of turn, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from connectors.ldap.client import Client, Search
from connectors.ldap.settings import Settings
from reconciler.sdk.connector import Presence
from reconciler.sdk.errors import Misbehaved, SourceError, Unreachable
from tests.connectors.ldap.pulling import settings, source
from tests.simulators import ber

M = pytest.MonkeyPatch
Script = Callable[[int], list[bytes]]
DONE = ber.tlv(0x65, ber.integer(0, ber.ENUMERATED), ber.octets(""), ber.octets(""))
PAGED = "1.2.840.113556.1.4.319"
LAST = ber.tlv(
    0xA0,
    ber.tlv(ber.SEQUENCE, ber.octets(PAGED), ber.octets(ber.tlv(ber.SEQUENCE, ber.integer(0), ber.octets("")))),
)


def message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.integer(number), operation, controls)


def entry(name: str, size: int = 1) -> bytes:
    held = ber.tlv(ber.SEQUENCE, ber.octets("cn"), ber.strings(ber.SET, [b"x" * size]))
    return ber.tlv(0x64, ber.octets(f"cn={name}"), ber.tlv(ber.SEQUENCE, held))


class Scripted:
    """A server that accepts a sign-in and answers the search after it with the pieces that it was given."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ldap://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            number = next(ber.parse(connection.recv(65_536))).children()[0].integer()
            connection.sendall(
                message(number, ber.tlv(0x61, ber.integer(0, ber.ENUMERATED), ber.octets(""), ber.octets("")))
            )
            number = next(ber.parse(connection.recv(65_536))).children()[0].integer()
            with suppress(OSError):  # who has seen enough hangs up
                for piece in self._script(number):
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65_536):
                    pass

    def close(self) -> None:
        self._listener.close()
        self._thread.join(10)


@pytest.fixture
def ask(monkeypatch: M) -> Iterator[Callable[[Script], list[str]]]:
    """Ask a scripted server for one page and return the DNs."""
    opened: list[tuple[Scripted, Client]] = []

    def _ask(script: Script) -> list[str]:
        server = Scripted(script)
        given: Settings = settings(server.url, monkeypatch, timeout_seconds=30)
        client = Client(given, None)
        opened.append((server, client))
        answer = client.page(Search("dc=x", "(cn=*)", ("cn",), 10), None)
        assert answer.cookie is None
        return [found.dn for found in answer.entries]

    yield _ask
    for server, client in opened:
        client.close()
        server.close()


def test_an_answer_may_come_octet_by_octet_or_all_at_once(ask: Callable[[Script], list[str]]) -> None:
    def whole(number: int) -> bytes:
        return b"".join(message(number, entry(name)) for name in "abc") + message(number, DONE, LAST)

    assert ask(lambda number: [whole(number)]) == ["cn=a", "cn=b", "cn=c"]
    assert ask(lambda number: [bytes((octet,)) for octet in whole(number)]) == ["cn=a", "cn=b", "cn=c"]


def test_a_large_entry_is_put_together(ask: Callable[[Script], list[str]]) -> None:
    assert ask(lambda n: [message(n, entry("big", 3_000_000)), message(n, entry("b")), message(n, DONE, LAST)]) == [
        "cn=big",
        "cn=b",
    ]


def test_intermediate_answers_and_controls_of_entries_are_passed_over(ask: Callable[[Script], list[str]]) -> None:
    control = ber.tlv(0xA0, ber.tlv(ber.SEQUENCE, ber.octets("1.2.3")))
    between = ber.tlv(0x79, ber.octets("1.2.3", 0x80))
    assert ask(lambda n: [message(n, entry("a"), control), message(n, between), message(n, DONE, LAST)]) == ["cn=a"]


@pytest.mark.parametrize(
    ("script", "error"),
    [
        (lambda n: [message(n, entry("a"))], Unreachable),
        (lambda n: [message(n, entry("a"))[:-1]], Unreachable),
        (
            lambda _: [message(0, ber.tlv(0x78, ber.integer(52, ber.ENUMERATED), ber.octets(""), ber.octets("")))],
            Unreachable,
        ),
        (lambda n: [message(n + 1, entry("a")), message(n, DONE, LAST)], Misbehaved),
        (lambda n: [message(n, entry("a") + b"\x04\x09x"), message(n, DONE, LAST)], Misbehaved),
        (lambda n: [message(n, DONE, LAST[:-1] + b"\x09")], Misbehaved),
        (lambda _: [b"HTTP/1.1 400 Bad Request\r\n\r\n"], Misbehaved),
        (lambda _: [b"\x30\x80\x02\x01\x01\x00\x00"], Misbehaved),
        (lambda _: [b"\x30\x00"], Misbehaved),
        (lambda _: [b"\x30\x02\x02\x05"], Misbehaved),
        (lambda n: [message(n, b"\x7e\x00")], Misbehaved),
        (lambda n: [message(n, ber.tlv(0x65))], Misbehaved),
    ],
)
def test_what_is_no_whole_answer_is_an_error(
    ask: Callable[[Script], list[str]], script: Script, error: type[SourceError]
) -> None:
    with pytest.raises(error):
        ask(script)


@pytest.mark.parametrize(
    "greeting", [b"\0" * 100, message(1, b"\x61\x00"), message(1, b"\x61\x07\x0a\x01\x00\x04\x05\x00\x04\x00")]
)
async def test_what_answers_a_sign_in_with_no_ldap_is_an_error_with_a_remedy(monkeypatch: M, greeting: bytes) -> None:
    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        asked = source(f"ldap://127.0.0.1:{listener.getsockname()[1]}", monkeypatch, timeout_seconds=30)
        with pytest.raises(Misbehaved, match="no LDAP"):
            await asked.check()
        found = await asked.reread("00000000-0000-4000-8000-000000000000")
        thread.join(10)
    assert (found.presence, "no LDAP" in found.reason) == (Presence.NOT_EVALUABLE, True)

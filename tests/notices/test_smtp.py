"""Mail over real SMTP: encrypted, handed over once, and whatever a server says is taken for what it means."""

from __future__ import annotations

import email
import email.policy
import socket
import ssl
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from reconciler.notices import Ledger, Sent
from reconciler.notices import smtp as mailing
from reconciler.sections.notices import Smtp
from reconciler.settings import Settings
from tests.notices.posts import LOCAL, MAIL, Post, configured, free_port, sent, talking
from tests.notices.test_planning import due
from tests.servers.certificates import Authority


def test_a_line_that_is_a_dot_stays_in_the_text(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "dots"
    message.set_content("one\n.\n..two\n")
    assert settings.config.notices.smtp is not None
    with mailing.Mailer(settings.config.notices.smtp, settings.base) as mailer:
        mailer.send(message, "ada@acme.test")
    assert post.desk.kept[0][2].get_content().splitlines() == ["one", ".", "..two"]


def test_a_server_that_hangs_up_before_the_text_has_not_got_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailing, "_ATTEMPTS", 1)

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        while line := connection.recv(4096):
            if line.upper().startswith(b"MAIL"):
                return
            connection.sendall(b"250 OK\r\n")

    with talking(talk) as port:
        settings = configured(tmp_path, LOCAL.format(port=port))
        first = sent(settings)
    assert (first.waiting, first.unknown) == (1, 0)
    (entry,) = Ledger(settings.database_url).all()
    assert (entry.state, entry.attempts) == ("waiting", 1)


def test_a_session_that_the_server_ends_is_begun_anew_for_the_next_mail(tmp_path: Path) -> None:
    taken: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        """Take one mail a session, as servers do that limit them: the next is told 421."""
        connection.sendall(b"220 hello\r\n")
        text = had = False
        with connection.makefile("rb") as lines:
            for line in lines:
                if text:
                    if line == b".\r\n":
                        text, had = False, True
                        connection.sendall(b"200 if you like\r\n")
                elif had and line.upper().startswith(b"MAIL"):
                    connection.sendall(b"421 too many messages\r\n")
                    return
                else:
                    taken.extend([line] if line.upper().startswith(b"RCPT") else [])
                    text = line.upper() == b"DATA\r\n"
                    connection.sendall(b"354 go\r\n" if text else b"250 OK\r\n")
                    if line.upper().startswith(b"QUIT"):
                        return

    with talking(talk) as port:
        settings = configured(tmp_path, LOCAL.format(port=port))
        assert sent(settings, due(), due("NC-2", owner="P2", owner_role="lead")) == Sent(sent=2)
    assert [line.split(b":")[1].split()[0] for line in taken] == [b"<ada@acme.test>", b"<bob@acme.test>"]


def test_an_answer_that_makes_no_sense_leaves_it_unknown(tmp_path: Path) -> None:
    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        with connection.makefile("rb") as lines:
            while lines.readline().upper() != b"DATA\r\n":
                connection.sendall(b"250 OK\r\n")
            connection.sendall(b"354 go\r\n")
            while lines.readline() != b".\r\n":
                pass
            connection.sendall(b"what?\r\n")

    with talking(talk) as port:
        told = sent(configured(tmp_path, LOCAL.format(port=port)))
    assert (told.unknown, told.waiting, told.failed) == (1, 0, 0)


def test_a_server_without_encryption_gets_neither_mail_nor_password(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        connection.sendall(b"220 hello\r\n")
        while line := connection.recv(4096):
            heard.append(line)
            connection.sendall(
                b"250-hello\r\n250 AUTH PLAIN LOGIN\r\n" if line.upper().startswith(b"EHLO") else b"221 bye\r\n"
            )

    (tmp_path / "mail").mkdir()
    Authority("Mail").write(tmp_path / "mail", ["localhost"])
    with talking(talk) as port:
        first = sent(configured(tmp_path, MAIL.format(port=port)), due(), due("NC-2"))
    assert first.waiting == 2
    assert "it offers no encryption" in first.errors[0]
    assert first.errors[1].startswith("1 notices wait: ")
    assert all(line.upper().startswith((b"EHLO", b"QUIT")) for line in heard)


def test_a_certificate_of_another_authority_or_name_is_not_trusted(tmp_path: Path, post: Post) -> None:
    settings = configured(tmp_path, MAIL.format(port=post.port).replace("mail/ca.pem", "other.pem"))
    (tmp_path / "other.pem").write_bytes(Authority("Other").certificate.public_bytes(serialization.Encoding.PEM))
    assert "its certificate is not trusted" in sent(settings).errors[0]
    with Post(tmp_path, host="elsewhere.test") as server:
        named = configured(tmp_path, MAIL.format(port=server.port))
        assert "its certificate is not trusted" in sent(named).errors[0]
        assert server.desk.users == []


def test_a_wrong_password_is_said_and_never_shown(tmp_path: Path, post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", "planted-wrong-password")
    first = sent(configured(tmp_path, MAIL.format(port=post.port)))
    assert (first.waiting, post.desk.kept) == (1, [])
    assert "the sign-in was refused: 535" in first.errors[0]
    assert "planted-wrong-password" not in str(first)


def test_a_server_that_is_not_there_keeps_everything_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailing, "_ATTEMPTS", 2)
    first = sent(configured(tmp_path, LOCAL.format(port=free_port())), due(), due("NC-2"))
    assert (first.waiting, len(first.errors)) == (2, 2)


def test_a_host_that_is_none_is_said(tmp_path: Path) -> None:
    more = LOCAL.format(port=25).replace('"127.0.0.1"', '"mail..acme.test"').replace('"none"', '"tls"')
    first = sent(configured(tmp_path, more))
    assert first.waiting == 1
    assert "mail server mail..acme.test:25: that is no host name" in first.errors[0]


def test_mail_by_tls_from_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    Authority("Mail").write(folder, ["localhost"], ["127.0.0.1"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    heard: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as secure:
            secure.sendall(b"220 hello\r\n")
            while line := secure.recv(65536):
                heard.append(line)
                secure.sendall(b"354 go\r\n" if line.upper() == b"DATA\r\n" else b"250 OK\r\n")
                if line.upper().startswith(b"QUIT"):
                    return

    with talking(talk) as port:
        more = LOCAL.format(port=port).replace('"none"', '"tls"').replace("127.0.0.1", "localhost")
        assert sent(configured(tmp_path, more + 'ca_file = "mail/ca.pem"\n')) == Sent(sent=1)
    assert any(line.upper().startswith(b"RCPT TO:<ADA@ACME.TEST>") for line in heard)


def test_smtp_wants_a_server() -> None:
    with pytest.raises(ValueError, match="host"):
        Smtp.model_validate({"sender": "a@b.test"})

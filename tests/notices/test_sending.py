"""Notices over real SMTP and HTTP: each once, encrypted, and nobody guesses whether one arrived."""

from __future__ import annotations

import asyncio
import dataclasses
import email
import email.policy
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

import msgspec
import pytest
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session
from cryptography.hazmat.primitives import serialization
from standardwebhooks import Webhook

from reconciler.errors import ConfigurationError
from reconciler.notices import Contacts, Due, Ledger, Sent, after_run, hook, refuse_disabled, send
from reconciler.notices import ledger as ledgers
from reconciler.notices import smtp as mailing
from reconciler.sdk.http import Limits
from reconciler.sections.notices import Smtp
from reconciler.settings import Settings, load
from tests.notices.test_planning import CONTACTS, DUE, HELD, due, nonconformity
from tests.servers.certificates import Authority
from tests.simulators.http_server import LoopbackServer

PASSWORD = "planted-mail-password"
SECRET = "whsec_cGxhbnRlZCBzZWNyZXQgb2YgdHdlbnR5LWZvdXIh"
NOW = DUE - timedelta(days=1)


@dataclass
class Desk:
    """What a mail server does: it keeps mail, or answers as told."""

    kept: list[tuple[str, str, EmailMessage]] = field(default_factory=list)
    at_rcpt: dict[str, str] = field(default_factory=dict)
    after_data: str = "250 OK"
    tls: list[bool] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if (answer := self.at_rcpt.get(address)) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's
        if self.after_data == "hang up":
            self._keep(session, envelope)
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "250 never seen"
        if self.after_data.startswith("250"):
            self._keep(session, envelope)
        return self.after_data

    def _keep(self, session: Session, envelope: Envelope) -> None:
        content = envelope.content
        assert isinstance(content, bytes)
        message = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.kept.append((str(envelope.mail_from), ",".join(envelope.rcpt_tos), message))
        self.tls.append(session.ssl is not None)

    def signed_in(self, _server: SMTP, _session: Session, _envelope: Envelope, _how: str, data: Any) -> AuthResult:
        self.users.append(data.login)
        return AuthResult(success=data.login == b"mailer" and data.password == PASSWORD.encode(), handled=False)


class Post:
    """A mail server on a thread: STARTTLS and sign-in are asked for unless ``plain``."""

    def __init__(self, folder: Path, *, plain: bool = False, host: str = "localhost") -> None:
        self.desk = Desk()
        Authority("Mail").write(folder / "mail", [host], ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "mail" / "server.pem", folder / "mail" / "server.key")
        secure: dict[str, Any] = {
            "tls_context": context,
            "require_starttls": True,
            "authenticator": self.desk.signed_in,
            "auth_required": True,
        }
        self._controller = Controller(
            self.desk, hostname="127.0.0.1", port=free_port(), ready_timeout=20, **({} if plain else secure)
        )
        self.port = int(self._controller.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


CONFIG = """\
[estate]
name = "acme"
time_zone = "Europe/Amsterdam"
[store]
database = "{url}"
[sources.hr]
connector = "files"
path = "hr"
[nonconformities]
escalate_to = ["lead", "ciso"]
[notices]
enabled = {enabled}
digest_weekdays = []
"""
MAIL = """\
[notices.smtp]
host = "localhost"
port = {port}
sender = "reconciler@acme.test"
username = "mailer"
password = "env:MAIL_PASSWORD"
ca_file = "mail/ca.pem"
"""
LOCAL = """\
[notices.smtp]
host = "127.0.0.1"
port = {port}
security = "none"
sender = "reconciler@acme.test"
"""


ADDRESSED = 'addresses = { access-owner = "access@acme.test" }\n[notices.smtp]'


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("UMLAUT", "pässword")


def configured(folder: Path, more: str, *, url: str = "", enabled: str = "true") -> Settings:
    url = url or f"sqlite:///{folder / 'reconciler.db'}"
    path = folder / "reconciler.toml"
    path.write_text(CONFIG.replace("{url}", url).replace("{enabled}", enabled) + more)
    return load(path)


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path) as server:
        yield server


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[tuple[Post, Settings]]:
    with Post(tmp_path, plain=True) as server:
        yield server, configured(tmp_path, LOCAL.format(port=server.port))


def sent(settings: Settings, *owed: Due, contacts: Contacts = CONTACTS, days: int = 0) -> Sent:
    return send(settings, owed or (due(),), contacts, at=NOW + timedelta(days=days))


def test_a_reminder_arrives_once_signed_in_and_encrypted(tmp_path: Path, url: str, post: Post) -> None:
    settings = configured(tmp_path, MAIL.format(port=post.port), url=url)
    assert sent(settings) == Sent(sent=1)
    assert sent(settings) == Sent()
    ((sender, recipient, message),) = post.desk.kept
    assert (sender, recipient) == ("reconciler@acme.test", "ada@acme.test")
    assert message["Subject"] == "Due 2026-03-18 13:00 CET: NC-000001 A leaver can sign in"
    assert message["Message-ID"].endswith("@acme.test>")
    assert message.get_content_type() == "text/plain"
    text = message.get_content()
    assert "rule:     IG-LVR-001, in corp" in text
    assert "findings that stand: 3" in text
    assert post.desk.tls == [True]
    assert post.desk.users == [b"mailer"]
    (entry,) = Ledger(settings.database_url).all()
    assert (entry.state, entry.attempts, entry.error) == ("sent", 1, None)


def test_nobody_is_named_unless_personal_data_may_go_out(tmp_path: Path, plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    named = due(statement="Ada Byron can sign in", owner="P1")
    assert sent(settings, named).sent == 1
    assert "Byron" not in post.desk.kept[0][2].get_content()
    open_handed = configured(tmp_path, LOCAL.format(port=post.port) + "[filing]\npersonal_data = true\n")
    assert sent(open_handed, msgspec.structs.replace(named, about="NC-2")).sent == 1
    assert "Ada Byron can sign in" in post.desk.kept[1][2].get_content()


def test_whatever_a_title_holds_it_starts_no_header_and_ends_no_text(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    nasty = due(title="Late\r\nBcc: evil@acme.test\r\n\r\n.\r\nMAIL FROM:<x>\x00\u2028é", statement="")
    assert sent(settings, nasty).sent == 1
    ((_, recipient, message),) = post.desk.kept
    assert recipient == "ada@acme.test"
    assert message["Bcc"] is None
    assert "Late Bcc: evil@acme.test . MAIL FROM:<x> é" in message["Subject"]


def test_a_line_that_is_a_dot_stays_in_the_text(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "dots"
    message.set_content("one\n.\n..two\n")
    assert settings.config.notices.smtp is not None
    with mailing.Mailer(settings.config.notices.smtp, settings.base) as mailer:
        mailer.send(message, "ada@acme.test")
    assert post.desk.kept[0][2].get_content().splitlines() == ["one", ".", "..two"]


def test_a_long_list_is_cut_and_says_so(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    owed = [due(f"NC-{number:06}", due_at=DUE + timedelta(days=90)) for number in range(60)]
    listed = settings.config.notices.model_copy(update={"digest_weekdays": ["mon", "tue", "wed"]})
    config = settings.config.model_copy(update={"notices": listed})
    assert sent(dataclasses.replace(settings, config=config), *owed).sent == 1
    text = post.desk.kept[0][2].get_content()
    assert text.count("severity:") == 50
    assert "... and 10 more" in text


def test_what_the_server_takes_later_is_sent_later(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    post.desk.at_rcpt["ada@acme.test"] = "451 try again later"
    first = sent(settings, due(), due("NC-2", owner="P2", owner_role="lead"))
    assert (first.sent, first.waiting, first.complete) == (1, 1, False)
    assert "the server says 451 try again later" in first.errors[0]
    del post.desk.at_rcpt["ada@acme.test"]
    assert sent(settings, due(), due("NC-2", owner="P2", owner_role="lead")) == Sent(sent=1)
    assert [kept[1] for kept in post.desk.kept] == ["bob@acme.test", "ada@acme.test"]


@pytest.mark.parametrize(("answer", "state"), [("452 full", "waiting"), ("554 spam", "failed"), ("hang up", "unknown")])
def test_an_answer_after_the_text_decides(plain: tuple[Post, Settings], answer: str, state: str) -> None:
    post, settings = plain
    post.desk.after_data = answer
    first = sent(settings)
    assert getattr(first, state) == 1
    assert not first.complete
    (entry,) = Ledger(settings.database_url).all()
    assert entry.state == state
    post.desk.after_data = "250 OK"
    assert sent(settings).sent == (1 if state == "waiting" else 0)
    assert len(post.desk.kept) == {"waiting": 1, "failed": 0, "unknown": 1}[state]


def test_what_failed_or_is_unknown_is_sent_again_on_somebodys_word_alone(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    post.desk.after_data = "hang up"
    sent(settings)
    post.desk.after_data = "250 OK"
    ledger = Ledger(settings.database_url)
    (entry,) = ledger.all()
    with pytest.raises(ConfigurationError, match="who and why"):
        ledger.again(entry.number, {entry.key}, by=" ", reason="it never came")
    with pytest.raises(ConfigurationError, match=f"notice {entry.number} is no longer due: reminder"):
        ledger.again(entry.number, set(), by="P9", reason="it never came")
    assert [one.state for one in ledger.all()] == ["unknown"]
    assert ledger.again(entry.number, {entry.key}, by="P9", reason="it never came").state == "waiting"
    assert sent(settings) == Sent(sent=1)
    assert [str(kept[2]["Message-ID"]) for kept in post.desk.kept] == [str(post.desk.kept[0][2]["Message-ID"])] * 2
    for number in (entry.number, 99):
        with pytest.raises(ConfigurationError, match="only one that is unknown or failed"):
            ledger.again(number, {entry.key}, by="P9", reason="again")


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


def test_an_odd_address_of_one_person_keeps_nobody_from_being_told(
    plain: tuple[Post, Settings],
) -> None:
    post, settings = plain
    odd = msgspec.structs.replace(CONTACTS, emails=dict(CONTACTS.emails) | {"P1": "ada..byron@acme.test"})
    told = sent(settings, due(), due("NC-2", owner="P2", owner_role="lead"), contacts=odd)
    assert (told.sent, told.complete) == (1, False)
    assert told.unaddressed == ("NC-000001: role access-owner has no address that mail can be sent to",)
    assert [kept[1] for kept in post.desk.kept] == ["bob@acme.test"]


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


class talking:  # noqa: N801 - reads as a word in a with statement
    """A server that says what it is told to, to each who connects."""

    def __init__(self, talk: Callable[[socket.socket], None]) -> None:
        self._talk = talk
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._talk(connection)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


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


def test_what_is_no_longer_due_is_dropped_and_what_is_due_again_is_not(plain: tuple[Post, Settings]) -> None:
    post, settings = plain
    post.desk.at_rcpt["ada@acme.test"] = "451 later"
    sent(settings)
    del post.desk.at_rcpt["ada@acme.test"]
    assert sent(settings, due("NC-2", due_at=DUE + timedelta(days=90))) == Sent()
    (entry,) = Ledger(settings.database_url).all(state="dropped")
    assert (entry.error or "").startswith("no longer due before it could be sent; the server says 451")
    assert sent(settings) == Sent(sent=1)


def test_mail_that_was_being_sent_when_its_process_was_killed_is_unknown(
    plain: tuple[Post, Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    post, settings = plain

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(mailing.Mailer, "send", killed)
        with pytest.raises(KeyboardInterrupt):
            sent(settings)
    assert [one.state for one in Ledger(settings.database_url).all()] == ["sending"]
    assert sent(settings) == Sent()  # it may be another process that sends it just now
    monkeypatch.setattr(ledgers, "DEAD", timedelta(days=-400))
    after = sent(settings)
    assert (after.unknown, after.complete) == (1, False)
    (said,) = after.errors
    assert said.startswith("notice 1 to ada@acme.test about NC-000001: unknown: the process ended while it was")
    assert sent(settings) == Sent()  # said once
    assert [one.state for one in Ledger(settings.database_url).all()] == ["unknown"]
    assert post.desk.kept == []


def test_two_processes_that_send_at_once_send_each_notice_once(tmp_path: Path, url: str) -> None:
    owed = [due(f"NC-{number}") for number in range(6)]
    with Post(tmp_path, plain=True) as server:
        settings = configured(tmp_path, LOCAL.format(port=server.port), url=url)
        Ledger(settings.database_url)
        with ThreadPoolExecutor(3) as senders:
            told = list(senders.map(lambda _: sent(settings, *owed), range(3)))
    assert sum(one.sent for one in told) == len(owed)
    assert all(one.complete for one in told)
    assert len({str(message["Message-ID"]) for _, _, message in server.desk.kept}) == len(server.desk.kept) == len(owed)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"127.0.0.1"', '"mail.acme.test"', "security = none would carry mail"),
        ('security = "none"', 'security = "none"\nusername = "mailer"', "needs both username and password"),
        ('security = "none"', 'security = "none"\nca_file = "missing.pem"', "cannot read the certificates"),
        ("reconciler@acme.test", "<reconciler@acme.test>", "sender is no plain mail address"),
        (
            'security = "none"',
            'security = "none"\nusername = "m"\npassword = "env:NOT_SET"',
            "the secret env:NOT_SET is missing",
        ),
        (
            'security = "none"',
            'security = "none"\nusername = "m"\npassword = "env:UMLAUT"',
            "username or password holds characters that no sign-in can carry",
        ),
        ("[notices.smtp]", 'addresses = { ciso = "a@b.test, c@d.test" }\n[notices.smtp]', "is no plain mail address"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    settings = configured(tmp_path, LOCAL.format(port=1).replace(old, new))
    with pytest.raises(ConfigurationError, match=rf"reconciler.toml:\d+: .*{said}"):
        sent(settings)
    assert not (tmp_path / "reconciler.db").exists()


def test_nothing_is_sent_while_notices_are_not_enabled(tmp_path: Path) -> None:
    off = configured(tmp_path, LOCAL.format(port=1), enabled="false")
    assert sent(off) == Sent()
    with pytest.raises(ConfigurationError, match=r"reconciler.toml:\d+: notices.enabled is false"):
        refuse_disabled(off)
    with pytest.raises(ConfigurationError, match="there is neither"):
        refuse_disabled(configured(tmp_path, ""))
    with pytest.raises(ConfigurationError, match="there is neither"):
        sent(configured(tmp_path, ""))


def test_what_is_due_after_a_run_is_told_of_each_nonconformity(tmp_path: Path, plain: tuple[Post, Settings]) -> None:
    post, _ = plain
    named = configured(tmp_path, LOCAL.format(port=post.port).replace("[notices.smtp]", ADDRESSED))
    found = [nonconformity(), nonconformity(nc_id="NC-000002", owner_role="nobody", owner=None)]
    assert after_run(named, None, found, holders=HELD, at=NOW) == Sent(
        sent=1, unaddressed=("NC-000002: no address is known for role lead",)
    )
    assert [kept[1] for kept in post.desk.kept] == ["access@acme.test"]


class Receiver:
    """Takes events, verifies each as Standard Webhooks says, and answers as told."""

    def __init__(self, *answers: int | str) -> None:
        self.answers = list(answers)
        self.taken: list[tuple[str, dict[str, Any]]] = []

    def make(self) -> web.Application:
        async def take(request: web.Request) -> web.Response:
            body = await request.read()
            Webhook(SECRET).verify(body, dict(request.headers))
            assert request.content_type == "application/cloudevents+json"
            self.taken.append((request.headers["webhook-id"], json.loads(body)))
            answer = self.answers.pop(0) if self.answers else 200
            if answer == "hang up":
                assert request.transport is not None
                request.transport.abort()
                return web.Response()
            return web.Response(status=int(answer), text="<p>thanks</p>", content_type="text/html")

        application = web.Application()
        application.router.add_post("/in/events", take)
        return application


def hooked(folder: Path, url: str) -> Settings:
    more = f'[notices.webhook]\nurl = "{url}/in/events"\nsecret = "env:HOOK"\n'
    return configured(folder, more)


def test_an_event_is_signed_and_taken_once(tmp_path: Path) -> None:
    receiver = Receiver()
    with LoopbackServer(receiver.make, tls=False) as server:
        settings = hooked(tmp_path, server.url)
        assert sent(settings) == Sent(sent=1)
        assert sent(settings) == Sent()
    ((name, event),) = receiver.taken
    assert event["id"] == name
    assert (event["specversion"], event["type"], event["subject"]) == ("1.0", "reconciler.notice.reminder", "NC-000001")
    assert event["source"] == "/reconciler/acme"
    (item,) = event["data"]["items"]
    assert item["rule_id"] == "IG-LVR-001"
    assert "owner" not in item
    assert "statement" not in item


def test_an_event_is_signed_with_both_secrets_while_one_replaces_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEW_HOOK", "whsec_" + "QUJD" * 8)
    receiver = Receiver()  # it knows the old one still
    with LoopbackServer(receiver.make, tls=False) as server:
        more = f'[notices.webhook]\nurl = "{server.url}/in/events"\nsecret = "env:NEW_HOOK"\nold_secret = "env:HOOK"\n'
        assert sent(configured(tmp_path, more)) == Sent(sent=1)
    assert len(receiver.taken) == 1


def test_an_event_whose_answer_was_lost_is_sent_again_with_its_id(tmp_path: Path) -> None:
    receiver = Receiver("hang up")
    with LoopbackServer(receiver.make, tls=False) as server:
        assert sent(hooked(tmp_path, server.url)) == Sent(sent=1)
    assert len({name for name, _ in receiver.taken}) == 1
    assert len(receiver.taken) == 2


def test_an_event_whose_process_was_killed_is_sent_again_with_its_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_event = hook.Poster.send

    async def killed(self: hook.Poster, event: Any) -> None:
        await send_event(self, event)
        raise SystemExit

    receiver = Receiver()
    with LoopbackServer(receiver.make, tls=False) as server:
        settings = hooked(tmp_path, server.url)
        with monkeypatch.context() as patch:
            patch.setattr(hook.Poster, "send", killed)
            with pytest.raises(SystemExit):
                sent(settings)
        assert sent(settings) == Sent()
        monkeypatch.setattr(ledgers, "DEAD", timedelta(days=-400))
        assert sent(settings) == Sent(sent=1)
    assert len(receiver.taken) == 2
    assert len({name for name, _ in receiver.taken}) == 1


@pytest.mark.parametrize("status", [400, 410])
def test_an_event_that_is_refused_waits_and_keeps_no_other(tmp_path: Path, status: int) -> None:
    receiver = Receiver(status)
    with LoopbackServer(receiver.make, tls=False) as server:
        settings = hooked(tmp_path, server.url)
        first = sent(settings, due(), due("NC-2"))
        assert (first.sent, first.waiting) == (1, 1)
        assert f"HTTP {status}" in first.errors[0]
        assert sent(settings, due(), due("NC-2")) == Sent(sent=1)


def test_a_receiver_that_is_not_there_keeps_everything_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "_LIMITS", Limits(attempts=1))
    first = sent(hooked(tmp_path, f"http://127.0.0.1:{free_port()}"), due(), due("NC-2"))
    assert (first.sent, first.waiting) == (0, 2)


@pytest.mark.parametrize(("secret", "url"), [("not base64!", "https://x.test/in"), (SECRET, "http://x.test/in")])
def test_a_secret_or_url_that_cannot_be_used_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, url: str
) -> None:
    monkeypatch.setenv("HOOK", secret)
    with pytest.raises(ConfigurationError, match=r"reconciler.toml:\d+: notices.webhook: "):
        sent(hooked(tmp_path, url))


def test_smtp_wants_a_server() -> None:
    with pytest.raises(ValueError, match="host"):
        Smtp.model_validate({"sender": "a@b.test"})

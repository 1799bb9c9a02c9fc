"""A mail server on a thread, one that says what it is told to, and a configuration that uses it."""

from __future__ import annotations

import asyncio
import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from reconciler.notices import Contacts, Due, Sent, send
from reconciler.settings import Settings, load
from tests.notices.test_planning import CONTACTS, DUE, due
from tests.servers.certificates import Authority

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


def configured(folder: Path, more: str, *, url: str = "", enabled: str = "true") -> Settings:
    url = url or f"sqlite:///{folder / 'reconciler.db'}"
    path = folder / "reconciler.toml"
    path.write_text(CONFIG.replace("{url}", url).replace("{enabled}", enabled) + more)
    return load(path)


def sent(settings: Settings, *owed: Due, contacts: Contacts = CONTACTS, days: int = 0) -> Sent:
    return send(settings, owed or (due(),), contacts, at=NOW + timedelta(days=days))


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

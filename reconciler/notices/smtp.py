"""Mail by SMTP: encrypted and verified, and never sent twice where nobody knows whether it arrived."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import NoReturn, Self

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from reconciler.errors import ConfigurationError
from reconciler.log import redact
from reconciler.notices.addresses import usable
from reconciler.sdk.errors import Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import reveal
from reconciler.sections.notices import Smtp

_SECONDS = 30.0
_TAKING_SECONDS = 300.0
"""For the answer after the text: servers look through it first, and to give up early leaves it unknown for ever."""
_ATTEMPTS = 3
_OK, _START, _BAD, _CLOSING = 250, 354, 400, 421
_PERMANENT = 500
_TAKEN = range(200, 300)
_DOT = re.compile(rb"(?m)^\.")
_LONGEST = 200


class UncertainError(Exception):
    """The message was handed over and no answer came: it may have arrived."""


class RefusedMailError(Exception):
    """The server will not take this message; others it may."""


class LaterError(Exception):
    """The server does not take this message now; surely nothing was sent."""


class Mailer:
    """One mail server. Connects with the first message; use as a context manager."""

    def __init__(self, section: Smtp, folder: Path, *, wait: float = 0.5) -> None:
        """Take the settings; relative paths start at ``folder``, ``wait`` is the first pause between connections.

        Raises ``ConfigurationError`` for what would send mail or a password unencrypted to another machine.
        """
        local = is_loopback(section.host)
        if section.security == "none" and not local:
            raise ConfigurationError(
                f"[notices.smtp] security = none would carry mail to {section.host} unencrypted",
                advice="Use starttls or tls; none is for a server on this machine.",
            )
        if (section.username is None) != (section.password is None):
            raise ConfigurationError(
                "[notices.smtp] needs both username and password, or neither",
                advice="Give the other, or leave both out.",
            )
        if not usable(section.sender):
            raise ConfigurationError(
                "[notices.smtp] sender is no plain mail address", advice="Write for example reconciler@acme.example."
            )
        # A password that is missing is better found before anything is written down.
        password = reveal(section.password) if section.password is not None else ""
        if not f"{section.username}{password}".isascii():
            raise ConfigurationError(
                "[notices.smtp] username or password holds characters that no sign-in can carry",
                advice="Have one made of letters, digits and signs of ASCII.",
            )
        self._section = section
        self._trust = _trust(folder / section.ca_file if section.ca_file else None)
        self._wait = wait
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drop()

    def send(self, message: EmailMessage, recipient: str) -> None:
        """Hand one message over.

        Raises ``LaterError`` where surely nothing was sent and another time may do, ``RefusedMailError`` where it will
        not, ``UncertainError`` where nobody knows, and ``SourceError`` where the server takes no mail of ours at all.
        """
        kept = self._smtp is not None
        smtp = self._connected()
        try:
            self._envelope(smtp, recipient)
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            if not kept:
                raise LaterError(_words(error)) from None
            self.send(message, recipient)  # servers end a session after so many messages, or idle minutes
            return
        # From here on the server may have it: whatever breaks, nobody knows.
        data = _DOT.sub(b"..", message.as_bytes())
        try:
            smtp.send(data + (b"" if data.endswith(b"\r\n") else b"\r\n") + b".\r\n")
            _patience(smtp, _TAKING_SECONDS)
            code, said = smtp.getreply()
            _patience(smtp, _SECONDS)
        except (smtplib.SMTPException, OSError) as error:
            self._drop()
            raise UncertainError(_words(error)) from None
        if code in _TAKEN:
            return
        if code < _BAD:
            self._drop()
            raise UncertainError(f"the server says {code} {_shown(said)}")
        self._refused(smtp, code, said)

    def _envelope(self, smtp: smtplib.SMTP, recipient: str) -> None:
        steps: tuple[tuple[Callable[[], tuple[int, bytes]], int], ...] = (
            (lambda: smtp.mail(self._section.sender), _OK),
            (lambda: smtp.rcpt(recipient), _OK),
            (lambda: smtp.docmd("DATA"), _START),
        )
        for step, expected in steps:
            code, said = step()
            if code == _CLOSING:
                raise smtplib.SMTPServerDisconnected(f"{code} {_shown(said)}")
            # 251: the server forwards it, and takes it.
            if code != expected and not (expected == _OK and code == _OK + 1):
                self._refused(smtp, code if code >= _BAD else _PERMANENT, said)

    def _refused(self, smtp: smtplib.SMTP, code: int, said: bytes) -> NoReturn:
        try:
            smtp.rset()
        except (smtplib.SMTPException, OSError):
            self._drop()
        words = f"the server says {code} {_shown(said)}"
        if code >= _PERMANENT:
            raise RefusedMailError(words)
        raise LaterError(words)

    def _connected(self) -> smtplib.SMTP:
        if self._smtp is not None:
            return self._smtp
        retrying = Retrying(
            retry=retry_if_exception_type(Unreachable),
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_exponential(multiplier=self._wait, max=10.0),
            reraise=True,
        )
        self._smtp = retrying(self._connect)
        return self._smtp

    def _connect(self) -> smtplib.SMTP:
        """Connect and sign in; nothing of a message is sent before both are done."""
        section = self._section
        where = f"mail server {section.host}:{section.port}"
        name = section.sender.rpartition("@")[2]
        smtp: smtplib.SMTP | None = None
        try:
            if section.security == "tls":
                smtp = smtplib.SMTP_SSL(
                    section.host, section.port, local_hostname=name, timeout=_SECONDS, context=self._trust
                )
            else:
                smtp = smtplib.SMTP(section.host, section.port, local_hostname=name, timeout=_SECONDS)
            smtp.ehlo_or_helo_if_needed()
            if section.security == "starttls":
                smtp.starttls(context=self._trust)
                smtp.ehlo()
            if section.username is not None and section.password is not None:
                smtp.login(section.username, reveal(section.password))
        except BaseException as error:
            if smtp is not None:
                smtp.close()
            if isinstance(error, smtplib.SMTPException | OSError):
                raise _meant(where, error) from None
            if isinstance(error, UnicodeError):
                raise ConfigurationError(
                    f"{where}: that is no host name", advice="Check host in [notices.smtp]."
                ) from None
            raise
        return smtp

    def _drop(self) -> None:
        if self._smtp is not None:
            smtp, self._smtp = self._smtp, None
            try:
                smtp.quit()
            except (smtplib.SMTPException, OSError):
                smtp.close()


def _meant(where: str, error: smtplib.SMTPException | OSError) -> SourceError:
    """Return the error of a connection by its remedy."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Refused(
            f"{where}: its certificate is not trusted: {error.verify_message}",
            advice="Set ca_file to the certificate of the authority that signed it; checks are never skipped.",
        )
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Refused(
            f"{where}: it offers no encryption, or no sign-in: {_words(error)}",
            advice="Check host, port and security in [notices.smtp]; nothing is sent unencrypted.",
        )
    if isinstance(error, smtplib.SMTPAuthenticationError) and error.smtp_code >= _PERMANENT:
        return Refused(f"{where}: the sign-in was refused: {_words(error)}", advice="Check username and password.")
    if isinstance(error, smtplib.SMTPException) and not isinstance(
        error, smtplib.SMTPResponseException | smtplib.SMTPServerDisconnected
    ):
        return Misbehaved(f"{where}: {_words(error)}", advice="Check host, port and security in [notices.smtp].")
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= _PERMANENT:
        return Refused(f"{where}: {_words(error)}", advice="Ask whoever runs the mail server.")
    return Unreachable(f"{where}: {_words(error)}", advice="Check host and port; what waits is sent with the next run.")


def _patience(smtp: smtplib.SMTP, seconds: float) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(seconds)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"[notices.smtp] cannot read the certificates in {ca_file}: {error}",
            advice="Give a file of PEM certificates.",
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        said = error.smtp_error
        return f"{error.smtp_code} {_shown(said if isinstance(said, bytes) else str(said).encode())}"
    return redact(f"{type(error).__name__}: {error}")[:_LONGEST]


def _shown(said: bytes) -> str:
    text = " ".join(said.decode("utf-8", "replace").split())
    return redact("".join(c if c.isprintable() else "?" for c in text))[:_LONGEST]

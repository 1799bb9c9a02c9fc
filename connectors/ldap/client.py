"""The wire: connect, sign in, read one page or one entry; every answer checked, every failure a remedy.

ldap3 carries transport, TLS, sign-in and BER. Its own paging, reconnecting and referral chasing stay
off: each of them can end early without an error (see the README, Decisions).
"""

from __future__ import annotations

import math
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap3
from ldap3.core import exceptions as ldap3_errors
from pyasn1.error import PyAsn1Error

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.secrets import redact, reveal

from .ber import PAGED_RESULTS, AnswerReader
from .settings import Settings
from .values import Entry

SHOW_DELETED = "1.2.840.113556.1.4.417"
EMPTY_PAGES = 100
"""Empty pages in a row that are borne: filters that cost much make Active Directory send some."""

_REFERRAL, _BUSY, _UNAVAILABLE, _NO_SUCH_OBJECT, _NO_ACCESS = 10, 51, 52, 32, 50
_LIMITS = {3: "time", 4: "size", 11: "administrative"}
_AD_DATA = {
    "525": "there is no such user",
    "52e": "wrong name or password",
    "530": "not allowed to sign in at this hour",
    "531": "not allowed to sign in from this machine",
    "532": "the password has expired",
    "533": "the account is disabled",
    "701": "the account has expired",
    "773": "the password must be changed first",
    "775": "the account is locked",
}


@dataclass(frozen=True, slots=True)
class Search:
    """What to ask for below ``base``; ``scope`` is BASE, LEVEL or SUBTREE."""

    base: str
    filter: str
    attributes: tuple[str, ...]
    page_size: int
    scope: str = "SUBTREE"
    deleted: bool = False
    """Whether Active Directory shall show deleted objects as well."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One page: its entries, the URLs of what lies elsewhere, and the cookie of the next page; None at the end."""

    entries: tuple[Entry, ...]
    referrals: tuple[str, ...]
    cookie: bytes | None


@dataclass(frozen=True, slots=True)
class Missing:
    """An entry that did not come back: why, and the DN down to which the server says that the path exists."""

    reason: str
    matched: str = ""
    permission: str = ""
    denied: bool = False
    """Whether the server said that it is there, or may be, and is not for us."""


class _VerifiedTls(ldap3.Tls):
    """TLS by Python's own verification, which knows host names, wildcards and IP addresses.

    ldap3 does not verify by default, and its own name check knows no IP addresses.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self.context = context

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Replace the connection's socket by one that is encrypted and verified."""
        plain = connection.socket
        try:
            connection.socket = self.context.wrap_socket(
                plain, server_hostname=connection.server.host, do_handshake_on_connect=do_handshake
            )
        except BaseException:
            plain.close()
            raise


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Make the TLS context; raises ``ConfigurationError`` where ``ca_file`` cannot be used."""
    try:
        return ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except OSError as error:
        raise ConfigurationError(
            f"cannot use ca_file {ca_file}: {error}", advice="Name a PEM file that holds the CA's certificate."
        ) from error


class Client:
    """One connection to one server, opened at once; not for use by two threads at a time.

    ``context`` is None for a connection without TLS only.
    """

    def __init__(self, settings: Settings, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._context = context
        self._second: Client | None = None
        self._where = f"{settings.host}:{settings.port}"
        password = reveal(settings.bind_password) if settings.bind_password else None
        server = ldap3.Server(
            settings.host,
            port=settings.port,
            use_ssl=settings.ldaps,
            tls=None if context is None else _VerifiedTls(context),
            get_info="NO_INFO",
            connect_timeout=settings.timeout_seconds,
        )
        self._connection = ldap3.Connection(
            server,
            user=settings.bind_dn,
            password=password,
            authentication="SIMPLE" if settings.bind_dn else "ANONYMOUS",
            client_strategy="SYNC",
            raise_exceptions=True,
            receive_timeout=math.ceil(settings.timeout_seconds),  # ldap3 hands it to the kernel as whole seconds
            auto_bind="NONE",
            auto_range=False,
            auto_referrals=False,
            check_names=False,
            return_empty_attributes=False,
            read_only=True,
        )
        try:
            self._sign_in()
            AnswerReader(self._connection)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; safe to call twice."""
        second, self._second = self._second, None
        if second is not None:
            second.close()
        try:
            self._connection.unbind()
        except (ldap3_errors.LDAPException, OSError):
            pass  # the server is gone already; what was read has been judged page by page
        finally:
            if self._connection.socket is not None:
                self._connection.socket.close()

    def beside(self) -> Client:
        """Return a second connection, opened at first use and closed with this one.

        OpenLDAP keeps one paged search a connection: another one in between kills the first one's cookie.
        """
        if self._second is None:
            self._second = Client(self._settings, self._context)
        return self._second

    def root(self) -> Entry:
        """Read the server's root entry (RFC 4512, 5.1); empty where the server hides it."""
        found = self.entry("", ("*", "+"))
        return found if isinstance(found, Entry) else Entry("", {})

    def page(self, search: Search, cookie: bytes | None) -> Answer:
        """Read one page; ``cookie`` None is the first.

        Raises where the server did not say, on this very page, that it is whole: a result other than
        success, or no paging control.
        """
        result, answer = self._search(search, {"paged_size": search.page_size, "paged_cookie": cookie})
        self._require_success(result, search.base)
        control = (result.get("controls") or {}).get(PAGED_RESULTS)
        if control is None:
            raise Misbehaved(
                f"{self._where} answered a page without the paged-results control: whether more follows is unknown",
                advice="A proxy may strip controls; read the directory server itself.",
            )
        entries = tuple(_entry(item) for item in answer if item["type"] == "searchResEntry")
        referrals = tuple(uri for item in answer if item["type"] == "searchResRef" for uri in item["uri"])
        return Answer(entries, referrals, control["value"]["cookie"] or None)

    def pages(self, search: Search) -> Iterator[Answer]:
        """Read page after page up to the empty cookie; raises ``Misbehaved`` where the chain runs in a circle.

        A cookie may stay the same over a whole chain (389 Directory Server), so progress is seen in the
        entries: no page may start with an entry that an earlier page started with.
        """
        cookie: bytes | None = None
        starts: set[int] = set()
        empty = 0
        while True:
            answer = self.page(search, cookie)
            empty = 0 if answer.entries else empty + 1
            start = hash(answer.entries[0].dn) if answer.entries else None
            if answer.cookie is not None and (start in starts or empty > EMPTY_PAGES):
                raise Misbehaved(
                    f"{self._where} sends the pages below {search.base} in a circle and never ends",
                    advice="Report this to the server's maker; nothing was concluded from what it sent.",
                )
            if start is not None:
                starts.add(start)
            yield answer
            cookie = answer.cookie
            if cookie is None:
                return

    def entry(
        self, dn: str, attributes: Sequence[str], condition: str = "(objectClass=*)", *, deleted: bool = False
    ) -> Entry | Missing:
        """Read one entry by its DN; ``Missing`` says why it did not come back."""
        search = Search(dn, condition, tuple(attributes), 0, "BASE", deleted)
        try:
            result, answer = self._search(search, {})
        except _Absent as absent:
            return absent.missing
        if result["result"] == _REFERRAL:
            return Missing("lies on another server", denied=True)
        self._require_success(result, dn)
        for item in answer:
            if item["type"] == "searchResEntry":
                return _entry(item)
        return Missing("was not shown", denied=True, permission=f"read access to {dn}")

    def _sign_in(self) -> None:
        settings, connection = self._settings, self._connection
        try:
            connection.open(read_server_info=False)
            if settings.start_tls:
                self._start_tls()
            connection.bind(read_server_info=False)
        except (ldap3_errors.LDAPException, OSError) as error:
            raise self._translate(error, "") from error
        except (LookupError, TypeError, ValueError, PyAsn1Error) as error:
            raise self._no_ldap(error) from error

    def _no_ldap(self, error: Exception) -> Misbehaved:
        return Misbehaved(f"{self._where} sent what is no LDAP: {type(error).__name__} {error}")

    def _start_tls(self) -> None:
        try:
            self._connection.start_tls(read_server_info=False)
        except ldap3_errors.LDAPOperationResult as error:
            raise Refused(
                f"{self._where} refuses StartTLS: {error.description}",
                advice="Use ldaps://, or let the server offer StartTLS; the password was not sent.",
            ) from error

    def _search(self, search: Search, paging: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        try:
            self._connection.search(
                search.base,
                search.filter,
                search.scope,  # type: ignore[arg-type] # the stub wants a Literal
                "NEVER",
                attributes=list(search.attributes),
                paged_criticality=bool(paging),
                controls=[(SHOW_DELETED, True, None)] if search.deleted else None,
                **paging,
            )
        except (ldap3_errors.LDAPException, OSError) as error:
            raise self._translate(error, search.base, search.filter) from error
        except (LookupError, TypeError, ValueError, PyAsn1Error) as error:
            raise self._no_ldap(error) from error
        return self._connection.result, self._connection.response or []

    def _require_success(self, result: dict[str, Any], base: str) -> None:
        code = result["result"]
        if code in _LIMITS:
            raise self._limited(code, base)
        if code == _REFERRAL:
            raise Refused(
                f"{self._where} does not hold {base} and refers to {', '.join(result.get('referrals') or ['nobody'])}",
                advice="Set url to the server that holds this base_dn.",
            )
        if code != 0:
            raise Misbehaved(f"{self._where} answered {result.get('description', code)} for {base}")

    def _limited(self, code: int, base: str) -> Refused:
        return Refused(
            f"{self._where} stopped at its {_LIMITS[code]} limit below {base}: the rest was not sent",
            advice="Let the reader read without limits (OpenLDAP: limits dn.exact=... size=unlimited "
            "size.prtotal=unlimited; 389: nsSizeLimit, nsLookThroughLimit), or lower page_size.",
            missing_permission=f"no {_LIMITS[code]} limit for {self._settings.bind_dn or 'anonymous'}",
        )

    def _translate(self, error: Exception, base: str, condition: str = "") -> Exception:
        """Turn what ldap3 raised into the remedy."""
        if isinstance(error, ldap3_errors.LDAPOperationResult):
            return self._refusal(error, base)
        if isinstance(error, ldap3_errors.LDAPInvalidFilterError | ldap3_errors.LDAPObjectClassError):
            return ConfigurationError(
                f"{condition!r} is no LDAP filter: {error}", advice="Correct user_filter or group_filter."
            )
        if isinstance(error, ldap3_errors.LDAPInvalidDnError):
            return ConfigurationError(f"{base!r} is no distinguished name: {error}", advice="Correct base_dn.")
        text = redact(str(error))
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
            return Refused(
                f"the certificate of {self._where} is not to be trusted: {_tls_reason(text)}",
                advice="Set ca_file to the CA that signed it, and url to a host name that it carries.",
            )
        return Unreachable(
            f"{self._where} cannot be reached or stopped answering: {text}",
            advice="Check url, the network, and that the server runs; a slow server needs a longer timeout_seconds.",
            restart=True,
        )

    def _refusal(self, error: ldap3_errors.LDAPOperationResult, base: str) -> Exception:
        code, who = int(error.result), self._settings.bind_dn or "anonymous"
        said = " ".join(part for part in (error.description, redact(error.message or "")) if part)
        if code in {_NO_SUCH_OBJECT, _NO_ACCESS}:
            missing = Missing("does not exist, or is hidden", matched=error.dn or "")
            if code == _NO_ACCESS:
                missing = Missing("may not be read", permission=f"read access to {base}", denied=True)
            return _Absent(missing, self._where, base)
        if code in {_BUSY, _UNAVAILABLE}:
            return Unreachable(f"{self._where} is {error.description}", restart=True)
        if code in _LIMITS:
            return self._limited(code, base)
        advice = next((advice for kind, advice in _SIGN_IN_ADVICE.items() if isinstance(error, kind)), None)
        if advice is not None:
            return Refused(f"{self._where} refuses {who}: {_detail(said)}", advice=advice)
        if isinstance(error, ldap3_errors.LDAPUnavailableCriticalExtensionResult):
            return Misbehaved(
                f"{self._where} does not support paged results for {who}: {said}",
                advice=f"Allow the paged-results control ({PAGED_RESULTS}) to the reader; no other read is complete.",
            )
        return Misbehaved(f"{self._where} answered {said} for {base or 'the sign-in'}")


class _Absent(Refused):
    """A base that is not there or not for us; a ``Refused`` unless whoever asked for one entry wants to know."""

    def __init__(self, missing: Missing, where: str, base: str) -> None:
        super().__init__(
            f"{base} {missing.reason} at {where}",
            advice="Correct base_dn, or let the reader read it.",
            missing_permission=missing.permission or f"read access to {base}",
        )
        self.missing = missing


_SIGN_IN_ADVICE: dict[type[ldap3_errors.LDAPException], str] = {
    ldap3_errors.LDAPInvalidCredentialsResult: "Check bind_dn and the secret behind bind_password.",
    ldap3_errors.LDAPInappropriateAuthenticationResult: "Set bind_dn and bind_password.",
    ldap3_errors.LDAPStrongerAuthRequiredResult: "Use ldaps://, or start_tls = true.",
    ldap3_errors.LDAPConfidentialityRequiredResult: "Use ldaps://, or start_tls = true.",
    ldap3_errors.LDAPAuthMethodNotSupportedResult: "Allow simple bind to the reader.",
    ldap3_errors.LDAPOperationsErrorResult: "Active Directory answers this to anonymous readers: set bind_dn.",
    ldap3_errors.LDAPUnwillingToPerformResult: "The server's log says why; password policy is a usual cause.",
}


def _entry(item: dict[str, Any]) -> Entry:
    return Entry(item["dn"], item["raw_attributes"])


def _detail(said: str) -> str:
    """Explain Active Directory's ``data 52e``."""
    _, marker, rest = said.partition(", data ")
    known = _AD_DATA.get(rest.partition(",")[0]) if marker else None
    return f"{said.partition(' ')[0]}, {known}" if known else said


def _tls_reason(text: str) -> str:
    return text.rpartition("verify failed: ")[2].partition(" (_ssl")[0].strip(" ')") or text


__all__ = ["Answer", "Client", "Missing", "Search", "SourceError", "tls_context"]

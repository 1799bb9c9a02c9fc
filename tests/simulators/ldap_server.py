"""An LDAP v3 server in this process (RFC 4511, RFC 2696) with the faults of real ones, on a free loopback port.

It speaks the documented protocol over a socket: bind, search with scopes and filters, the root DSE, paged
results, search references, Active Directory's ranged values. ``Faults`` makes it break where real servers do.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from reconciler.clock import now
from tests.simulators import ber
from tests.simulators.ldap_directory import Directory, Entries, Entry, Key, Profile, Values, key_of

PAGED, SORT = "1.2.840.113556.1.4.319", "1.2.840.113556.1.4.473"
SUCCESS, OPERATIONS, PROTOCOL, SIZE_LIMIT, REFERRAL, UNAVAILABLE_CRITICAL = 0, 1, 2, 4, 10, 12
NO_SUCH_OBJECT, INVALID_DN, BAD_CREDENTIALS, NO_ACCESS = 32, 34, 49, 50
_ROOT: dict[Profile, dict[str, Values]] = {
    "openldap": {"objectClass": ["top", "OpenLDAProotDSE"], "structuralObjectClass": ["OpenLDAProotDSE"]},
    "389ds": {"objectClass": ["top"], "vendorName": ["389 Project"], "vendorVersion": ["389-Directory/2.3.1 B2022"]},
    "ad": {
        "supportedCapabilities": ["1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670"],
        "domainFunctionality": ["7"],
        "forestFunctionality": ["7"],
        "isGlobalCatalogReady": ["TRUE"],
    },
}


@dataclass(slots=True)
class Faults:
    """How this server misbehaves; every field left alone is correct behaviour. Pages and entries count per search."""

    cut_after_entries: int | None = None
    """Drop the connection in the middle of a search, after so many entries of the paged chain."""
    cut_after_pages: int | None = None
    """Drop the connection when the page after this many is asked for."""
    cut_times: int = 1
    """How often one of these cuts happens before the server behaves."""
    reset: bool = False
    """Cut with a TCP reset instead of an orderly close."""
    code_on_page: tuple[int, int] | None = None
    """(page, result code): that page, counted from 1, ends with this code."""
    size_limit: int | None = None
    """Entries after which any search, paged or not, ends with sizeLimitExceeded."""
    no_control_on_page: int | None = None
    """The page, counted from 1, whose answer lacks the paging control."""
    no_paging: bool = False
    """Refuse the paging control (unavailableCriticalExtension) and do not announce it."""
    repeat_cookie: bool = False
    """Hand out the same cookie for ever: page after page, then empty ones."""
    repeat_page: bool = False
    """Send the first page for ever, with a new cookie each time."""
    empty_results: bool = False
    """Answer success and no entries to every search below the root DSE, as some servers do without rights."""
    referrals: Sequence[str] = ()
    """Search references sent with the first page of every search below a base."""
    hidden: Sequence[str] = ()
    """DNs whose subtree the reader may not see: left out silently, noSuchObject when asked for."""
    hidden_attributes: Sequence[str] = ()
    """Attributes the reader may not see: left out silently, and Undefined in filters."""
    refused: Sequence[str] = ()
    """DNs whose subtree answers insufficientAccessRights when it is the base."""
    range_size: int | None = None
    """Values of ``member`` per answer; the rest is asked for with ``member;range=N-*`` (Active Directory)."""
    range_breaks_at: int | None = None
    """Ranged retrieval from this value on answers without the attribute."""
    stall_on_page: int | None = None
    """The page, counted from 1, that never comes."""
    garble_on_page: int | None = None
    """The page, counted from 1, that is well framed and nonsense inside."""
    spoil_on_page: tuple[int, Literal["value", "cookie"]] | None = None
    """(page, what): that page, counted from 1, has a value of its first entry, or its cookie, longer than it is."""
    max_page: int | None = None
    """Largest page, however many entries are asked for (Active Directory: 1000)."""


@dataclass(slots=True)
class _Chain:
    """A paged search under way on one connection."""

    left: list[Entry]
    pages: int = 0
    sent: int = 0


@dataclass(slots=True)
class _Search:
    """A decoded search request."""

    base: str
    scope: int
    limit: int
    condition: ber.Tlv
    wanted: tuple[str, ...]
    page_size: int | None = None
    cookie: bytes = b""


@dataclass(slots=True)
class _Session:
    """What one connection knows."""

    bound: bool = False
    chains: dict[bytes, _Chain] = field(default_factory=dict)


class _Cut(Exception):  # noqa: N818 - not an error: the fault that was asked for
    """Drop this connection now."""


class LdapServer:
    """An LDAP server over ``entries`` (DN -> attribute -> values), started and stopped by the caller.

    ``users`` are DNs (or AD logon names) and their passwords; without a bind only the root DSE is readable,
    unless ``anonymous``. Every entry gets its profile's immutable id where it brings none. ``root_dse`` adds
    to or replaces root attributes. Use as a context manager, or ``start`` and ``stop``.
    """

    def __init__(
        self,
        entries: Entries,
        *,
        users: Mapping[str, str] | None = None,
        profile: Profile = "openldap",
        faults: Faults | None = None,
        anonymous: bool = False,
        root_dse: Mapping[str, Values] | None = None,
        port: int = 0,
    ) -> None:
        self.directory = Directory(entries, profile)
        self.faults = faults or Faults()
        self.searches: list[str] = []
        """Base DN of every search so far, in order."""
        self.binds = 0
        self.open_connections = 0
        self._users = {name.casefold(): password for name, password in (users or {}).items()}
        self._profile: Profile = profile
        self._anonymous = anonymous
        self._root_extra = dict(root_dse or {})
        self._port = port
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self._sockets: set[socket.socket] = set()
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``ldap://127.0.0.1:PORT``."""
        return f"ldap://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Listen; returns when connections are accepted."""
        self._stopping.clear()
        self._listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
        self._port = self._listener.getsockname()[1]
        self._spawn(self._accept, self._listener)

    def stop(self) -> None:
        """Drop every connection and stop listening; safe to call twice."""
        self._stopping.set()
        if self._listener is not None:
            _shut(self._listener)
        for connection in list(self._sockets):
            _shut(connection)
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _spawn(self, run: object, argument: socket.socket) -> None:
        thread = threading.Thread(target=run, args=(argument,), daemon=True)  # type: ignore[arg-type] # bound method
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # stopped
            self._sockets.add(connection)
            self._spawn(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        session = _Session()
        self.open_connections += 1
        try:
            for message in _messages(connection):
                if not self._answer(message, session, connection):
                    break
        except (_Cut, OSError, ValueError):
            pass  # the client went away, sent what is no LDAP, or a fault was due: the connection ends
        finally:
            self.open_connections -= 1
            self._sockets.discard(connection)
            connection.close()

    def _answer(self, message: ber.Tlv, session: _Session, connection: socket.socket) -> bool:
        """Answer one message; False ends the connection (unbind)."""
        identifier, operation, *rest = message.children()
        number = identifier.integer()
        if operation.tag == 0x60:
            connection.sendall(_message(number, _result(0x61, *self._bind(operation, session))))
        elif operation.tag == 0x63:
            controls = rest[0].children() if rest else []
            self._search(number, _request(operation, controls), session, connection)
        elif operation.tag == 0x42:
            return False
        elif operation.tag == 0x77:
            connection.sendall(_message(number, _result(0x78, PROTOCOL, "unsupported extended operation")))
        elif operation.tag != 0x50:  # abandon has no answer
            connection.sendall(_message(number, _result(operation.tag + 1, PROTOCOL, "unsupported operation")))
        return True

    def _bind(self, operation: ber.Tlv, session: _Session) -> tuple[int, str]:
        _, name, credentials = operation.children()
        self.binds += 1
        session.bound = False
        if credentials.tag != 0x80:
            return 7, "only simple bind"
        if not name.content:
            return SUCCESS, ""
        if not credentials.content:
            return 53, "unauthenticated bind (DN with no password) disallowed"
        if self._users.get(name.text().casefold()) != credentials.text():
            detail = "80090308: LdapErr: DSID-0C09044E, comment: AcceptSecurityContext error, data 52e, v4563"
            return BAD_CREDENTIALS, detail if self._profile == "ad" else ""
        session.bound = True
        return SUCCESS, ""

    def _search(self, number: int, search: _Search, session: _Session, connection: socket.socket) -> None:
        self.searches.append(search.base)
        try:
            base = key_of(search.base)
        except ValueError:
            return connection.sendall(_message(number, _result(0x65, INVALID_DN, "invalid DN")))
        if not base and search.scope == 0:
            root = Entry("", (), {k.lower(): (k, tuple(_bytes(v))) for k, v in self._root().items()})
            body = _message(number, _entry(root.dn, root.select(search.wanted, self._profile)))
            return connection.sendall(body + _message(number, _result(0x65, SUCCESS, "")))
        refusal = self._refusal(search, base, session)
        if refusal is not None:
            return connection.sendall(_message(number, _result(0x65, *refusal)))
        if search.page_size is not None and not search.cookie and self._profile == "openldap":
            session.chains.clear()  # OpenLDAP keeps one paged search a connection
        if search.page_size is None:
            chain = _Chain(self._found(search, base))
        elif search.cookie:
            found = session.chains.pop(search.cookie, None)
            if found is None:
                return connection.sendall(_message(number, _result(0x65, PROTOCOL, "paged results cookie is invalid")))
            chain = found
        else:
            chain = _Chain(self._found(search, base))
        return self._send_page(number, search, chain, session, connection)

    def _refusal(self, search: _Search, base: Key, session: _Session) -> tuple[int, str, str] | None:
        """Return the result code, text and matched DN of a search that is not carried out."""
        if not session.bound and not self._anonymous:
            if self._profile == "ad":
                return OPERATIONS, "000004DC: LdapErr: DSID-0C090A5C, comment: a successful bind must be completed", ""
            return NO_ACCESS, "", ""
        if search.page_size is not None and self.faults.no_paging:
            return UNAVAILABLE_CRITICAL, "critical control unavailable in context", ""
        if any(base[: len(key)] == key for key in map(key_of, self.faults.refused)):
            return NO_ACCESS, "no read access", ""
        if self._profile == "ad" and self.directory.elsewhere(base):
            return REFERRAL, "0000202B: RefErr: DSID-0310084A, data 0, 1 access points", ""
        hidden = [key_of(dn) for dn in self.faults.hidden]
        matched = self.directory.matched(base, hidden)
        return None if matched is None else (NO_SUCH_OBJECT, "", matched)

    def _found(self, search: _Search, base: Key) -> list[Entry]:
        if self.faults.empty_results:
            return []
        veiled = frozenset(name.lower() for name in self.faults.hidden_attributes)
        return self.directory.search(base, search.scope, search.condition, map(key_of, self.faults.hidden), veiled)

    def _send_page(
        self, number: int, search: _Search, chain: _Chain, session: _Session, connection: socket.socket
    ) -> None:
        faults, paged = self.faults, search.page_size is not None
        chain.pages += 1
        if faults.stall_on_page == chain.pages:
            self._stopping.wait()
            raise _Cut
        if faults.cut_after_pages is not None and chain.pages > faults.cut_after_pages:
            self._cut(connection)
        out = bytearray()
        if chain.pages == 1 and search.scope:
            for url in (*self._own_referrals(search), *faults.referrals):
                out += _message(number, ber.strings(0x73, [url]))
        if faults.garble_on_page == chain.pages:
            return connection.sendall(_message(number, ber.tlv(0x64, b"\x31\xff\xff")))
        page, code = self._take_page(search, chain)
        spoilt = faults.spoil_on_page[1] if faults.spoil_on_page and faults.spoil_on_page[0] == chain.pages else ""
        if spoilt == "value":
            broken = ber.tlv(ber.SEQUENCE, ber.tlv(ber.SEQUENCE, ber.octets("uid"), ber.tlv(ber.SET, b"\x04\x07short")))
            out += _message(number, ber.tlv(0x64, ber.octets(page[0].dn), broken))
        for entry in page:
            if chain.sent == faults.cut_after_entries and faults.cut_times > 0:
                connection.sendall(out)
                self._cut(connection)
            out += _message(number, _entry(entry.dn, self._shown(entry, search.wanted)))
            chain.sent += 1
        control = b""
        if paged and faults.no_control_on_page != chain.pages:
            cookie = self._cookie(chain, session) if code == SUCCESS else b""
            told = b"\x04\x20" if spoilt == "cookie" else ber.octets(cookie)
            value = ber.tlv(ber.SEQUENCE, ber.integer(0), told)
            control = ber.tlv(0xA0, ber.tlv(ber.SEQUENCE, ber.octets(PAGED), ber.octets(value)))
        return connection.sendall(out + _message(number, _result(0x65, code, ""), control))

    def _own_referrals(self, search: _Search) -> list[str]:
        """Return the references that every AD domain sends from its root: to the partitions below it."""
        root = search.base
        if self._profile != "ad" or key_of(root) not in map(key_of, self.directory.suffixes()):
            return []
        below = (f"CN=Configuration,{root}", f"DC=DomainDnsZones,{root}", f"DC=ForestDnsZones,{root}")
        return [f"ldap://dc.corp.test/{dn}" for dn in below]

    def _take_page(self, search: _Search, chain: _Chain) -> tuple[list[Entry], int]:
        faults, waiting = self.faults, len(chain.left)
        size = min(search.page_size or waiting, faults.max_page or waiting)
        page = chain.left[:size]
        if not faults.repeat_page:
            chain.left = chain.left[size:]
        if faults.code_on_page and faults.code_on_page[0] == chain.pages:
            return page, faults.code_on_page[1]
        if search.page_size is None and chain.left:
            return page, SIZE_LIMIT  # Active Directory's page limit holds for searches without paging too
        limits = [limit for limit in (faults.size_limit, search.limit or None) if limit is not None]
        if limits and chain.sent + len(page) > min(limits):
            return page[: max(min(limits) - chain.sent, 0)], SIZE_LIMIT
        return page, SUCCESS

    def _cookie(self, chain: _Chain, session: _Session) -> bytes:
        if not chain.left and not self.faults.repeat_cookie:
            return b""
        # 389 Directory Server names the chain, not the page: its cookie stays the same.
        page = 0 if self._profile == "389ds" else chain.pages
        cookie = b"again" if self.faults.repeat_cookie else struct.pack(">QI", id(chain), page)
        session.chains[cookie] = chain
        return cookie

    def _cut(self, connection: socket.socket) -> None:
        if self.faults.cut_times <= 0:
            return
        self.faults.cut_times -= 1
        if self.faults.reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise _Cut

    def _shown(self, entry: Entry, wanted: Sequence[str]) -> dict[str, tuple[bytes, ...]]:
        veiled = {name.lower() for name in self.faults.hidden_attributes}
        return {name: values for name, values in self._ranged(entry, wanted).items() if name.lower() not in veiled}

    def _ranged(self, entry: Entry, wanted: Sequence[str]) -> dict[str, tuple[bytes, ...]]:
        size = self.faults.range_size
        if size is None:
            return entry.select(wanted, self._profile)
        plain = [name for name in wanted if ";range=" not in name.lower()]
        shown = entry.select(plain, self._profile) if plain or not wanted else {}
        for name, values in list(shown.items()):
            if name.lower() == "member" and len(values) > size:
                shown["member"] = ()  # Active Directory sends the plain name empty beside the range
                shown[f"member;range=0-{size - 1}"] = values[:size]
        for name in wanted:
            attribute, marker, span = name.lower().partition(";range=")
            if marker and attribute == "member":
                start, values = int(span.partition("-")[0]), entry.values("member")
                if self.faults.range_breaks_at is not None and start >= self.faults.range_breaks_at:
                    continue
                end = "*" if start + size >= len(values) else str(start + size - 1)
                shown[f"member;range={start}-{end}"] = values[start : start + size]
        return shown

    def _root(self) -> dict[str, Values]:
        contexts = self.directory.suffixes()
        root: dict[str, Values] = {
            "namingContexts": contexts,
            "supportedLDAPVersion": ["3"],
            "supportedControl": [SORT] if self.faults.no_paging else [SORT, PAGED],
            **_ROOT[self._profile],
        }
        if self._profile == "ad" and contexts:
            root["defaultNamingContext"] = contexts[:1]
            root["currentTime"] = [now().strftime("%Y%m%d%H%M%S.0Z")]
        return root | self._root_extra


def _bytes(values: Values) -> Iterator[bytes]:
    for value in values:
        yield value.encode() if isinstance(value, str) else value


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # already gone


def _messages(connection: socket.socket) -> Iterator[ber.Tlv]:
    data = b""
    while True:
        found = ber.length_at(data, 1)
        while found is None or len(data) < sum(found):
            received = connection.recv(65536)
            if not received:
                return
            data += received
            found = ber.length_at(data, 1)
        end = sum(found)
        yield next(ber.parse(data[:end]))
        data = data[end:]


def _message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    return ber.tlv(ber.SEQUENCE, ber.integer(number), operation, controls)


def _result(tag: int, code: int, text: str, matched: str = "") -> bytes:
    referred = [ber.strings(0xA3, ["ldap://other.corp.test/"])] if code == REFERRAL else []
    return ber.tlv(tag, ber.integer(code, ber.ENUMERATED), ber.octets(matched), ber.octets(text), *referred)


def _entry(dn: str, attributes: Mapping[str, Sequence[bytes]]) -> bytes:
    parts = [
        ber.tlv(ber.SEQUENCE, ber.octets(name), ber.strings(ber.SET, values)) for name, values in attributes.items()
    ]
    return ber.tlv(0x64, ber.octets(dn), ber.tlv(ber.SEQUENCE, *parts))


def _request(operation: ber.Tlv, controls: Sequence[ber.Tlv]) -> _Search:
    base, scope, _, limit, _, _, condition, wanted = operation.children()
    search = _Search(
        base.text(), scope.integer(), limit.integer(), condition, tuple(item.text() for item in wanted.children())
    )
    for control in controls:
        parts = control.children()
        if parts[0].text() == PAGED:
            size, cookie = next(ber.parse(parts[-1].content)).children()
            search.page_size, search.cookie = size.integer(), cookie.content
    return search

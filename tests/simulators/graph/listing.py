"""Pages of a collection: $select with its defaults, $top with its limits, opaque next links, counts, expansion."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from tests.simulators.graph.answers import Answer, Call, GraphError, Json, bad
from tests.simulators.graph.odata import Filter, Options, options, order_key, parse_filter
from tests.simulators.graph.permissions import may_read, reports_refusal
from tests.simulators.graph.tenant import P1, Directory, Rows
from tests.simulators.graph.vocabulary import NOT_IN_LISTS, default_view, properties
from tests.simulators.http_injection import Listing

_SORTED_BY_DEFAULT = {"user": {"displayName", "userPrincipalName"}, "group": {"displayName"}}
"""What $orderby takes without the advanced query engine (concepts/aad-advanced-queries)."""
_SCAN = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """How a collection behaves; sizes are rows a page."""

    type: str
    """Type of the rows, or ``directoryObject`` where they are of several."""
    default: int = 100
    most: int | None = 999
    """None: the collection has no pages and takes no notice of $top."""
    countable: bool = True
    """Whether the advanced query engine serves it (directory objects)."""
    clamps: bool = False
    """Give the largest page where more is asked for, instead of refusing."""


@dataclass
class Lag:
    """What the index of advanced queries has not noticed yet: it serves $count, $search, ``ne``, ``endswith``, ..."""

    unseen: set[str] = field(default_factory=set)
    """Ids of objects that exist and are not in the index yet."""
    lingering: dict[str, list[Json]] = field(default_factory=dict)
    """Rows by collection that are gone and still in the index."""
    stale: dict[str, Json] = field(default_factory=dict)
    """Rows by id as the index still has them."""


@dataclass
class Lister:
    """Lists collections of one tenant."""

    tenant: Directory
    origin: str = ""
    lag: Lag = field(default_factory=Lag)
    links: Callable[[str, str], Sequence[str]] | None = None
    expired_pages: bool = False
    """Refuse every $skiptoken, as when one is too old."""
    licence_unseen: bool = False
    """Take a tenant for one without a licence where the app may not read it (no Directory.Read.All): a known issue."""

    def page(
        self, call: Call, rows: Rows, kind: Kind, *, plain: Options | None = None, deleted: bool = False
    ) -> tuple[Answer, Listing]:
        """Return a page and, apart, its rows and next link, which faults may still change."""
        asked = plain or options(call.query)
        top = self._top(kind, asked)
        sieve = self._filter(call, kind, asked)
        self._check_select(call, kind, asked)
        if call.eventual and kind.countable:
            rows = self._indexed(call.path, rows)
        start = self._start(call, asked)
        if asked.order is not None:
            rows = _ordered(rows, asked.order)
        found, following = _scan(rows, sieve, start, len(rows) if top is None else top)
        items = [self.view(call, row, kind, asked, deleted=deleted) for row in found]
        link = None if following is None else self._next(call, following)
        names = f"({','.join(asked.select)})" if asked.select else ""
        content: Json = {"@odata.context": f"{self.origin}/{call.version}/$metadata#{_context(call, kind)}{names}"}
        if asked.count and call.eventual and kind.countable and asked.skip_token is None:
            content["@odata.count"] = count(rows, sieve)
        return Answer(200, content), Listing(items, link)

    def counted(self, call: Call, rows: Rows, kind: Kind) -> Answer:
        """Answer .../$count: the bare figure as text, from the advanced query engine only."""
        if not call.eventual or not kind.countable:
            bad("$count is not currently supported.")
        sieve = self._filter(replace(call, query={**call.query, "$count": "true"}), kind, options(call.query))
        figure = count(self._indexed(call.path.removesuffix("/$count"), rows), sieve)
        return Answer(200, str(figure), {"Content-Type": "text/plain"})

    def view(self, call: Call, row: Json, kind: Kind, asked: Options, *, deleted: bool = False) -> Json:
        """Return a row as the caller may see it and asked for it."""
        own = row["@odata.type"].removeprefix("#microsoft.graph.") if kind.type == "directoryObject" else kind.type
        mixed = kind.type == "directoryObject"
        if mixed and not may_read(own, call.roles):
            names = asked.select or tuple(default_view(own, row))
            return {"@odata.type": row["@odata.type"], "id": row["id"], **{n: None for n in names if n != "id"}}
        if asked.select:
            shown = {name: row.get(name) for name in asked.select if not mixed or name in properties(own)}
            if "signInActivity" in shown:
                shown["id"] = row["id"]
                if shown["signInActivity"] is None:
                    del shown["signInActivity"]  # who never signed in has no such property
        else:
            shown = default_view(own, row)
            if deleted:
                shown["deletedDateTime"] = row.get("deletedDateTime")
        if "customSecurityAttributes" in shown and "CustomSecAttributeAssignment.Read.All" not in call.roles:
            shown["customSecurityAttributes"] = None
        if "employeeLeaveDateTime" in shown and "User-LifeCycleInfo.Read.All" not in call.roles:
            shown["employeeLeaveDateTime"] = None
        if mixed:
            shown = {"@odata.type": row["@odata.type"], **shown}
        for name in asked.expand:
            self._expand(call, row, name, shown)
        return shown

    def _expand(self, call: Call, row: Json, expression: str, shown: Json) -> None:
        name, _, rest = expression.partition("(")
        select = tuple(rest.removesuffix(")").removeprefix("$select=").split(",")) if rest else ()
        inner = Options(select=select)
        if name in {"principal", "roleDefinition", "group", "directoryScope", "activatedUsing"}:
            target = row.get(f"{name}Id")
            held = self.tenant.rows("roleManagement/directory/roleDefinitions").find(str(target))
            if name == "roleDefinition":
                shown[name] = held
            else:
                found = self.tenant.find(str(target)) if target else None
                shown[name] = None if found is None else self.view(call, typed(found), Kind("directoryObject"), inner)
            return
        if name not in {"manager", "members", "owners", "memberOf", "transitiveMemberOf"}:
            bad(f"Could not find a property named '{name}' on the type of this resource.", "BadRequest")
        found_all = [self.tenant.find(each) for each in self.tenant.linked(name, row["id"])][:20]
        views = [self.view(call, typed(each), Kind("directoryObject"), inner) for each in found_all if each]
        if name != "manager":
            shown[name] = views
        elif views:
            shown[name] = views[0]

    def _top(self, kind: Kind, asked: Options) -> int | None:
        if kind.most is None:
            return None
        top = kind.default if asked.top is None else asked.top
        most = kind.most
        if kind.type == "user" and "signInActivity" in asked.select:
            return min(top, 500)  # documented: larger pages are answered with up to 500 users
        if top < 1 or (top > most and not kind.clamps):
            if kind.countable:
                bad(f"Invalid page size specified: '{top}'. Must be between 1 and {most} inclusive.")
            bad(f"The limit of '{most}' for Top query has been exceeded. The incoming request has '{top}'.")
        return min(top, most)

    def _filter(self, call: Call, kind: Kind, asked: Options) -> Filter | None:
        sieve = None if asked.filter is None else parse_filter(asked.filter)
        advanced = (
            (sieve is not None and sieve.advanced)
            or asked.search is not None
            or (asked.order is not None and asked.filter is not None)
            or (asked.order is not None and asked.order.split(" ")[0] not in _SORTED_BY_DEFAULT.get(kind.type, set()))
        )
        if advanced and kind.countable and not (call.eventual and (asked.count or asked.search is not None)):
            bad(
                "Unsupported Query. This query needs the header ConsistencyLevel: eventual and $count=true.",
                "Request_UnsupportedQuery",
            )
        if asked.expand and call.eventual and kind.countable:
            bad(
                "$expand is not supported with advanced queries: leave out $expand, or the header ConsistencyLevel.",
                "Request_UnsupportedQuery",
            )
        if asked.search is not None:
            return _search(asked.search, sieve)
        return sieve

    def _check_select(self, call: Call, kind: Kind, asked: Options) -> None:
        if kind.type == "directoryObject":
            return
        for name in asked.select:
            if name.split("/")[0] not in properties(kind.type):
                bad(f"Could not find a property named '{name}' on type 'microsoft.graph.{kind.type}'.", "BadRequest")
            if kind.type == "user" and name in NOT_IN_LISTS:
                raise GraphError(501, "NotImplemented", f"'{name}' is not supported in a listing of users.")
        self.check_sign_in_activity(call, asked, kind)

    def check_sign_in_activity(self, call: Call, asked: Options, kind: Kind) -> None:
        """Refuse signInActivity to tenants without Entra ID P1, and to apps without AuditLog.Read.All."""
        if kind.type != "user" or not ("signInActivity" in asked.select or "signInActivity" in (asked.filter or "")):
            return
        self.check_premium(call)
        if "AuditLog.Read.All" not in call.roles:
            raise reports_refusal("AuditLog.Read.All")

    def check_premium(self, call: Call) -> None:
        """Refuse what needs Entra ID P1."""
        unseen = self.licence_unseen and "Directory.Read.All" not in call.roles
        if P1 not in self.tenant.licences or unseen:
            raise GraphError(
                403,
                "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
                "Neither tenant is B2C or tenant doesn't have premium license",
            )

    def _indexed(self, path: str, rows: Rows) -> Rows:
        lingering = self.lag.lingering.get(path, [])
        if not (self.lag.unseen or lingering or self.lag.stale):
            return rows
        kept = [self.lag.stale.get(row["id"], row) for row in rows.window(0, len(rows))]
        return _Sorted([row for row in kept if row["id"] not in self.lag.unseen] + lingering)

    def _start(self, call: Call, asked: Options) -> int:
        if asked.skip_token is None:
            return 0
        try:
            state = json.loads(base64.urlsafe_b64decode(asked.skip_token.encode()))
            start, query, advanced = int(state["at"]), state["of"], bool(state["adv"])
        except (ValueError, KeyError, TypeError):
            bad("The specified page token value is invalid.", "Directory_ExpiredPageToken")
        if self.expired_pages or query != _fingerprint(call) or advanced != call.eventual:
            bad(
                "The specified page token value has expired and can no longer be included in your request.",
                "Directory_ExpiredPageToken",
            )
        return start

    def _next(self, call: Call, start: int) -> str:
        state = json.dumps({"at": start, "of": _fingerprint(call), "adv": call.eventual})
        token = base64.urlsafe_b64encode(state.encode()).decode()
        kept = {name: value for name, value in call.query.items() if name != "$skiptoken" and name.startswith("$")}
        pairs = [
            f"{name}={quote(value, safe=chr(39) + '(),:/')}" for name, value in {**kept, "$skiptoken": token}.items()
        ]
        return f"{self.origin}/{call.version}/{quote(call.path)}?{'&'.join(pairs)}"


def _ordered(rows: Rows, order: str) -> Rows:
    """Sort; rows that are made by time already are not all made for that."""
    key, descending = order_key(order)
    if getattr(rows, "newest_first", "") == order.partition(" ")[0]:
        return rows if descending else _Reversed(rows)
    return _Sorted(sorted(rows.window(0, len(rows)), key=key, reverse=descending))


class _Reversed:
    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def window(self, start: int, count: int) -> Sequence[Json]:
        end = len(self.rows) - start
        return self.rows.window(max(0, end - count), min(count, end))[::-1]

    def find(self, name: str) -> Json | None:
        return self.rows.find(name)


class _Sorted:
    def __init__(self, held: list[Json]) -> None:
        self.held = held

    def __len__(self) -> int:
        return len(self.held)

    def window(self, start: int, count: int) -> Sequence[Json]:
        return self.held[start : start + count]

    def find(self, name: str) -> Json | None:
        return next((row for row in self.held if row["id"] == name), None)


def typed(found: tuple[str, Json]) -> Json:
    """Return a directory object with its type on it."""
    return {"@odata.type": f"#microsoft.graph.{found[0]}", **found[1]}


def count(rows: Rows, sieve: Filter | None) -> int:
    """Count the rows that a filter lets through."""
    return len(rows) if sieve is None else sum(1 for _ in _matching(rows, sieve, 0))


def _matching(rows: Rows, sieve: Filter | None, start: int) -> Iterator[tuple[int, Json]]:
    for name in ("id", "userPrincipalName"):
        if sieve is not None and name in sieve.equals:
            row = rows.find(str(sieve.equals[name]))
            if row is not None and start == 0 and sieve.matches(row):
                yield 0, row
            return
    at = start
    while window := rows.window(at, _SCAN):
        for offset, row in enumerate(window):
            if sieve is None or sieve.matches(row):
                yield at + offset, row
        at += len(window)


def _scan(rows: Rows, sieve: Filter | None, start: int, top: int) -> tuple[list[Json], int | None]:
    if sieve is None:
        return list(rows.window(start, top)), start + top if start + top < len(rows) else None
    found: list[Json] = []
    for at, row in _matching(rows, sieve, start):
        if len(found) == top:
            return found, at
        found.append(row)
    return found, None


def _search(text: str, sieve: Filter | None) -> Filter:
    """Read $search="displayName:word": the words of a property that begin so."""
    name, colon, sought = text.strip().strip('"').partition(":")
    if not colon:
        bad('Syntax error in $search: expected "property:value".')

    def matches(row: Json) -> bool:
        words = [str(row.get(name) or "").lower(), *str(row.get(name) or "").lower().split()]
        return any(word.startswith(sought.lower()) for word in words) and (sieve is None or sieve.matches(row))

    return Filter(matches, advanced=True, equals={})


def _fingerprint(call: Call) -> str:
    """Tie a token to its query: $filter, $orderby and path may not change on the way."""
    parts = [call.path, *(call.query.get(name, "") for name in ("$filter", "$orderby", "$search"))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def _context(call: Call, kind: Kind) -> str:
    return "directoryObjects" if kind.type == "directoryObject" else call.path


def write(content: Json, listing: Listing) -> Mapping[str, Any]:
    """Put rows and next link into the answer, in Graph's order."""
    link = {} if listing.next is None else {"@odata.nextLink": listing.next}
    return {**content, **link, "value": listing.items}

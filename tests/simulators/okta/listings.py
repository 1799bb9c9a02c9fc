"""The endpoints that answer GET requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiohttp import web

from reconciler.clock import now
from tests.simulators.okta import errors
from tests.simulators.okta.auth import Principal
from tests.simulators.okta.endpoints import LISTS, OBJECTS, Endpoint
from tests.simulators.okta.logs import log_page
from tests.simulators.okta.paging import Sized, cut, limit_of, next_url, seal, unseal
from tests.simulators.okta.rows import Row, Rows
from tests.simulators.okta.search import Test, compiled, values

if TYPE_CHECKING:
    from tests.simulators.okta.server import OktaSimulator

Handler = Callable[[web.Request], Awaitable[web.Response]]
_KINDS = {"users": "User", "groups": "UserGroup", "apps": "AppInstance", "groups/rules": "GroupRule"}
_SEARCH = frozenset({"eq", "sw", "co", "gt", "ge", "lt", "le", "pr"})
_EQUAL = frozenset({"eq", "gt", "ge", "lt", "le"})
_TOP = {"id", "status", "created", "activated", "statusChanged", "lastUpdated", "type.id"}
_STATES = {
    "STAGED",
    "PROVISIONED",
    "ACTIVE",
    "RECOVERY",
    "PASSWORD_EXPIRED",
    "LOCKED_OUT",
    "SUSPENDED",
    "DEPROVISIONED",
}


def routes(simulator: OktaSimulator) -> Iterator[tuple[str, Handler]]:
    """Return every GET route; those of fixed words stand before those with ids."""
    serve = Listings(simulator)
    yield "/api/v1/users", serve.users
    yield "/api/v1/users/{user}", serve.user
    yield "/api/v1/groups", serve.groups
    yield "/api/v1/apps", serve.apps
    yield "/api/v1/logs", serve.logs
    yield "/oauth2/v1/clients/{client}/roles", serve.client_roles
    for endpoint in LISTS:
        yield f"/api/v1/{endpoint.path}", serve.listed(endpoint)
    for endpoint in OBJECTS:
        yield f"/api/v1/{endpoint.path}", serve.single(endpoint)


class Listings:
    """Handlers over one simulator's org."""

    def __init__(self, simulator: OktaSimulator) -> None:
        self._simulator = simulator
        self._org = simulator.org

    async def users(self, request: web.Request) -> web.Response:
        """List users: without a filter those that are not DEPROVISIONED, with ``search`` as its index has them."""
        principal = self._simulator.gate.admit(request, "okta.users.read")
        query = request.query
        if "search" in query and ("filter" in query or "q" in query):
            raise errors.refused(400, "E0000001", "Api validation failed: search", "search cannot be combined")
        rows = self._org.rows["users"]
        test: Test | None = None
        if "search" in query:
            rows = self._org.searched
            if query["search"].strip() != "status pr":
                test = compiled(query["search"], "search", operators=_SEARCH, attributes=_searchable)
        elif "filter" in query:
            test = compiled(query["filter"], "filter", operators=_EQUAL, attributes=_filterable)
        elif "q" in query:
            wanted = query["q"].casefold()
            test = _starting(wanted, _names)
        else:
            test = _present
        limit = self._limit(request, 10 if "q" in query else 200, 200)
        if principal.sees is not None:
            seen = principal.sees
            test = _both(test, _within(seen))
        if "sortBy" in query and "search" in query:
            return self._sorted(request, rows, test, limit, principal)
        return self._by_id(request, rows, test, limit, principal, paged="q" not in query)

    async def user(self, request: web.Request) -> web.Response:
        """Return one user by id, login, short name, or ``me``."""
        principal = self._simulator.gate.admit(request, "okta.users.read")
        wanted = request.match_info["user"]
        if wanted == "me":
            wanted = principal.user_id if principal.scopes is None else ""
        row = self._org.get("users", wanted) or self._org.by_login(wanted)
        if row is None or not _visible(principal, row):
            raise errors.not_found(wanted, "User")
        return self._simulator.json(row)

    async def groups(self, request: web.Request) -> web.Response:
        """List groups; ``expand=stats`` embeds counts, and makes pages smaller."""
        principal = self._simulator.gate.admit(request, "okta.groups.read")
        query = request.query
        test: Test | None = None
        if "search" in query:
            test = compiled(query["search"], "search", operators=_SEARCH, attributes=bool)
        elif "filter" in query:
            names = {"id", "type", "lastUpdated", "lastMembershipUpdated"}
            test = compiled(query["filter"], "filter", operators=_EQUAL, attributes=names.__contains__)
        elif "q" in query:
            wanted = query["q"].casefold()
            test = _starting(wanted, lambda row: [row["profile"]["name"]])
        limit = self._limit(request, 10_000, 10_000)
        expand = query.get("expand", "")
        change = None
        if "stats" in expand.split(","):
            limit = min(limit, 300)
            change = self._with_stats
        if "sortBy" in query and "search" in query:
            return self._sorted(request, self._org.rows["groups"], test, limit, principal, change=change)
        return self._by_id(request, self._org.rows["groups"], test, limit, principal, change=change)

    async def apps(self, request: web.Request) -> web.Response:
        """List apps: those that are not ACTIVE only with ``includeNonDeleted`` or a filter, deleted ones never."""
        principal = self._simulator.gate.admit(request, "okta.apps.read")
        query = request.query
        test: Test | None = None
        if "filter" in query:
            names = {"id", "status", "name", "user.id", "group.id", "credentials.signing.kid"}
            test = compiled(query["filter"], "filter", operators=_EQUAL, attributes=names.__contains__)
        elif "q" in query:
            wanted = query["q"].casefold()
            test = _starting(wanted, lambda row: [row["name"], row["label"]])
        if "filter" not in query and query.get("includeNonDeleted", "").lower() != "true":
            test = _both(test, _active)
        return self._by_id(request, self._org.rows["apps"], test, self._limit(request, 200, 200), principal)

    async def logs(self, request: web.Request) -> web.Response:
        """List events of the System Log."""
        self._simulator.gate.admit(request, "okta.logs.read")
        limit = self._limit(request, 100, 1000)
        items, after = log_page(request, self._org.events, limit, now())
        following = None if after is None else next_url(request, self._simulator.url, after)
        return self._simulator.page(request, items, following)

    async def client_roles(self, request: web.Request) -> web.Response:
        """List the admin roles of an OAuth client."""
        self._simulator.gate.admit(request, "okta.roles.read")
        client = request.match_info["client"]
        roles = self._org.lists.get(f"clients/{client}/roles")
        if roles is None and self._org.get("apps", client) is None:
            raise errors.not_found(client, "PublicClientApp")
        return self._simulator.page(request, list(roles or []), None)

    def listed(self, endpoint: Endpoint) -> Handler:
        """Return the handler of a plain list."""

        async def handle(request: web.Request) -> web.Response:
            principal = self._simulator.gate.admit(request, endpoint.scope)
            path = endpoint.path.format(**request.match_info)
            if path in self._org.rows:
                rows: Sized | None = self._org.rows[path]
            else:
                rows = self._org.below(path)
            parent = path.split("/")[0]
            if rows is None:
                raise errors.not_found(path.split("/")[1], _KINDS.get(parent, "Resource"))
            if not principal.role and parent in _KINDS:
                rows = []
            start = int(unseal(request, path) or 0)
            limit = self._limit(request, endpoint.default, endpoint.most) if endpoint.most else len(rows)
            test: Test | None = None
            if principal.sees is not None and path.endswith("/users"):
                seen = principal.sees
                test = _within(seen)
            items, end = cut(rows, start, limit, test)
            following = None if end is None else next_url(request, self._simulator.url, seal(path, str(end)))
            return self._simulator.page(request, items, following, key=endpoint.key)

        return handle

    def single(self, endpoint: Endpoint) -> Handler:
        """Return the handler of one object of a collection."""

        async def handle(request: web.Request) -> web.Response:
            self._simulator.gate.admit(request, endpoint.scope)
            collection, _, object_id = endpoint.path.format(**request.match_info).rpartition("/")
            row = self._org.get(collection, object_id)
            if row is None:
                raise errors.not_found(object_id, _KINDS.get(collection, "Resource"))
            return self._simulator.json(row)

        return handle

    def _limit(self, request: web.Request, default: int, most: int) -> int:
        limit = limit_of(request, default, most)
        return limit if self._simulator.page_size is None else min(limit, self._simulator.page_size)

    def _with_stats(self, row: Row) -> Row:
        stats = self._org.stats(row["id"])
        return {**row, "_embedded": {**row.get("_embedded", {}), "stats": stats}}

    def _by_id(
        self,
        request: web.Request,
        rows: Rows,
        test: Test | None,
        limit: int,
        principal: Principal,
        *,
        paged: bool = True,
        change: Callable[[Row], Row] | None = None,
    ) -> web.Response:
        """Write a page of a collection in the order of ids; the cursor is the last id of the page before."""
        last = unseal(request, request.path)
        start = 0 if last is None else rows.after(last)
        items, end = cut(rows, start, limit, test)
        if not principal.role:
            items, end = [], None
        following = None
        if end is not None and paged:
            following = next_url(request, self._simulator.url, seal(request.path, items[-1]["id"]))
        if change is not None:
            items = [change(row) for row in items]
        return self._simulator.page(request, items, following)

    def _sorted(
        self,
        request: web.Request,
        rows: Rows,
        test: Test | None,
        limit: int,
        principal: Principal,
        *,
        change: Callable[[Row], Row] | None = None,
    ) -> web.Response:
        """Write a page of a search in the order asked for; the cursor is a place in it."""
        query = request.query
        name, descending = query["sortBy"], query.get("sortOrder", "asc").lower() in {"desc", "descending"}
        if not _searchable(name):
            raise errors.refused(400, "E0000031", f"Invalid search criteria: sortBy {name}")
        start = int(unseal(request, "sorted") or 0)
        if name in {"id", "created"} and test is None and not hasattr(rows, "put"):
            places = range(len(rows) - 1, -1, -1) if descending else range(len(rows))  # made in the order of both
            items = [rows[index] for index in places[start : start + limit]]
            more = start + limit < len(rows)
        else:
            kept = [row for row in (rows[index] for index in range(len(rows))) if test is None or test(row)]
            kept.sort(key=lambda row: ([str(each) for each in values(row, name)], row["id"]), reverse=descending)
            items, more = kept[start : start + limit], start + limit < len(kept)
        if not principal.role:
            items, more = [], False
        following = next_url(request, self._simulator.url, seal("sorted", str(start + limit))) if more else None
        if change is not None:
            items = [change(row) for row in items]
        return self._simulator.page(request, items, following)


def _present(row: Row) -> bool:
    return bool(row["status"] != "DEPROVISIONED")


def _active(row: Row) -> bool:
    return bool(row["status"] == "ACTIVE")


def _starting(wanted: str, pick: Callable[[Row], list[Any]]) -> Test:
    return lambda row: any(str(each).casefold().startswith(wanted) for each in pick(row))


def _within(seen: frozenset[str]) -> Test:
    return lambda row: row["id"] in seen


def _both(first: Test | None, second: Test) -> Test:
    return second if first is None else lambda row: first(row) and second(row)


def _visible(principal: Principal, row: Row) -> bool:
    return bool(principal.role) and (principal.sees is None or row["id"] in principal.sees)


def _names(row: Row) -> list[Any]:
    profile = row["profile"]
    return [profile.get(name) or "" for name in ("firstName", "lastName", "email")]


def _searchable(name: str) -> bool:
    return name in _TOP or name.startswith("profile.")


def _filterable(name: str) -> bool:
    return name in {
        "status",
        "lastUpdated",
        "id",
        "profile.login",
        "profile.email",
        "profile.firstName",
        "profile.lastName",
    }

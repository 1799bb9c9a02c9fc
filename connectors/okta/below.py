"""What is read object by object: members of groups, users of apps, roles, tokens, factors."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from reconciler.sdk.connector import Cursor, Gap, Page
from reconciler.sdk.errors import Refused
from reconciler.sdk.fan_out import Job, Listing, Part, fan_out_page
from reconciler.sdk.records import Assignment, PrincipalKind, Record

from .access import Access, membership, unclear_app_user, unclear_role
from .client import Answer, OktaClient
from .credentials import Credentials
from .failures import Absent, ObjectRefused
from .listings import APPS, GROUPS, ROLES, USERS, Listings, every, groups, ids, problem_gaps
from .settings import Settings
from .shapes import (
    App,
    AppGroup,
    AppRef,
    AppUser,
    ClientKey,
    ClientSecret,
    Decoder,
    Factor,
    RefreshToken,
    RoleAssignment,
    ScopeGrant,
    TargetGroups,
)
from .sight import Sight, roles_of

T = TypeVar("T")
APP_GRANTS = "okta.appGrants.read"
_BY_GROUPS = {"USER_ADMIN", "HELP_DESK_ADMIN", "GROUP_MEMBERSHIP_ADMIN"}
_KEPT_FACTORS = 20_000
"""Users whose factors are kept from the accounts table for the credentials table, so that each is asked for once."""
_APP_USERS = 500
_BY_VIEW = {"app users", "app groups", "client secrets", "client keys", "refresh tokens", "factors"}
"""Parts that full sight of users and apps sees: each object answered for itself that it has nothing of the kind."""
_OWN = {"scopes", "scope grants", "admin roles of clients"}
"""Parts in which an app that reads them stands itself: to see none is to see too little."""
_OF_CLIENTS = {*_OWN, "client secrets", "client keys", "refresh tokens"}
"""Parts below OAuth clients, of which an app that reads them is one."""

app_users = Decoder(AppUser, "scope")
app_groups = Decoder(AppGroup)
factors_of = Decoder(Factor, "factor_type", "status")
keys_of = Decoder(ClientKey)
refresh_tokens_of = Decoder(RefreshToken, "status")
scope_grants_of = Decoder(ScopeGrant, "scope_id", "status")
secrets_of = Decoder(ClientSecret, "status")
targets_of = Decoder(TargetGroups)


class GroupRef(msgspec.Struct, array_like=True, frozen=True):
    """As much of a group as reading below it takes."""

    id: str
    members: int | None = None
    assignment: Assignment = "direct"


@dataclass(slots=True)
class Tally:
    """What one part came to so far; a page that is read again counts twice, which changes none of the zeros."""

    listed: int = 0
    asked: int = 0
    rows: int = 0


class _Count(msgspec.Struct, array_like=True, frozen=True):
    """A link below a group, and the members that came before it."""

    came: int
    link: str


_group = msgspec.json.Decoder(GroupRef).decode
_app = msgspec.json.Decoder(AppRef).decode
_count = msgspec.json.Decoder(_Count).decode
_text = msgspec.json.Encoder().encode


class Below:
    """Reads below each user, group and app of one organisation."""

    def __init__(
        self,
        client: OktaClient,
        settings: Settings,
        listings: Listings,
        access: Access,
        credentials: Credentials,
        *,
        sight: Callable[[], Awaitable[Sight]],
    ) -> None:
        self._sight = sight
        self._client = client
        self._settings = settings
        self._listings = listings
        self._access = access
        self._credentials = credentials
        self._factors: OrderedDict[str, Answer[Factor]] = OrderedDict()
        self._tallies: dict[str, Tally] = {}
        self._scopes: dict[str, Cursor | None] = {}

    async def members(self, cursor: Cursor | None) -> Page:
        """Read members of groups, and hold them to Okta's own count where it is asked for."""
        rules = await self._listings.rules()

        async def parents(link: str | None) -> Listing:
            page = await self._listings.groups("grants", link, stats=self._settings.member_counts)
            refs = [
                GroupRef(one.id, one.members, "dynamic" if membership(one, rules) == "dynamic" else "direct")
                for one in page.items
            ]
            # A group without a type was told when it was decoded.
            strange = [
                Gap("grants", one.id, f"whether a rule makes its members is not known (type {one.type})")
                for one in page.items
                if one.type is not None and membership(one, rules) is None
            ]
            strange += self._listings.rule_gaps("grants") if link is None else []
            return Listing([_text(ref).decode() for ref in refs], page.next, gaps=[*page.gaps, *strange])

        async def read(job: Job) -> Part:
            group = _group(job.parent)
            before = _Count(0, "") if job.link is None else _count(job.link)
            path = f"/api/v1/groups/{group.id}/users"
            size = self._settings.page_size
            # Okta's own count proves the end; where there is none, the last page has to come twice.
            answer = await self._client.surely(
                lambda: self._client.list(path, ids, GROUPS, link=before.link or None, limit=size),
                ends=group.members is None,
            )
            rows = self._access.members(group.id, (one.id for one in answer.items), group.assignment)
            gaps = problem_gaps("grants", answer)
            came = before.came + len(rows)
            if answer.next is not None:
                return Part(rows, _text(_Count(came, answer.next)).decode(), gaps)
            if group.members is not None and came < group.members:
                gaps.extend(await self._short(group.id, came))
            return Part(rows, None, gaps)

        return await self._page("grants", "group members", cursor, parents, read, above="/api/v1/groups")

    async def app_users(self, cursor: Cursor | None) -> Page:
        """Read who is assigned to apps, himself or by a group."""

        async def read(job: Job) -> Part:
            app = _app(job.parent)
            path = f"/api/v1/apps/{app.id}/users"
            answer = await self._client.surely(
                lambda: self._client.list(path, app_users, APPS, link=job.link, limit=_APP_USERS)
            )
            rows = [self._access.app_user(app.id, one) for one in answer.items]
            gaps = problem_gaps("grants", answer)
            gaps += [Gap("grants", one.id, why) for one in answer.items if (why := unclear_app_user(app.id, one))]
            return Part(rows, answer.next, gaps)

        return await self._apps("grants", "app users", cursor, lambda _: True, read)

    async def app_groups(self, cursor: Cursor | None) -> Page:
        """Read which groups are assigned to apps."""

        async def read(job: Job) -> Part:
            app = _app(job.parent)
            path = f"/api/v1/apps/{app.id}/groups"
            size = self._settings.page_size
            answer = await self._client.surely(
                lambda: self._client.list(path, app_groups, APPS, link=job.link, limit=size)
            )
            rows = [self._access.app_group(app.id, one) for one in answer.items]
            return Part(rows, answer.next, problem_gaps("grants", answer))

        return await self._apps("grants", "app groups", cursor, lambda _: True, read)

    async def scopes(self, cursor: Cursor | None) -> Page:
        """Read the OAuth scopes that any app holds, each once."""
        if cursor is None:
            self._scopes.clear()

        async def read(job: Job) -> Part:
            app, answer = await self._grants_of(job)
            return Part(self._access.scopes(app, answer.items), answer.next, problem_gaps("entitlements", answer))

        page = await self._apps("entitlements", "scopes", cursor, lambda app: app.is_oauth, read)
        fresh = {
            row.entitlement_id: row  # type: ignore[attr-defined] # entitlements all
            for row in page.rows
            if self._scopes.setdefault(row.entitlement_id, cursor) == cursor  # type: ignore[attr-defined] # see above
        }
        return _with_rows(page, list(fresh.values()))

    async def scope_grants(self, cursor: Cursor | None) -> Page:
        """Read which app holds which OAuth scope, and which user consented to it."""

        async def read(job: Job) -> Part:
            app, answer = await self._grants_of(job)
            return Part(self._access.scope_grants(app, answer.items), answer.next, problem_gaps("grants", answer))

        return await self._apps("grants", "scope grants", cursor, lambda app: app.is_oauth, read)

    async def secrets(self, cursor: Cursor | None) -> Page:
        """Read what describes the client secrets of apps."""

        async def read(job: Job) -> Part:
            app = _app(job.parent)
            path = f"/api/v1/apps/{app.id}/credentials/secrets"
            answer = await self._client.surely(lambda: self._client.list(path, secrets_of, APPS, link=job.link))
            rows = [self._credentials.secret(app, one) for one in answer.items]
            return Part(rows, answer.next, problem_gaps("credentials", answer))

        return await self._apps("credentials", "client secrets", cursor, lambda app: app.is_oauth, read)

    async def keys(self, cursor: Cursor | None) -> Page:
        """Read the public keys that apps authenticate by."""

        async def read(job: Job) -> Part:
            app = _app(job.parent)
            path = f"/api/v1/apps/{app.id}/credentials/jwks"
            answer = await self._client.surely(lambda: self._client.list(path, keys_of, APPS, link=job.link))
            rows = [self._credentials.key(app, one) for one in answer.items]
            gaps = problem_gaps("credentials", answer)
            if None in rows:
                gaps.append(Gap("credentials", app.id, "a client key has neither id nor kid"))
            return Part([row for row in rows if row], answer.next, gaps)

        return await self._apps("credentials", "client keys", cursor, lambda app: app.is_oauth, read)

    async def refresh_tokens(self, cursor: Cursor | None) -> Page:
        """Read the refresh tokens that were issued through apps."""

        async def read(job: Job) -> Part:
            app = _app(job.parent)
            path, size = f"/api/v1/apps/{app.id}/tokens", self._settings.page_size
            answer = await self._client.surely(
                lambda: self._client.list(path, refresh_tokens_of, APPS, link=job.link, limit=size)
            )
            rows = [self._credentials.refresh_token(app, one) for one in answer.items]
            return Part(rows, answer.next, problem_gaps("credentials", answer))

        return await self._apps("credentials", "refresh tokens", cursor, lambda app: app.is_oauth, read)

    async def roles_of_users(self, cursor: Cursor | None) -> Page:
        """Read the admin roles of every user that has any."""

        async def parents(link: str | None) -> Listing:
            path = "/api/v1/iam/assignees/users"
            answer = await self._client.surely(lambda: self._client.wrapped(path, ids, ROLES, "value", link=link))
            return Listing([one.id for one in answer.items], answer.next, gaps=problem_gaps("grants", answer))

        async def read(job: Job) -> Part:
            return await self._roles("account", job.parent, f"/api/v1/users/{job.parent}/roles")

        return await self._page("grants", "admin roles of users", cursor, parents, read, above="/api/v1/users")

    async def roles_of_groups(self, cursor: Cursor | None) -> Page:
        """Read the admin roles of every group, except those of which Okta says that they have none."""

        async def parents(link: str | None) -> Listing:
            page = await self._listings.groups("grants", link, stats=True)
            self._count("admin roles of groups", listed=len(page.items))
            asked = [one.id for one in page.items if one.administers is not False]
            return Listing(asked, page.next, gaps=page.gaps)

        async def read(job: Job) -> Part:
            return await self._roles("entitlement", job.parent, f"/api/v1/groups/{job.parent}/roles")

        return await self._page("grants", "admin roles of groups", cursor, parents, read, above="/api/v1/groups")

    async def roles_of_clients(self, cursor: Cursor | None) -> Page:
        """Read the admin roles of apps that act for themselves."""

        async def read(job: Job) -> Part:
            app = _app(job.parent)
            return await self._roles("account", app.id, f"/oauth2/v1/clients/{app.client_id or app.id}/roles")

        return await self._apps("grants", "admin roles of clients", cursor, lambda app: app.is_service, read)

    async def factor_rows(self, cursor: Cursor | None) -> Page:
        """Read the factors of every user."""

        async def parents(link: str | None) -> Listing:
            page = await self._listings.user_ids("credentials", link)
            self._count("factors", listed=len(page.items))
            return Listing([one.id for one in page.items], page.next, gaps=page.gaps)

        async def read(job: Job) -> Part:
            answer = self._factors.get(job.parent) or await self._ask_factors(job.parent, job.link)
            rows = [self._credentials.factor(job.parent, one) for one in answer.items]
            return Part(rows, answer.next, problem_gaps("credentials", answer))

        page = await self._page("credentials", "factors", cursor, parents, read, above="/api/v1/users")
        for row in page.rows:
            self._factors.pop(row.account_id, None)  # type: ignore[attr-defined] # credentials all
        return page

    async def factors(self, users: Sequence[str]) -> list[list[Factor] | Refused | None]:
        """Return the factors of each user, None for one who is gone, or why they may not be read; keeps them."""

        async def ask(user: str) -> list[Factor] | Refused | None:
            kept = self._factors.get(user)
            if kept is None:
                try:
                    kept = await self._ask_factors(user, None)
                except Absent:
                    return None
                except Refused as error:
                    return error
                if kept.next is None:
                    self._factors[user] = Answer(kept.items, kept.problems, None, b"")
                    if len(self._factors) > _KEPT_FACTORS:
                        self._factors.popitem(last=False)
            return kept.items

        return await together([ask(user) for user in users])

    def forget(self) -> None:
        """Drop what was kept."""
        self._factors.clear()

    async def _ask_factors(self, user: str, link: str | None) -> Answer[Factor]:
        path = f"/api/v1/users/{user}/factors"
        return await self._client.surely(lambda: self._client.list(path, factors_of, USERS, link=link), ends=False)

    async def _grants_of(self, job: Job) -> tuple[AppRef, Answer[ScopeGrant]]:
        app = _app(job.parent)
        path = f"/api/v1/apps/{app.id}/grants"
        return app, await self._client.surely(
            lambda: self._client.list(path, scope_grants_of, APP_GRANTS, link=job.link)
        )

    async def _roles(self, kind: PrincipalKind, holder: str, path: str) -> Part:
        assigned, answers = await every(
            lambda link: self._client.surely(lambda: self._client.list(path, roles_of, ROLES, link=link))
        )
        limits = await together([self._limit(path, role) for role in assigned])
        gaps = [gap for answer in answers for gap in problem_gaps("grants", answer)]
        gaps += [Gap("grants", role.id, why) for role in assigned if (why := unclear_role(kind, role))]
        return Part(self._access.roles(kind, holder, list(zip(assigned, limits, strict=True))), None, gaps)

    async def _limit(self, path: str, role: RoleAssignment) -> str | None:
        """Return in words what a role is limited to, None: to nothing."""
        if role.resource_set is not None:
            try:
                label = (await self._listings.resource_sets()).get(role.resource_set)
            except Refused:
                label = None
            return f"resource set {label} ({role.resource_set})" if label else f"resource set {role.resource_set}"
        if role.assignment_type == "GROUP" and "/users/" in path:
            return "as far as the group's own role goes"
        what = "groups" if role.type in _BY_GROUPS else "catalog/apps" if role.type == "APP_ADMIN" else ""
        if not what:
            return None
        below = f"{path}/{role.id}/targets/{what}"
        found, _ = await every(
            lambda link: self._client.surely(lambda: self._client.list(below, targets_of, ROLES, link=link))
        )
        names = sorted({one.id or one.name or "" for one in found})
        return f"{'groups' if what == 'groups' else 'apps'} {', '.join(names)}" if names else None

    async def _short(self, group: str, came: int) -> list[Gap]:
        """Return a gap where Okta, asked again, still counts more members than came."""
        search = {"filter": f'id eq "{group}"', "expand": "stats"}
        answer = await self._client.list("/api/v1/groups", groups, GROUPS, **search)
        counted = next((one.members for one in answer.items if one.id == group), None)
        if counted is None or came >= counted:
            return []
        return [
            Gap(
                "grants",
                group,
                f"Okta counts {counted} members of this group and {came} came: a page was lost, or these credentials "
                "do not see every member. Pull again; where Okta's counts are known to be wrong, set "
                "member_counts = false.",
            )
        ]

    async def _apps(
        self,
        table: str,
        part: str,
        cursor: Cursor | None,
        wanted: Callable[[App], bool],
        read: Callable[[Job], Awaitable[Part]],
    ) -> Page:
        async def parents(link: str | None) -> Listing:
            page = await self._listings.apps(table, link)
            self._count(part, listed=len(page.items))
            return Listing([_text(one.ref).decode() for one in page.items if wanted(one)], page.next, gaps=page.gaps)

        return await self._page(table, part, cursor, parents, read, above="/api/v1/apps")

    async def _page(
        self,
        table: str,
        part: str,
        cursor: Cursor | None,
        parents: Callable[[str | None], Awaitable[Listing]],
        read: Callable[[Job], Awaitable[Part]],
        *,
        above: str,
    ) -> Page:
        """Read a page of many short chains; an object that is refused is a gap of its own, one that is gone is none."""
        if cursor is None:
            self._tallies[part] = Tally()

        async def one(job: Job) -> Part:
            try:
                return await read(job)
            except Absent as error:
                identity = _identity(job.parent)
                if await self._gone(f"{above}/{identity}"):
                    return Part()
                return Part(gaps=[Gap(table, identity, error.message, error.missing_permission)])
            except ObjectRefused as error:
                return Part(gaps=[Gap(table, _identity(job.parent), error.message, error.missing_permission)])

        async def all_of(jobs: Sequence[Job]) -> Sequence[Part]:
            self._count(part, asked=len(jobs))
            return await together([one(job) for job in jobs])

        page = await fan_out_page(cursor, parents=parents, read=all_of, width=self._settings.parallel_calls)
        tally = self._tallies.setdefault(part, Tally())
        tally.rows += len(page.rows)
        if page.next is not None or tally.rows or not tally.listed or not await self._proven(part, tally.asked):
            return page
        # Okta listed the parents, and said of each that it has nothing of the kind: that is its own word for zero.
        return _with_rows(page, list(page.rows), total=0)

    async def _proven(self, part: str, asked: int) -> bool:
        """Return whether there is nothing in ``part``, where ``asked`` objects that may have some answered so."""
        by_app = self._settings.client_id is not None
        if by_app and (part in _OWN or (not asked and part in _OF_CLIENTS)):
            return False
        if not asked:
            return True
        if part == "admin roles of clients":
            return (await self._sight()).administrators
        return part in _BY_VIEW | _OWN and (await self._sight()).objects

    async def _gone(self, path: str) -> bool:
        """Return whether an object itself is gone, so that nothing is below it."""
        scope = USERS if "/users/" in path else GROUPS if "/groups/" in path else APPS
        try:
            await self._client.one(path, ids, scope)
        except Absent:
            return True
        return False

    def _count(self, part: str, *, listed: int = 0, asked: int = 0) -> None:
        tally = self._tallies.setdefault(part, Tally())
        tally.listed += listed
        tally.asked += asked


async def together(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Await all, to the end; raise the first error, one that may pass before one that will not."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    errors = [result for result in results if isinstance(result, BaseException)]
    if errors:
        raise next((error for error in errors if getattr(error, "retriable", False)), errors[0])
    return [result for result in results if not isinstance(result, BaseException)]


def _with_rows(page: Page, rows: list[Record], total: int | None = None) -> Page:
    """Return ``page`` with other rows."""
    return Page(rows, page.next, page.gaps, page.total if total is None else total, page.canaries)


def _identity(parent: str) -> str:
    return str(msgspec.json.decode(parent)[0]) if parent.startswith("[") else parent

"""The Okta source: which call fills which part of which table, and what is asked about one person live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from reconciler.sdk.connector import Cursor, Found, Gap, LiveAccount, Page, Parents, Partition, PersonKeys
from reconciler.sdk.errors import Misbehaved, Refused
from reconciler.sdk.records import Event, Record
from reconciler.sdk.window import lookback

from . import checking, events, lookup
from .access import Access
from .below import Below, Tally
from .client import Answer, OktaClient
from .connector import Accounts
from .credentials import Credentials, enrolled, has_password
from .listings import ROLES, Listings, labelled, problem_gaps
from .settings import Settings
from .shapes import ApiToken, Decoder, LogEvent, User
from .sight import Sight, sight

VERSION = "1"
LOGS, TOKENS = "okta.logs.read", "okta.apiTokens.read"
_LOG = "/api/v1/logs"
_api_tokens = Decoder(ApiToken, "user_id")
_log_ids = Decoder(LogEvent, identity="uuid")
_Reader = Callable[[Cursor | None], Awaitable[Page]]

PARTS: Mapping[str, tuple[str, ...]] = {
    "accounts": ("users", "service apps"),
    "entitlements": ("groups", "apps", "standard admin roles", "custom admin roles", "scopes"),
    "grants": (
        "group members",
        "app users",
        "app groups",
        "admin roles of users",
        "admin roles of groups",
        "admin roles of clients",
        "scope grants",
    ),
    "credentials": ("passwords", "factors", "api tokens", "client secrets", "client keys", "refresh tokens"),
    "events": ("system log",),
}
"""Table -> its parts, each with a page chain of its own."""

_COLUMNS: Mapping[str, str] = {
    "accounts": "source account_id login display_name email employee_id kind raw_status status can_sign_in created_at "
    "last_sign_in_at last_sign_in_basis password_changed_at manager_ref department company title",
    "entitlements": "source entitlement_id kind name description privileged membership",
    "grants": "source principal_kind principal_id entitlement_id assignment granted_at expires_at condition",
    "credentials": "source credential_id account_id kind status created_at created_by expires_at rotated_at",
    "events": "source event_id occurred_at actor_id actor_kind action raw_action target_id target_kind entitlement_id "
    "outcome raw_digest",
}


class _Window(msgspec.Struct, array_like=True, frozen=True):
    """Where the reading of the log goes on; both ends are fixed when it begins."""

    since: str
    until: str
    link: str
    newest: str
    seen: bool


class OktaSource:
    """Read one Okta organisation; every part of every table has a page chain of its own."""

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        """Take the settings; no network yet."""
        self.name = name
        self.version = VERSION
        self.endpoint = settings.org_url
        self.reports = _reports(settings)
        self._settings = settings
        self._client = OktaClient(settings, base / settings.ca_file if settings.ca_file else None)
        self._accounts = Accounts(name, settings)
        self._access = Access(name, settings.privileged, settings.ordinary)
        self._credentials = Credentials(name)
        self._listings = Listings(self._client, settings, self._accounts.shape)
        self._below = Below(self._client, settings, self._listings, self._access, self._credentials, sight=self._sight)
        self._canaries = frozenset(settings.canaries)
        self._mfa = settings.factors
        self._rules = True
        self._so_far: dict[str, Tally] = {}
        self._readers: Mapping[str, _Reader] = {
            "users": self._users,
            "service apps": self._service_apps,
            "groups": self._groups,
            "apps": self._apps,
            "standard admin roles": self._standard_roles,
            "custom admin roles": self._custom_roles,
            "scopes": self._below.scopes,
            "group members": self._below.members,
            "app users": self._below.app_users,
            "app groups": self._below.app_groups,
            "admin roles of users": self._below.roles_of_users,
            "admin roles of groups": self._below.roles_of_groups,
            "admin roles of clients": self._below.roles_of_clients,
            "scope grants": self._below.scope_grants,
            "passwords": self._passwords,
            "factors": self._below.factor_rows,
            "api tokens": self._api_tokens,
            "client secrets": self._below.secrets,
            "client keys": self._below.keys,
            "refresh tokens": self._below.refresh_tokens,
            "system log": self._events,
        }

    async def check(self) -> Sequence[Gap]:
        """Ask one object of every kind and the admin role of these credentials; gaps say what is hidden and why."""
        found = await checking.check(self._client, self._settings)
        self._mfa = self._settings.factors and not any(gap.column == "mfa_enrolled" for gap in found)
        self._rules = not any(gap.column == "membership" for gap in found)
        wanted = self._settings.tables
        return [gap for gap in found if wanted is None or not gap.table or gap.table in wanted]

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:
        """Return the parts of ``table``; they are the same for every organisation."""
        del parents
        return [Partition(part) for part in PARTS.get(table, ()) if part != "factors" or self._settings.factors]

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Read one page of one part."""
        if partition.name not in PARTS.get(table, ()):
            raise Misbehaved(f"{table} has no part {partition.name!r}")
        return await self._readers[partition.name](cursor)

    async def find(self, person: PersonKeys) -> Found:
        """Search every state by e-mail, login and personnel number, and ask directly by login and id."""
        return await lookup.find(self._client, self._accounts, self._settings, person)

    async def reread(self, account_id: str) -> LiveAccount:
        """Read one user, or one app that acts for itself, with every class of credentials."""
        return await lookup.Reread(self._client, self._accounts, self._settings).account(account_id)

    async def close(self) -> None:
        """Close every connection and forget what was kept; safe to call twice."""
        self._below.forget()
        await self._client.close()

    async def _users(self, cursor: Cursor | None) -> Page:
        page = await self._listings.users("accounts", cursor)
        gaps = page.gaps
        mfa: list[bool | None] = [None] * len(page.items)
        if self._mfa:
            for place, found in enumerate(await self._below.factors([user.id for user in page.items])):
                if isinstance(found, Refused):
                    gaps.append(Gap("accounts", page.items[place].id, found.message, found.missing_permission))
                elif found is not None:
                    mfa[place] = enrolled(found)
        rows: list[Record] = [self._accounts.row(user, mfa=one) for user, one in zip(page.items, mfa, strict=True)]
        return Page(rows, page.next, gaps, canaries=self._seen_users(page.items))

    async def _service_apps(self, cursor: Cursor | None) -> Page:
        page = await self._listings.apps("accounts", cursor)
        rows: list[Record] = [self._accounts.service(app) for app in page.items if app.is_service]
        seen = self._seen(*((app.id, app.label) for app in page.items))
        none = self._none("service apps", cursor, len(page.items), len(rows), page.next)
        if self._settings.client_id is not None:
            none = None  # an app that reads is one of them: to see none is to see too little
        return Page(rows, page.next, page.gaps, total=none, canaries=seen)

    async def _groups(self, cursor: Cursor | None) -> Page:
        gap: list[Gap] = []
        rules = None
        if self._rules:
            try:
                rules = await self._listings.rules(fresh=cursor is None)
                gap += self._listings.rule_gaps("entitlements") if cursor is None else []
            except Refused as error:
                gap.append(Gap("entitlements", "group rules", error.message, error.missing_permission))
        page = await self._listings.groups("entitlements", cursor, stats=True)
        rows: list[Record] = [self._access.group(group, rules) for group in page.items]
        seen = self._seen(*((one.id, one.profile.name if one.profile else None) for one in page.items))
        return Page(rows, page.next, [*gap, *page.gaps], canaries=seen)

    async def _apps(self, cursor: Cursor | None) -> Page:
        page = await self._listings.apps("entitlements", cursor)
        rows: list[Record] = [self._access.app(app) for app in page.items]
        return Page(rows, page.next, page.gaps, canaries=self._seen(*((app.id, app.label) for app in page.items)))

    async def _standard_roles(self, cursor: Cursor | None) -> Page:
        del cursor
        rows: list[Record] = list(self._access.standard_roles())
        return Page(rows, total=len(rows))

    async def _custom_roles(self, cursor: Cursor | None) -> Page:
        path = "/api/v1/iam/roles"
        answer = await self._client.surely(lambda: self._client.wrapped(path, labelled, ROLES, "roles", link=cursor))
        rows: list[Record] = [self._access.custom_role(role) for role in answer.items]
        seen = self._seen(*((role.id, role.label) for role in answer.items))
        # Who sees all administrators is told of every custom role, and has just been told of his own.
        none = cursor is None and answer.next is None and not rows and (await self._sight()).administrators
        gaps = problem_gaps("entitlements", answer)
        return Page(rows, answer.next, gaps, total=0 if none else None, canaries=seen)

    async def _passwords(self, cursor: Cursor | None) -> Page:
        page = await self._listings.users("credentials", cursor)
        rows: list[Record] = [row for user in page.items if (row := self._credentials.password(user)) is not None]
        unsaid = [user.id for user in page.items if has_password(user) is None]
        page.gaps.extend(Gap("credentials", user, "Okta left out whether this user has a password") for user in unsaid)
        none = self._none("passwords", cursor, len(page.items), len(rows), page.next)
        return Page(rows, page.next, page.gaps, total=none, canaries=self._seen_users(page.items))

    async def _api_tokens(self, cursor: Cursor | None) -> Page:
        path = "/api/v1/api-tokens"
        answer = await self._client.surely(lambda: self._client.list(path, _api_tokens, TOKENS, link=cursor))
        rows: list[Record] = [self._credentials.api_token(token) for token in answer.items]
        seen = self._seen(*((token.id,) for token in answer.items))
        return Page(rows, answer.next, problem_gaps("credentials", answer), canaries=seen)

    async def _events(self, cursor: Cursor | None) -> Page:
        state = await self._window() if cursor is None else msgspec.json.decode(cursor, type=_Window)
        more = {"filter": self._settings.event_filter} if self._settings.event_filter else {}
        shown = f"{self.endpoint}{_LOG}"

        async def ask() -> Answer[Event]:
            raw = await self._client.raw(
                _LOG,
                LOGS,
                link=state.link or None,
                since=state.since,
                until=state.until,
                sortOrder="ASCENDING",
                limit=self._settings.event_page_size,
                **more,
            )
            rows, problems = events.read(self.name, raw.body, shown, self._settings.approval_path)
            return Answer(rows, problems, raw.next, raw.body)

        answer = await self._client.surely(ask, ends=False)
        rows, gaps = answer.items, problem_gaps("events", answer)
        seen = state.seen or any(row.event_id == state.newest for row in rows)
        if answer.next is not None and (rows or (state.newest and not seen)):
            following = _Window(state.since, state.until, answer.next, state.newest, seen)
            return Page(rows, msgspec.json.encode(following).decode(), gaps)
        if state.newest and not seen:
            gaps.append(
                Gap(
                    "events",
                    "",
                    f"the log ended before its newest event, {state.newest}, had come: a link to a further page was "
                    "lost on the way. Pull again; if it stays, ask Okta.",
                )
            )
        return Page(rows, None, gaps)

    async def _window(self) -> _Window:
        since, until = (f"{moment:%Y-%m-%dT%H:%M:%S}.000Z" for moment in lookback(self._settings.events_days))
        more = {"filter": self._settings.event_filter} if self._settings.event_filter else {}
        last = await self._client.list(
            _LOG, _log_ids, LOGS, since=since, until=until, sortOrder="DESCENDING", limit=1, **more
        )
        return _Window(since, until, "", last.items[0].uuid if last.items else "", seen=False)

    def _none(self, part: str, cursor: Cursor | None, listed: int, rows: int, following: str | None) -> int | None:
        """Return 0 at the end of a list of which Okta said, object by object, that none is one for ``part``."""
        tally = self._so_far.setdefault(part, Tally()) if cursor is not None else Tally()
        self._so_far[part] = tally
        tally.listed += listed
        tally.rows += rows
        return 0 if following is None and tally.listed and not tally.rows else None

    async def _sight(self) -> Sight:
        return await sight(self._client, self._settings)

    def _seen_users(self, users: Sequence[User]) -> frozenset[str]:
        if not self._canaries:
            return frozenset()
        return self._seen(
            *((user.id, self._accounts.profile(user, "login"), self._accounts.profile(user, "email")) for user in users)
        )

    def _seen(self, *names: Sequence[str | None]) -> frozenset[str]:
        """Return the canaries among the names of the objects of a page."""
        return self._canaries & {name for of_one in names for name in of_one if name} if self._canaries else frozenset()


def _reports(settings: Settings) -> Mapping[str, frozenset[str]]:
    """Return the columns that these settings let the source fill."""
    found = {table: frozenset(columns.split()) for table, columns in _COLUMNS.items()}
    if settings.factors:
        found["accounts"] |= {"mfa_enrolled"}
    if settings.attributes:
        found["accounts"] |= {"attributes"}
    if settings.approval_path:
        found["events"] |= {"approval_ref"}
    return found

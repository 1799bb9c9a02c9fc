"""The Entra source: which part of which table is read how, and which canaries came with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.sdk.connector import Cursor, Found, Gap, LiveAccount, Page, Parents, Partition, PersonKeys
from reconciler.sdk.errors import Misbehaved, Refused

from . import doubts, permissions, queries, shapes
from .chains import Rounds, read_collections, read_fan_out
from .checking import Sight, look
from .client import BATCH, Ask, GraphClient, shown
from .failures import NoLicence, NotFound
from .logs import read_log
from .lookup import Finder
from .parts import Parts
from .settings import Settings

VERSION = "1"
TABLES: Mapping[str, tuple[str, ...]] = {
    "accounts": ("users", "deleted users", "service principals", "deleted service principals"),
    "entitlements": ("groups", "directory roles", "applications", "user consents"),
    "grants": (
        "group members",
        "service principals in groups",
        "directory roles",
        "activated roles",
        "eligible roles",
        "eligible for groups",
        "app role assignments",
        "consents",
    ),
    "credentials": (
        "passwords",
        "application credentials",
        "service principal credentials",
        "authentication methods",
    ),
    "events": ("directory audits", "sign-ins"),
}
_FANS = frozenset(
    {
        "group members",
        "service principals in groups",
        "app role assignments",
        "eligible for groups",
        "authentication methods",
    }
)
_ACTIVITY = frozenset({"last_sign_in_at", "last_sign_in_basis"})
_WIDTH = 4 * BATCH
REPORTS: Mapping[str, frozenset[str]] = {
    "accounts": frozenset(
        {"source", "account_id", "login", "display_name", "email", "employee_id", "kind", "raw_status", "status"}
        | {"can_sign_in", "created_at", "password_changed_at", "deleted_at", "manager_ref", "owner_ref", "department"}
        | {"company", "title", "attributes"}
        | _ACTIVITY
    ),
    "entitlements": frozenset(
        {"source", "entitlement_id", "kind", "name", "description", "privileged", "owner_ref", "membership"}
    ),
    "grants": frozenset(
        {"source", "principal_kind", "principal_id", "entitlement_id", "assignment", "granted_at", "expires_at"}
        | {"condition"}
    ),
    "credentials": frozenset(
        {"source", "credential_id", "account_id", "kind", "status", "created_at", "expires_at", "rotated_at"}
        | {"last_used_at", "last_used_basis"}
    ),
    "events": frozenset(
        {"source", "event_id", "occurred_at", "actor_id", "actor_kind", "action", "raw_action", "target_id"}
        | {"target_kind", "entitlement_id", "outcome", "raw_digest"}
    ),
}


class EntraSource:
    """Reads one tenant; see ``reconciler.sdk.connector`` for the contract of ``Source`` and ``Lookup``."""

    version = VERSION

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        self.name = name
        parts = urlsplit(settings.endpoint_url)
        self.endpoint = f"{parts.scheme}://{parts.netloc}"
        self.reports: Mapping[str, frozenset[str]] = {
            **REPORTS,
            "accounts": REPORTS["accounts"] - (frozenset() if settings.sign_in_activity else _ACTIVITY),
        }
        self._settings = settings
        self._client = GraphClient(settings, base)
        self._parts = Parts(name, settings, self._client)
        self._rounds = Rounds()
        self._sight: Sight | None = None
        self._canaries = {canary.lower(): canary for canary in settings.canaries}
        self._finder = Finder(name, self._client)

    async def check(self) -> Sequence[Gap]:
        """Read the token's permissions, what they hide, the licence, and the canaries.

        Raises ``Refused`` where the token names no permission that any part needs.
        """
        wanted = self._settings.tables
        tables = [table for table in TABLES if wanted is None or table in wanted]
        read = frozenset((table, part) for table in tables for part in self._names(table))
        self._sight, gaps = await look(self._client, self._settings, read)
        return gaps

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:
        """Name the parts of a table, as far as the settings want them."""
        del parents
        return [Partition(name) for name in self._names(table)]

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Read a page of a part; the same cursor may be asked for again."""
        sight = await self._seen()
        part = partition.name
        if table == "events":
            return await read_log(
                self._client, self._rounds, cursor, source=self.name, part=part, days=self._settings.events_days
            )
        if part in _FANS:
            spec = self._parts.fan_out(part, hidden=permissions.has(sight.roles, permissions.HIDDEN))
            return await read_fan_out(
                self._client, self._rounds, cursor, table=table, name=part, spec=spec, width=_WIDTH
            )
        extra: list[Gap] = []
        if table == "accounts":
            collections = self._parts.accounts(part, activity=sight.activity)
        elif table == "entitlements":
            collections = self._parts.entitlements(part, first=cursor is None)
        elif table == "grants":
            if part in self._parts.met:
                extra = await self._begin_roles(part, first=cursor is None)
            collections = self._parts.grants(part)
        else:
            collections = self._parts.credentials(part)
        page = await read_collections(self._client, self._rounds, cursor, table=table, name=part, parts=collections)
        if part in self._parts.met and table == "grants" and page.next is None:
            extra += await self._check_roles(part)
        total = None if extra else page.total
        if (
            part == "eligible roles"
            and cursor is page.next is None
            and not page.rows
            and total is None
            and not page.gaps
        ):
            total = await self._none_eligible(sight)
        return Page(page.rows, page.next, [*extra, *page.gaps], total, self._met(table, page.rows))

    async def find(self, person: PersonKeys) -> Found:
        """Look live for a person's users, guests and deleted users by every key that is known."""
        return await self._finder.find(person)

    async def reread(self, account_id: str) -> LiveAccount:
        """Read one user or service principal and its credentials live."""
        return await self._finder.reread(account_id)

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    def _names(self, table: str) -> list[str]:
        left_out = {
            "sign-ins": not self._settings.sign_ins,
            "authentication methods": not self._settings.authentication_methods,
            "eligible for groups": not self._settings.group_pim,
        }
        return [name for name in TABLES.get(table, ()) if not left_out.get(name, False)]

    async def _seen(self) -> Sight:
        """Return what the token shows, as ``check`` found it; a page asked for without one looks itself."""
        if self._sight is None:
            self._sight, _ = await look(self._client, self._settings, frozenset())
        return self._sight

    async def _begin_roles(self, part: str, *, first: bool) -> list[Gap]:
        """Read what PIM knows, at the start of the chain of role assignments, or where a chain needs it."""
        if first:
            self._parts.met[part] = set()
        if part in self._parts.activated and not first:
            return []
        known: dict[str, shapes.RoleAssignment] = {}
        self._parts.activated[part] = known
        try:
            # The list has no count and says how roles are held: it is read twice, so that none is lost unseen.
            for _ in range(2):
                known |= await self._scheduled()
        except NoLicence:
            return []
        except Refused as refused:
            reason = f"which of them are activated for a time is not known: {refused.message}"
            return [Gap("grants", part, reason, refused.missing_permission)]
        if part != "directory roles":
            return []  # its own rows say so
        return [gap for one in known.values() for gap in doubts.of_active(one)]

    async def _none_eligible(self, sight: Sight) -> int | None:
        """Return 0 where one permission shows both lists of PIM's, and the other one, of active roles, is not empty.

        None where nothing vouches for the empty list of eligible roles.
        """
        if not sight.roles & permissions.BOTH_SCHEDULES:
            return None
        body = await self._client.get(Ask(queries.ACTIVE_ROLES, permissions.ACTIVE))
        return 0 if shapes.Shape(shapes.RoleAssignment).page(body, shown(queries.ACTIVE_ROLES)).value else None

    async def _check_roles(self, part: str) -> list[Gap]:
        """Return the gap of assignments that PIM lists and the chain did not, unless they ended in the meantime.

        Role assignments have no count: the two lists vouch for one another.
        """
        short = sorted(set(self._parts.activated[part]) - self._parts.met[part])
        lost = []
        for start in range(0, len(short), BATCH):
            asks = [Ask(queries.role_assignment(one), permissions.ROLES) for one in short[start : start + BATCH]]
            for one, answer in zip(short[start:], await self._client.batch(asks), strict=False):
                try:
                    answer.json()
                except NotFound:
                    continue
                lost.append(one)
        if not lost:
            return []
        return [
            Gap("grants", part, f"{len(lost)} role assignments did not come, such as {lost[0]}: the chain ended early")
        ]

    async def _scheduled(self) -> dict[str, shapes.RoleAssignment]:
        """Read the active schedules of roles; there are as many as administrators, so they are kept."""
        shape = shapes.Shape(shapes.RoleAssignment)
        found: dict[str, shapes.RoleAssignment] = {}
        url: str | None = queries.ACTIVE_ROLES
        seen: set[str] = set()
        while url is not None:
            if url in seen:
                raise Misbehaved(f"{shown(url)}: the next link leads back to a page that was read")
            seen.add(url)
            items = shape.page(await self._client.get(Ask(url, permissions.ACTIVE)), shown(url))
            found |= {one.role_assignment_origin_id or one.id: one for one in items.value}
            url = None if items.link is None else self._client.follow(items.link)
        return found

    def _met(self, table: str, rows: Sequence[object]) -> frozenset[str]:
        if not self._canaries or table not in {"accounts", "entitlements"}:
            return frozenset()
        names = ("account_id", "login", "email") if table == "accounts" else ("entitlement_id",)
        keys = {str(getattr(row, name)).lower() for row in rows for name in names}
        return frozenset(canary for key, canary in self._canaries.items() if key in keys)

"""The tables of IAM Identity Center: which call fills which part of which table.

Assignments are asked for principal by principal, never as the product of accounts and permission sets: with 20 calls
a second, that product is what makes other readers take a day.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from reconciler.sdk.connector import Cursor, Gap, Page
from reconciler.sdk.errors import Misbehaved, Refused
from reconciler.sdk.fan_out import Job, Listing, Part, fan_out_page
from reconciler.sdk.records import Entitlement, Grant, Record

from . import center_rows, policies
from .accounts import Accounts
from .assignments import Book, Pair
from .center_client import CenterClient, PrincipalType
from .center_types import Assignment, SetDetail
from .client import IamClient
from .json_api import Run
from .settings import Settings

USERS = "identity center"
GROUPS = "identity center groups"
SETS = "identity center permission sets"
MEMBERSHIPS = "identity center memberships"
ASSIGNMENTS = "identity center assignments"
PARTS: Mapping[str, tuple[str, ...]] = {
    "accounts": (USERS,),
    "entitlements": (GROUPS, SETS, ASSIGNMENTS),
    "grants": (MEMBERSHIPS, ASSIGNMENTS),
}
"""Table -> partitions that Identity Center adds to it."""
_SETS_A_PAGE = 10
_WIDTH = 40
_KEPT_A_PAGE = 1_000


class CenterTables:
    """Reads Identity Center for one source."""

    def __init__(self, name: str, settings: Settings, client: CenterClient, accounts: Accounts, run: Run) -> None:
        self.client = client
        self._name = name
        self._settings = settings
        self._accounts = accounts
        self._run = run
        self._iam = IamClient(client.connection, client.reach)
        self._judged: dict[str, bool | None] = {}
        self._refused: dict[str, Gap] = {}
        self._sets: dict[str, SetDetail] = {}
        self._book = Book()

    async def page(self, table: str, part: str, cursor: Cursor | None) -> Page:
        """Read one page of one part of a table."""
        if part == USERS:
            return await self._users(_token(cursor))
        if part == GROUPS:
            return await self._groups(_token(cursor))
        if part == SETS:
            return await self._permission_sets(_token(cursor))
        if part == MEMBERSHIPS:
            return await fan_out_page(cursor, parents=self._group_ids, read=self._members, width=_WIDTH)
        if table == "entitlements":
            return await self._pairs(cursor)
        return await self._assignments(cursor)

    def close(self) -> None:
        """Close the connections and forget what was kept; safe to call twice."""
        self.client.close()
        self._iam.close()
        self._book = Book()

    async def _users(self, token: str | None) -> Page:
        store = (await self.client.instance()).IdentityStoreId
        page = await self.client.users(token)
        rows = [center_rows.user_row(self._name, store, user) for user in page.items]
        seen = self._canaries(name for user in page.items for name in (user.UserId, user.UserName))
        return Page(rows, _cursor(page.token), page.gaps, canaries=seen)

    async def _groups(self, token: str | None) -> Page:
        page = await self.client.groups(token)
        rows = [center_rows.group_row(self._name, group) for group in page.items]
        seen = self._canaries(name for group in page.items for name in (group.GroupId, group.DisplayName))
        return Page(rows, _cursor(page.token), page.gaps, canaries=seen)

    async def _permission_sets(self, token: str | None) -> Page:
        if token is None:
            self._sets.clear()
        page = await self.client.permission_sets(token, _SETS_A_PAGE)
        rows: list[Entitlement] = []
        gaps: list[Gap] = []
        for detail in await asyncio.gather(*(self._set(arn) for arn in page.items)):
            privileged, problems = await self._verdict(detail)
            rows.append(center_rows.set_row(self._name, detail, privileged))
            gaps.extend(problems)
        seen = self._canaries(name for row in rows for name in (row.entitlement_id, row.name))
        return Page(rows, _cursor(page.token), gaps, canaries=seen)

    async def _group_ids(self, link: str | None) -> Listing:
        page = await self.client.groups(_token(link))
        return Listing([group.GroupId for group in page.items], _cursor(page.token), gaps=[])

    async def _members(self, jobs: Sequence[Job]) -> Sequence[Part]:
        pages = await asyncio.gather(*(self.client.memberships(job.parent, _token(job.link)) for job in jobs))
        parts = []
        for job, page in zip(jobs, pages, strict=True):
            found = [(one, center_rows.membership_row(self._name, job.parent, one)) for one in page.items]
            strangers = [
                Gap("grants", f"membership {one.MembershipId} of group {job.parent}", "its member is no user")
                for one, row in found
                if row is None
            ]
            rows = [row for _, row in found if row is not None]
            parts.append(Part(rows, _cursor(page.token), [*page.gaps, *strangers]))
        return parts

    async def _pairs(self, cursor: Cursor | None) -> Page:
        """Read one page of principals and give each permission set in an AWS account where it first comes up."""
        wanted = self._settings.tables
        if cursor is None:
            self._book.begin(keep=wanted is None or "grants" in wanted)
        found: list[tuple[str, Assignment]] = []
        page = await fan_out_page(cursor, parents=self._principals, read=self._reader(found), width=_WIDTH)
        pairs = self._book.note(cursor, found, closed=page.next is None)
        rows: list[Record] = []
        gaps = list(page.gaps)
        for pair, detail in zip(pairs, await asyncio.gather(*(self._set(arn) for _, arn in pairs)), strict=True):
            row, problems = await self._pair_row(pair, detail)
            rows.append(row)
            gaps.extend(problems)
        return Page(rows, page.next, gaps)

    async def _assignments(self, cursor: Cursor | None) -> Page:
        """Give who holds what: as the entitlements' walk has noted it, else by a walk of its own."""
        if cursor is None:
            cursor = self._book.first_page()
        if cursor is not None and cursor.startswith("kept "):
            start = int(cursor.removeprefix("kept "))
            kept = self._book.held(start, start + _KEPT_A_PAGE)
            more = len(kept) == _KEPT_A_PAGE
            rows = [self._grant(principal, pair) for principal, pairs in kept for pair in pairs]
            return Page(rows, f"kept {start + _KEPT_A_PAGE}" if more else None)
        found: list[tuple[str, Assignment]] = []
        page = await fan_out_page(cursor, parents=self._principals, read=self._reader(found), width=_WIDTH)
        rows = [self._grant(principal, (one.AccountId, one.PermissionSetArn)) for principal, one in found]
        return Page(rows, page.next, page.gaps)

    async def _principals(self, link: str | None) -> Listing:
        """List users, then groups, for whom assignments are asked."""
        kind, _, token = (link or "USER").partition(" ")
        if kind == "USER":
            users = await self.client.users(token or None)
            following = "GROUP" if users.token is None else f"USER {users.token}"
            return Listing([f"USER {user.UserId}" for user in users.items], following)
        groups = await self.client.groups(token or None)
        following_groups = None if groups.token is None else f"GROUP {groups.token}"
        return Listing([f"GROUP {group.GroupId}" for group in groups.items], following_groups)

    def _reader(self, found: list[tuple[str, Assignment]]) -> Any:
        async def read(jobs: Sequence[Job]) -> Sequence[Part]:
            pages = await asyncio.gather(*(self._of_principal(job) for job in jobs))
            for job, (own, _) in zip(jobs, pages, strict=True):
                found.extend((job.parent, one) for one in own)
            return [part for _, part in pages]

        return read

    async def _of_principal(self, job: Job) -> tuple[list[Assignment], Part]:
        """Return what a principal is assigned itself; for a user AWS adds what comes through groups, read there."""
        kind, _, principal = job.parent.partition(" ")
        page = await self.client.assignments(cast("PrincipalType", kind), principal, _token(job.link))
        own = [one for one in page.items if one.PrincipalType == kind]
        if any(one.PrincipalId != principal for one in own):
            raise Misbehaved(f"AWS gave assignments of another {kind.lower()} than {principal}")
        return own, Part((), _cursor(page.token), page.gaps)

    def _grant(self, principal: str, pair: Pair) -> Grant:
        kind, _, principal_id = principal.partition(" ")
        return center_rows.assignment_row(
            self._name, "account" if kind == "USER" else "entitlement", principal_id, center_rows.pair_id(*pair)
        )

    async def _pair_row(self, pair: Pair, detail: SetDetail) -> tuple[Record, list[Gap]]:
        aws_account, _ = pair
        known = (await self._accounts.listing()).accounts.get(aws_account)
        privileged, problems = await self._verdict(detail)
        row = center_rows.pair_row(
            self._name,
            detail,
            aws_account=aws_account,
            label=known.name if known else None,
            environment=known.environment if known else None,
            privileged=privileged,
        )
        return row, problems

    async def _set(self, arn: str) -> SetDetail:
        """Return a permission set, read once a pull; there are a few thousand at most."""
        if arn not in self._sets:
            self._sets[arn] = await self.client.permission_set(arn)
        return self._sets[arn]

    async def _verdict(self, detail: SetDetail) -> tuple[bool | None, list[Gap]]:
        patterns = self._settings.privileged_policies
        gaps: list[Gap] = []
        for name, arn in detail.managed:
            if not policies.matches(patterns, name, arn):
                await self._judge(arn)
        privileged, wrong = center_rows.set_is_privileged(detail, patterns, self._judged)
        if privileged is None:
            gaps += [self._refused[arn] for _, arn in detail.managed if arn in self._refused]
        if wrong:
            gaps.append(Gap("entitlements", f"permission set {detail.described.Name}", wrong))
        return privileged, gaps

    async def _judge(self, arn: str) -> None:
        """Judge a policy of AWS's by its document, once; one that may not be read stays unknown, and says so."""
        if arn in self._judged:
            return
        try:
            document = await self._run(self._iam.default_document, arn)
            self._judged[arn] = None if document is None else policies.is_administrative(document)
        except Refused as refused:
            if not refused.missing_permission:
                raise
            self._judged[arn] = None
            self._refused[arn] = Gap("entitlements", arn, refused.message, refused.missing_permission)
        except ValueError as error:
            self._judged[arn] = None
            self._refused[arn] = Gap("entitlements", arn, f"the policy document could not be understood: {error}")

    def _canaries(self, names: Any) -> frozenset[str]:
        return frozenset(self._settings.canaries) & set(names)


def _cursor(token: str | None) -> Cursor | None:
    """Return AWS's token behind a word, since a token alone may look like a URL."""
    return None if token is None else f"from {token}"


def _token(cursor: Cursor | None) -> str | None:
    return None if cursor is None else cursor.removeprefix("from ")

"""The IAM tables of one AWS account: which call fills which table, and what must agree before it counts as whole."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from reconciler.sdk.connector import Cursor, Gap, Page
from reconciler.sdk.errors import Refused
from reconciler.sdk.records import Record

from . import access, connector
from .accounts import Accounts, standing
from .client import Answer, IamClient
from .details import UserDetail, read_user
from .fields import Item, instant, text
from .json_api import Run
from .last_access import LastAccess
from .settings import Settings
from .tally import Tally

_SECTIONS: Mapping[str, tuple[str, ...]] = {
    "entitlements": ("LocalManagedPolicy", "AWSManagedPolicy", "Group", "Role", "User"),
    "grants": ("Group", "Role", "User"),
}
_COUNTERS = {"LocalManagedPolicy": "Policies", "Group": "Groups", "Role": "Roles", "User": "Users"}
"""Section of the authorization details -> IAM's own counter of the same things."""


class IamTables:
    """Reads IAM, account by account."""

    def __init__(self, name: str, settings: Settings, accounts: Accounts, run: Run) -> None:
        self.name = name
        self._settings = settings
        self._accounts_read = accounts
        self._run = run
        self._last_access = LastAccess(settings, run)
        self._tallies: dict[tuple[str, str], Tally] = {}
        self._details: dict[str, dict[str, UserDetail]] = {}
        self._directories: dict[str, access.Directory] = {}
        self._privileged: dict[str, dict[str, bool | None]] = {}

    async def page(self, table: str, account_id: str, cursor: Cursor | None) -> Page:
        """Read one page of ``table`` of one AWS account."""
        client = await self._accounts_read.iam(account_id)
        if cursor is None:
            self._begin(table, account_id)
        if table == "accounts":
            return await self._accounts(client, cursor)
        if table == "credentials":
            return await self._credentials(client, cursor)
        return await self._sections(table, client, cursor)

    def forget(self) -> None:
        """Forget what was kept."""
        self._details.clear()
        self._directories.clear()

    def _begin(self, table: str, account_id: str) -> None:
        """Start a chain at its first page; users kept from an earlier chain are read anew, a failed start goes on."""
        earlier = self._tallies.get((table, account_id))
        if table == "accounts" and earlier is not None and earlier.begun:
            self._details.pop(account_id, None)
        self._tallies[table, account_id] = Tally()

    async def _accounts(self, client: IamClient, cursor: Cursor | None) -> Page:
        answer = await self._run(client.users, _marker(cursor))
        following = _cursor("users", answer.marker)
        wanted = self._settings.tables
        details = await self._users(client, answer, keep=wanted is None or "credentials" in wanted)
        label = await self._label(client.account_id)
        rows: list[Record] = [
            connector.account_row(self.name, client.account_id, label, detail, self._settings) for detail in details
        ]
        total = None
        if answer.marker is None:
            summary = await self._run(client.summary)
            total = summary.get("Users")
            if self._settings.include_root:
                rows.append(connector.root_row(self.name, client.account_id, label, summary))
                total = None if total is None else total + 1
        self._tallies["accounts", client.account_id].add(cursor, following, {})
        names = {str(one.user.get(key)) for one in details for key in ("UserName", "UserId", "Arn")}
        return Page(
            rows,
            next=following,
            gaps=connector.account_gaps(details),
            total=total,
            canaries=frozenset(self._settings.canaries) & names,
        )

    async def _credentials(self, client: IamClient, cursor: Cursor | None) -> Page:
        answer = await self._run(client.users, _marker(cursor))
        following = _cursor("users", answer.marker)
        details = await self._users(client, answer, keep=False, accounts=False)
        rows: list[Record] = [row for detail in details for row in connector.credential_rows(self.name, detail)]
        gaps = connector.credential_gaps(details)
        totals = self._tallies["credentials", client.account_id].add(
            cursor, following, {"rows": len(rows), "User": len(answer.items)}
        )
        total = None
        if answer.marker is None:
            total, short = await self._vouch("credentials", client, totals, ("User",))
            gaps += short
        return Page(rows, next=following, gaps=gaps, total=total)

    async def _sections(self, table: str, client: IamClient, cursor: Cursor | None) -> Page:
        """Read one page of one section of the account; the sections follow one another in one chain."""
        sections = _SECTIONS[table]
        if cursor is None:
            await self.directory(client.account_id, anew=True)
            if table == "entitlements":
                self._privileged[client.account_id] = {}
        section = (cursor or sections[0]).partition(" ")[0]
        if section == "AWSManagedPolicy":
            answer = await self._run(client.attached_aws_policies, _marker(cursor))
        else:
            answer = await self._run(client.details, cast("Any", section), _marker(cursor))
        rows, gaps = await self._mapped(table, section, client, answer)
        following = _cursor(section, answer.marker)
        if following is None and section != sections[-1]:
            following = sections[sections.index(section) + 1]
        counts = {"rows": len(rows), section: len(answer.items)}
        totals = self._tallies[table, client.account_id].add(cursor, following, counts)
        total = None
        if following is None:
            total, short = await self._vouch(table, client, totals, sections)
            gaps = [*gaps, *short]
        names = {
            str(item.get(key))
            for item in answer.items
            for key in (f"{section}Name", f"{section}Id", "PolicyName", "Arn")
        }
        canaries = frozenset(self._settings.canaries) & names if table == "entitlements" else frozenset()
        return Page(rows, next=following, gaps=gaps, total=total, canaries=canaries)

    async def _mapped(
        self, table: str, section: str, client: IamClient, answer: Answer
    ) -> tuple[Sequence[Record], Sequence[Gap]]:
        """Map one page of one section to rows of ``table``."""
        where = await self.where(client.account_id)
        directory = await self.directory(client.account_id)
        rows: list[Record] = []
        gaps: list[Gap] = []
        if table == "entitlements":
            for row, problems in await self._entitlements(section, client, answer, where, directory):
                rows.extend(row)
                gaps.extend(problems)
            return rows, gaps
        holder = cast("access.Holder", section)
        for item in answer.items:
            rows.extend(access.holder_grants(where, holder, item, directory))
            if holder == "Role":
                trusted, problems = await self._trusts(where, item)
                rows.extend(trusted)
                gaps.extend(problems)
        return rows, gaps

    async def _entitlements(
        self, section: str, client: IamClient, answer: Answer, where: access.Where, directory: access.Directory
    ) -> list[tuple[Sequence[Record], Sequence[Gap]]]:
        privileged = self._privileged[client.account_id]
        found: list[tuple[Sequence[Record], Sequence[Gap]]] = []
        if section == "LocalManagedPolicy":
            for item in answer.items:
                row, gaps = access.own_policy(where, item, directory)
                privileged[str(item["Arn"])] = row.privileged
                found.append(([row], gaps))
        elif section == "AWSManagedPolicy":
            read = await asyncio.gather(*(self._document(client, item) for item in answer.items))
            for item, (document, refused) in zip(answer.items, read, strict=True):
                row, gaps = access.aws_policy(where, item, document)
                privileged[str(item["Arn"])] = row.privileged
                found.append(([row], [*gaps, *refused] if row.privileged is None else gaps))
        else:
            found += [
                access.holder_rows(where, cast("access.Holder", section), item, privileged) for item in answer.items
            ]
        return found

    async def _document(self, client: IamClient, item: Item) -> tuple[Any, list[Gap]]:
        """Read an AWS managed policy; a refusal leaves unknown whether it is privileged, and says so."""
        arn = str(item["Arn"])
        try:
            return await self._run(client.policy_document, arn, str(item["DefaultVersionId"])), []
        except Refused as refused:
            if not refused.missing_permission:
                raise
            return None, [Gap("entitlements", arn, refused.message, refused.missing_permission)]

    async def _trusts(self, where: access.Where, role: Item) -> tuple[Sequence[Record], Sequence[Gap]]:
        """Return who may assume a role, looking into the other accounts of this source that it names."""
        try:
            named = access.trusted_accounts(role)
        except ValueError as error:
            return [], [Gap("grants", str(role.get("Arn")), f"the trust policy could not be understood: {error}")]
        known = (await self._accounts_read.listing()).accounts.values()
        ours = {one.reach.account_id for one in known if standing(one) == "open"} | {where.account_id}
        unread: list[str] = []
        directories: dict[str, access.Directory] = {}
        for account_id in sorted(named & ours):
            try:
                directories[account_id] = await self.directory(account_id)
            except Refused:
                unread.append(account_id)
        return access.trust_grants(where, role, directories, unread)

    async def directory(self, account_id: str, *, anew: bool = False) -> access.Directory:
        """Return the ids of an account's objects; bounded by IAM's quotas, a few megabytes at most."""
        if anew or account_id not in self._directories:
            client = await self._accounts_read.iam(account_id)
            self._directories[account_id] = await self._run(read_directory, client)
        return self._directories[account_id]

    async def _users(self, client: IamClient, answer: Answer, *, keep: bool, accounts: bool = True) -> list[UserDetail]:
        """Read everything about the users of one page.

        Each user is kept as he is read: a page that is throttled half-way goes on where it stopped, and with
        ``keep`` the credentials table finds what the accounts table has read. IAM holds 5,000 users at most. The last
        access is asked for only with ``accounts``: it costs a job a user.
        """
        kept = self._details.setdefault(client.account_id, {})

        async def read(user_id: str, user: Item) -> None:
            if user_id not in kept:
                detail: UserDetail = await self._run(read_user, client, user)
                kept[user_id] = await self._last_access.add(client, detail) if accounts else detail

        users = {str(user["UserId"]): user for user in answer.items}
        under_way = [asyncio.ensure_future(read(user_id, user)) for user_id, user in users.items()]
        try:
            await asyncio.gather(*under_way)
        finally:
            for one in under_way:
                one.cancel()  # after a failure: those not begun need not be read
        return [kept[user_id] if keep else kept.pop(user_id) for user_id in users]

    async def _vouch(
        self, table: str, client: IamClient, totals: Counter[str], sections: Sequence[str]
    ) -> tuple[int | None, list[Gap]]:
        """Return the number of rows read where IAM's own counters agree that nothing is missing, else gaps.

        More than IAM counts is no loss: its counters follow new objects with a delay.
        """
        summary = await self._run(client.summary)
        gaps: list[Gap] = []
        for section in sections:
            counter = _COUNTERS.get(section)
            counted = None if counter is None else summary.get(counter)
            if counter is not None and (counted is None or totals[section] < counted):
                gaps.append(
                    Gap(
                        table,
                        f"{counter} of AWS account {client.account_id}",
                        _short(counter, counted, totals[section]),
                    )
                )
        return (None if gaps else totals["rows"]), gaps

    async def where(self, account_id: str) -> access.Where:
        """Return the AWS account that rows belong to."""
        account = await self._accounts_read.get(account_id)
        return access.Where(self.name, account_id, account.environment, self._settings)

    async def _label(self, account_id: str) -> str | None:
        return (await self._accounts_read.get(account_id)).name


def _cursor(section: str, marker: str | None) -> Cursor | None:
    """Return where a section goes on: AWS's marker behind a word, since a marker alone may look like a URL."""
    return None if marker is None else f"{section} {marker}"


def _marker(cursor: Cursor | None) -> str | None:
    return (cursor or "").partition(" ")[2] or None


def read_directory(client: IamClient) -> access.Directory:
    """Read the ids of everything that grants refer to by name or ARN."""
    directory = access.Directory()
    for user in _every(client.users):
        user_id = directory.users[str(user["Arn"])] = directory.user_names[str(user["UserName"])] = str(user["UserId"])
        _born(directory, user_id, user)
    for role in _every(client.roles):
        role_id = directory.roles[str(role["Arn"])] = directory.role_names[str(role["RoleName"])] = str(role["RoleId"])
        _born(directory, role_id, role)
    for group in _every(lambda marker: client.details("Group", marker)):
        group_id = directory.groups[text(group, "GroupName")] = text(group, "GroupId")
        _born(directory, group_id, group)
    for policy in _every(client.own_policies):
        directory.policies[str(policy["Arn"])] = str(policy["PolicyId"])
    return directory


def _born(directory: access.Directory, its_id: str, item: Item) -> None:
    created = instant(item.get("CreateDate"))
    if created is not None:
        directory.created[its_id] = created


def _every(read: Callable[[str | None], Answer]) -> Sequence[Item]:
    """Read a list to its end; a marker that comes twice is refused."""
    tally = Tally()
    items: list[Item] = []
    marker: str | None = None
    while True:
        answer = read(marker)
        tally.add(marker, answer.marker, {})
        items.extend(answer.items)
        if answer.marker is None:
            return items
        marker = answer.marker


def _short(counter: str, counted: int | None, read: int) -> str:
    if counted is None:
        return f"GetAccountSummary does not count {counter}: nothing says whether all were read"
    return f"IAM counts {counted} {counter.lower()} and {read} were read"

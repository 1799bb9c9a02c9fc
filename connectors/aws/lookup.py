"""Look for one person's accounts, and re-read one account: in the IAM of every account, and in Identity Center."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from reconciler.sdk.connector import AccountRef, Found, Gap, LiveAccount, PersonKeys
from reconciler.sdk.errors import Misbehaved, SourceError

from . import connector, live
from .accounts import Accounts, AwsAccount, standing
from .center_client import CenterClient
from .center_lookup import CENTER_ID, KINDS, find_in_center, reread_in_center
from .client import IamClient
from .details import read_user
from .fields import Item
from .json_api import Run
from .settings import Settings
from .tally import Tally

_ROOT = re.compile(r"(\d{12}):root")
_IAM_ID = re.compile(r"\w{16,128}")


@dataclass(frozen=True, slots=True)
class _Search:
    """What a search of one AWS account came to; ``counted`` is IAM's own number of users."""

    users: list[Item]
    counted: int | None

    @property
    def short(self) -> str:
        """Say what speaks against the list being whole; empty: IAM counts no more users than it lists."""
        if self.counted is not None and self.counted <= len(self.users):
            return ""
        return f"IAM counts {self.counted} users, not {len(self.users)}"


class Lookup:
    """Finds and re-reads; needs no pull before."""

    def __init__(
        self, settings: Settings, accounts: Accounts, center: Callable[[], Awaitable[CenterClient]], run: Run
    ) -> None:
        self._settings = settings
        self._accounts = accounts
        self._center = center
        self._run = run
        self._homes: dict[str, str] = {}

    async def find(self, person: PersonKeys) -> Found:
        """Look in every AWS account and in Identity Center; raise where not one of them can be searched."""
        refs: list[AccountRef] = []
        gaps: list[Gap] = []
        failures: list[SourceError] = []
        listing = await self._accounts.listing()
        if listing.failed is not None:
            failures.append(listing.failed)
            gaps.append(Gap("accounts", "organization", listing.failed.message))
        searched = 0
        looks = (self._look_for(person, account) for account in listing.accounts.values())
        for matching, gap, error in await asyncio.gather(*looks):
            refs += matching
            gaps += [gap] if gap else []
            failures += [error] if error else []
            searched += gap is None
        if self._settings.identity_center is not None:
            try:
                more, unsearched = await find_in_center(await self._center(), self._settings, person)
                refs += more
                gaps += unsearched
                searched += 1
            except SourceError as error:
                failures.append(error)
                gaps.append(Gap("accounts", "identity center", error.message, getattr(error, "missing_permission", "")))
        if not searched and failures:
            raise failures[0]
        return Found(tuple(refs), tuple(gaps))

    async def reread(self, account_id: str) -> LiveAccount:
        """Re-read by immutable id; the kind of id says which system is asked."""
        root = _ROOT.fullmatch(account_id)
        kinds = KINDS if CENTER_ID.fullmatch(account_id) else live.IAM_KINDS
        try:
            if root is not None:
                return await self._root(account_id, root[1])
            if kinds is KINDS:
                if self._settings.identity_center is None:
                    return live.unknown(account_id, "identity_center is not configured", KINDS)
                return await reread_in_center(await self._center(), account_id)
            if not _IAM_ID.fullmatch(account_id):
                return live.unknown(account_id, "it is no id of a user of AWS", kinds)
            return await self._iam_user(account_id)
        except SourceError as error:
            return live.unknown(account_id, error.message, kinds)

    async def _root(self, account_id: str, aws_account: str) -> LiveAccount:
        account = (await self._accounts.listing()).accounts.get(aws_account)
        if account is None or standing(account) != "open":
            told = "is not among those that are read" if account is None else f"is {account.state}"
            return live.unknown(account_id, f"AWS account {aws_account} {told}", live.IAM_KINDS)
        client = await self._accounts.iam(aws_account)
        return live.root_present(account_id, await self._run(client.summary))

    async def _iam_user(self, user_id: str) -> LiveAccount:
        """Re-read an IAM user. IAM has no call for an id: all users are listed, and IAM's own count must agree.

        A user made anew under the same name has another id: the old one is gone.
        """
        listing = await self._accounts.listing()
        unread = [] if listing.failed is None else [f"the organization ({listing.failed.message})"]
        home = self._homes.get(user_id)  # where it was found before: an id never moves to another account
        accounts = [one for one in listing.accounts.values() if home in {None, one.reach.account_id}]
        if not accounts:
            return live.unknown(user_id, "no AWS account is read", live.IAM_KINDS)
        looks = [asyncio.ensure_future(self._look_up(user_id, account)) for account in accounts]
        try:
            for look in asyncio.as_completed(looks):
                found = await look
                if isinstance(found, LiveAccount):
                    return found
        finally:
            for one in looks:
                one.cancel()
            await asyncio.gather(*looks, return_exceptions=True)
        answers: dict[str, int] = {}
        for account, one in zip(accounts, looks, strict=True):
            count = one.result()
            if isinstance(count, int):
                answers[account.reach.account_id] = count
            else:
                unread.append(f"AWS account {account.reach.account_id} ({count})")
        if unread:
            return live.unknown(
                user_id, f"it was not found, and these could not be searched: {'; '.join(unread)}", live.IAM_KINDS
            )
        where = ", ".join(answers)
        return live.user_gone(user_id, f"IAM lists every user of {where} without it, and counts no more", answers)

    async def _look_up(self, user_id: str, account: AwsAccount) -> LiveAccount | int | str:
        """Return the user, the number of users of this account where it is none of them, else why that is unknown."""
        aws_account = account.reach.account_id
        if standing(account) != "open":
            return f"it is {account.state}"
        try:
            search = await self._search(account)
            found = next((user for user in search.users if user["UserId"] == user_id), None)
            if found is not None:
                self._homes[user_id] = aws_account
                client = await self._accounts.iam(aws_account)
                return live.user_present(user_id, await self._run(read_user, client, found))
        except SourceError as error:
            return error.message
        if any(user["UserName"] == user_id for user in search.users):
            return live.unknown(user_id, "it is a user's name, not an id", live.IAM_KINDS)
        return search.short or len(search.users)

    async def _look_for(
        self, person: PersonKeys, account: AwsAccount
    ) -> tuple[list[AccountRef], Gap | None, SourceError | None]:
        """Return a person's users in one account, and what kept it from being searched whole."""
        account_id = account.reach.account_id
        if standing(account) != "open":
            return [], Gap("accounts", account_id, f"AWS Organizations says that it is {account.state}"), None
        try:
            search = await self._search(account)
        except SourceError as error:
            return [], Gap("accounts", account_id, error.message, getattr(error, "missing_permission", "")), error
        short = Gap("accounts", account_id, search.short) if search.short else None
        return self._matching(account_id, search.users, person), short, None

    async def _search(self, account: AwsAccount) -> _Search:
        """List the users of one account with their tags, in one chain, and IAM's own count of them."""
        client = await self._accounts.iam(account.reach.account_id)

        def read() -> _Search:
            return _Search(_all_users(client), client.summary().get("Users"))

        found: _Search = await self._run(read)
        return found

    def _matching(self, account_id: str, users: list[Item], person: PersonKeys) -> list[AccountRef]:
        refs = []
        for user in users:
            user_id, login = str(user["UserId"]), str(user["UserName"])
            by = matched_by(user, person, self._settings)
            if by:
                self._homes[user_id] = account_id
                refs.append(AccountRef(user_id, login, by))
        if f"{account_id}:root" in person.account_ids:
            refs.append(AccountRef(f"{account_id}:root", "root", ("account_id",)))
        return refs


def matched_by(user: Item, person: PersonKeys, settings: Settings) -> tuple[str, ...]:
    """Return which of a person's keys an IAM user carries: its id, its name, or one of the configured tags."""
    tags: Mapping[str, str] = {str(tag.get("Key")): str(tag.get("Value", "")) for tag in user.get("Tags") or ()}
    login = str(user["UserName"]).casefold()
    email = (connector.tag_value(tags, settings.email_tag) or "").casefold()
    emails = {one.casefold() for one in person.emails if one}
    number = connector.tag_value(tags, settings.employee_id_tag)
    return tuple(
        name
        for name, matches in (
            ("account_id", user["UserId"] in person.account_ids),
            ("employee_id", bool(person.employee_id) and number == person.employee_id),
            ("email", email in emails or login in emails),
            ("login", login in {one.casefold() for one in person.logins}),
        )
        if matches
    )


def _all_users(client: IamClient) -> list[Item]:
    tally = Tally()
    found: list[Item] = []
    marker: str | None = None
    while True:
        answer = client.details("User", marker)
        tally.add(marker, answer.marker, {})
        for user in answer.items:
            if not user.get("UserId") or not user.get("UserName"):
                raise Misbehaved("GetAccountAuthorizationDetails gave a user without UserId or UserName")
        found.extend(answer.items)
        if answer.marker is None:
            return found
        marker = answer.marker

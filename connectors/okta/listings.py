"""The lists that everything starts from: users, groups, apps, rules, resource sets; with a proof of their end.

A next link that is lost half-way looks like the end of a list. Users and groups are therefore read in the order of
their creation, and the newest is asked for first, from the other end: where it has not come by the end of the list,
the list was cut short.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Misbehaved

from .client import Answer, OktaClient
from .failures import Absent
from .settings import Settings
from .shapes import App, Decoder, Group, Labelled, Problem, Rule, User, UserId

T = TypeVar("T", bound=Any)
USERS, GROUPS, APPS, ROLES = "okta.users.read", "okta.groups.read", "okta.apps.read", "okta.roles.read"
EVERY_USER = "status pr"
"""Every state: a plain list leaves DEPROVISIONED users out."""
EVERY_GROUP = 'type eq "OKTA_GROUP" or type eq "APP_GROUP" or type eq "BUILT_IN"'
_RULES_A_PAGE = 50
_STATES_OF_RULES = frozenset({"ACTIVE", "INACTIVE", "INVALID"})

apps = Decoder(App, "label", "status", "sign_on_mode")
groups = Decoder(Group, "type", "profile")
ids = Decoder(UserId)
rules_of = Decoder(Rule, "status")
labelled = Decoder(Labelled)


class State(msgspec.Struct, array_like=True, frozen=True):
    """Where a list goes on, its newest object, and whether that came by."""

    link: str
    newest: str
    seen: bool


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None
    gaps: list[Gap] = field(default_factory=list)


def problem_gaps(table: str, answer: Answer[Any]) -> list[Gap]:
    """Say as gaps what in a page could not be used."""
    return [Gap(table, problem.subject or "an object", problem.reason) for problem in answer.problems]


async def every(ask: Callable[[str | None], Awaitable[Answer[T]]]) -> tuple[list[T], list[Answer[T]]]:
    """Read a short list to its end; raise ``Misbehaved`` where it goes round."""
    items: list[T] = []
    answers: list[Answer[T]] = []
    seen: set[str] = set()
    link: str | None = None
    while True:
        answer = await ask(link)
        items.extend(answer.items)
        answers.append(answer)
        link = answer.next
        if link is None:
            return items, answers
        if link in seen:
            raise Misbehaved("a next link came twice: the list goes round", advice="Report this to Okta.")
        seen.add(link)


class Listings:
    """Reads the lists of one organisation."""

    def __init__(self, client: OktaClient, settings: Settings, users: type[User]) -> None:
        """Take the client and the type of user that the settings call for."""
        self._client = client
        self._size = settings.page_size
        self.users_decoder: Decoder[User] = Decoder(users, "status", "profile")
        self._rules: dict[str, list[str]] | None = None
        self._doubts: list[Problem] = []
        self._sets: dict[str, str | None] | None = None

    async def users(self, table: str, cursor: str | None) -> Listed[User]:
        """Read a page of users in every state."""
        return await self._ordered(table, cursor, "/api/v1/users", self.users_decoder, search=EVERY_USER, scope=USERS)

    async def user_ids(self, table: str, cursor: str | None) -> Listed[UserId]:
        """Read a page of users in every state, by their ids alone."""
        return await self._ordered(table, cursor, "/api/v1/users", ids, search=EVERY_USER, scope=USERS)

    async def groups(self, table: str, cursor: str | None, *, stats: bool) -> Listed[Group]:
        """Read a page of groups; with ``stats`` comes Okta's count of members."""
        more = {"expand": "stats"} if stats else {}
        return await self._ordered(table, cursor, "/api/v1/groups", groups, search=EVERY_GROUP, scope=GROUPS, more=more)

    async def apps(self, table: str, cursor: str | None) -> Listed[App]:
        """Read a page of apps, inactive ones too. Okta neither counts nor sorts apps: their end has no proof."""
        path, size = "/api/v1/apps", self._size
        answer = await self._client.surely(
            lambda: self._client.list(path, apps, APPS, link=cursor, limit=size, includeNonDeleted="true")
        )
        gaps = problem_gaps(table, answer)
        for app in answer.items:
            if app.sign_on_mode == "OPENID_CONNECT" and not (
                app.settings and app.settings.oauth_client and app.client_id
            ):
                gaps.append(Gap(table, app.id, "Okta left out what kind of OAuth client this app is"))
        return Listed(answer.items, answer.next, gaps)

    async def rules(self, *, fresh: bool = False) -> Mapping[str, Sequence[str]]:
        """Return the names of the active rules that feed each group, by group id; kept until ``fresh``."""
        if self._rules is None or fresh:
            path = "/api/v1/groups/rules"
            found, answers = await every(
                lambda link: self._client.surely(
                    lambda: self._client.list(path, rules_of, GROUPS, link=link, limit=_RULES_A_PAGE)
                )
            )
            fed: dict[str, list[str]] = {}
            self._doubts = [problem for answer in answers for problem in answer.problems]
            for rule in found:
                targets = rule.actions and rule.actions.assign_user_to_groups
                known = targets and targets.group_ids is not None and rule.status in {None, *_STATES_OF_RULES}
                if not known:
                    self._doubts.append(
                        Problem(rule.id, "whether this rule makes members, and of which groups, is unknown")
                    )
                if rule.status == "ACTIVE" and targets:
                    for group in targets.group_ids or ():
                        fed.setdefault(group, []).append(rule.name or rule.id)
            self._rules = fed
        return self._rules

    def rule_gaps(self, table: str) -> list[Gap]:
        """Return the gaps of the rules as they were read: a group that one may feed would pass for one without."""
        return [Gap(table, one.subject or "a rule", one.reason) for one in self._doubts]

    async def resource_sets(self) -> Mapping[str, str | None]:
        """Return the label of each resource set, by id; kept."""
        if self._sets is None:
            path = "/api/v1/iam/resource-sets"
            found, _ = await every(lambda link: self._client.wrapped(path, labelled, ROLES, "resource-sets", link=link))
            self._sets = {one.id: one.label for one in found}
        return self._sets

    async def _ordered(
        self,
        table: str,
        cursor: str | None,
        path: str,
        decoder: Decoder[T],
        *,
        search: str,
        scope: str,
        more: Mapping[str, Any] | None = None,
    ) -> Listed[T]:
        state = None if cursor is None else msgspec.json.decode(cursor, type=State)
        if state is None:
            last = await self._client.list(path, ids, scope, search=search, sortBy="created", sortOrder="desc", limit=1)
            state = State("", last.items[0].id if last.items else "", seen=False)
        link = state.link or None
        answer = await self._client.surely(
            lambda: self._client.list(
                path,
                decoder,
                scope,
                link=link,
                search=search,
                sortBy="created",
                sortOrder="asc",
                limit=self._size,
                **(more or {}),
            ),
            ends=False,
        )
        seen = state.seen or any(item.id == state.newest for item in answer.items)
        gaps = problem_gaps(table, answer)
        if answer.next is not None:
            return Listed(answer.items, msgspec.json.encode(State(answer.next, state.newest, seen)).decode(), gaps)
        if state.newest and not seen and await self._still_there(f"{path}/{state.newest}", scope):
            gaps.append(
                Gap(
                    table,
                    "",
                    f"the list of {path} ended before its newest object, {state.newest}, had come: a link to a further "
                    "page was lost on the way, or the search lags. Pull again; if it stays, ask Okta.",
                )
            )
        return Listed(answer.items, None, gaps)

    async def _still_there(self, path: str, scope: str) -> bool:
        """Return whether an object exists, asked directly."""
        try:
            await self._client.one(path, ids, scope)
        except Absent:
            return False
        return True

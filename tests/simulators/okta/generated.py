"""An org of any size that is never held: every object is made from its number, always the same."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler.clock import now
from tests.simulators.okta import shapes
from tests.simulators.okta.org import Org
from tests.simulators.okta.paging import Sized
from tests.simulators.okta.rows import Made, Row, Rows, number_of, okta_id

_RARE = {
    7: "STAGED",
    11: "PROVISIONED",
    13: "RECOVERY",
    17: "PASSWORD_EXPIRED",
    19: "LOCKED_OUT",
    23: "SUSPENDED",
    29: "DEPROVISIONED",
    31: "DEPROVISIONED",
}
"""State by number of the user modulo 50; the others are ACTIVE."""
_MODES = ("SAML_2_0", "OPENID_CONNECT", "BOOKMARK", "AUTO_LOGIN", "BROWSER_PLUGIN")
_KINDS = ("push", "webauthn", "token:software:totp")


@dataclass
class Sizes:
    """How much a made-up org holds; what stands below an object is that many of each."""

    users: int = 1000
    groups: int = 20
    apps: int = 10
    members: int = 50
    app_users: int = 30
    app_groups: int = 2
    rules: int = 5
    factors_every: int = 2
    """Every so many users have two factors."""
    clients_every: int = 10
    """Every so many users have a grant and a refresh token."""
    admins: int = 8
    tokens: int = 6
    events: int = 200


class Slice:
    """``count`` rows, made when asked for."""

    def __init__(self, count: int, make: Callable[[int], Row]) -> None:
        self._count = max(0, count)
        self._make = make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Row:
        return self._make(index)


class GeneratedOrg(Org):
    """An org made from ``sizes``; events lie in the 24 hours before ``until`` (the present, where none is given)."""

    def __init__(self, sizes: Sizes | None = None, *, until: datetime | None = None) -> None:
        super().__init__()
        self.sizes = sizes = sizes or Sizes()
        self._until = until or now()
        self.rows |= {
            "users": Made("00u", sizes.users, _user),
            "groups": Made("00g", sizes.groups, self._group),
            "apps": Made("0oa", sizes.apps, _app),
            "groups/rules": Made("0pr", sizes.rules, self._rule),
            "api-tokens": Made("00T", sizes.tokens, self._token),
        }
        admins = min(sizes.admins, sizes.users)
        self.lists["iam/assignees/users"] = [shapes.assignee(okta_id("00u", 100 * number)) for number in range(admins)]
        self._below: tuple[tuple[re.Pattern[str], Callable[[int, re.Match[str]], Sized]], ...] = (
            (re.compile(r"groups/(00g\w+)/users"), lambda number, _: self._users_of(number, sizes.members)),
            (re.compile(r"apps/(0oa\w+)/users"), lambda number, _: self._app_users(number)),
            (re.compile(r"apps/(0oa\w+)/groups"), lambda number, _: self._app_groups(number)),
            (re.compile(r"apps/(0oa\w+)/credentials/secrets"), lambda number, _: _secrets(number)),
            (re.compile(r"users/(00u\w+)/groups"), lambda number, _: self._groups_of(okta_id("00u", number))),
            (re.compile(r"users/(00u\w+)/factors"), lambda number, _: self._factors(number)),
            (re.compile(r"users/(00u\w+)/(grants|clients)"), lambda number, match: self._consents(number, match[2])),
            (re.compile(r"users/(00u\w+)/clients/0oa\w+/tokens"), lambda number, _: self._consents(number, "tokens")),
            (re.compile(r"users/(00u\w+)/roles"), lambda number, _: self._roles(number)),
        )

    @property
    def searched(self) -> Rows:
        return self.rows["users"]

    @property
    def events(self) -> Sized:
        step = timedelta(days=1) / max(1, self.sizes.events)
        return Slice(
            self.sizes.events, lambda index: self._event(index, self._until - step * (self.sizes.events - index))
        )

    def below(self, path: str) -> Sized | None:
        for pattern, make in self._below:
            match = pattern.fullmatch(path)
            if match is None:
                continue
            number = number_of(match[1], match[1][:3])
            known = number is not None and self.rows[path.partition("/")[0]].index(match[1]) is not None
            return make(number or 0, match) if known else None
        return super().below(path)

    def member_ids(self, group_id: str) -> list[str]:
        number = number_of(group_id, "00g")
        members = self._users_of(number or 0, self.sizes.members)
        return [members[index]["id"] for index in range(len(members))]

    def by_login(self, login: str) -> Row | None:
        match = re.fullmatch(r"user(\d+)(@example\.test)?", login.casefold())
        number = int(match[1]) if match else self.sizes.users
        return self.rows["users"][number] if number < self.sizes.users else None

    def stats(self, group_id: str) -> Row:  # noqa: ARG002 - every made-up group is alike
        members = min(self.sizes.members, self.sizes.users)
        return {"usersCount": members, "appsCount": 0, "groupPushMappingsCount": 0, "hasAdminPrivilege": False}

    def _place(self, number: int, index: int) -> int:
        """Return the number of the user who stands at ``index`` below object ``number``."""
        return (number * 37 + index) % self.sizes.users

    def _users_of(self, number: int, size: int) -> Slice:
        return Slice(min(size, self.sizes.users), lambda index: _user(self._place(number, index)))

    def _groups_of(self, user_id: str) -> list[Row]:
        user, users = number_of(user_id, "00u") or 0, self.sizes.users
        size = min(self.sizes.members, users)
        return [self._group(number) for number in range(self.sizes.groups) if (user - number * 37) % users < size]

    def _group(self, number: int) -> Row:
        if number == 0:
            return shapes.group(okta_id("00g", 0), "Everyone", kind="BUILT_IN")
        kind = "APP_GROUP" if number % 10 == 9 else "OKTA_GROUP"
        return shapes.group(okta_id("00g", number), f"Group {number}", kind=kind, description=f"Made up, {number}")

    def _rule(self, number: int) -> Row:
        group = okta_id("00g", 1 + number % max(1, self.sizes.groups - 1))
        return shapes.rule(okta_id("0pr", number), f"Rule {number}", f'user.department=="Department {number}"', [group])

    def _token(self, number: int) -> Row:
        return shapes.api_token(
            okta_id("00T", number), f"Token {number}", okta_id("00u", 100 * number % self.sizes.users)
        )

    def _app_users(self, number: int) -> Slice:
        def make(index: int) -> Row:
            user = self._place(number, index)
            scope = "GROUP" if index % 2 else "USER"
            return shapes.app_user(okta_id("0oa", number), okta_id("00u", user), _login(user), scope=scope)

        return Slice(min(self.sizes.app_users, self.sizes.users), make)

    def _app_groups(self, number: int) -> Slice:
        def make(index: int) -> Row:
            return shapes.app_group(okta_id("0oa", number), okta_id("00g", (number + index) % self.sizes.groups), index)

        return Slice(min(self.sizes.app_groups, self.sizes.groups), make)

    def _factors(self, number: int) -> Slice:
        user = okta_id("00u", number)

        def make(index: int) -> Row:
            kind = _KINDS[(number + index) % len(_KINDS)]
            return shapes.factor(okta_id("opf", 2 * number + index), kind, user_id=user)

        return Slice(0 if number % self.sizes.factors_every else 2, make)

    def _consents(self, number: int, kind: str) -> Slice:
        user, client = okta_id("00u", number), okta_id("0oa", 1)
        make: dict[str, Callable[[int], Row]] = {
            "grants": lambda _: shapes.scope_grant(okta_id("oag", number), "offline_access", client, user_id=user),
            "clients": lambda _: shapes.client(client, "App 1"),
            "tokens": lambda _: shapes.refresh_token(okta_id("oar", number), client, user),
        }
        return Slice(0 if number % self.sizes.clients_every or self.sizes.apps < 2 else 1, make[kind])

    def _roles(self, number: int) -> Slice:
        assigned = number % 100 == 0 and number // 100 < self.sizes.admins
        kind = "SUPER_ADMIN" if number == 0 else "HELP_DESK_ADMIN"
        path = f"/users/{okta_id('00u', number)}"
        return Slice(int(assigned), lambda _: shapes.role(okta_id("ra1", number), kind, path))

    def _event(self, index: int, published: datetime) -> Row:
        user = index % self.sizes.users
        actor = shapes.party(okta_id("00u", user), "User", f"User {user}", _login(user))
        uuid = f"00000000-0000-11f0-9000-{index:012d}"
        return shapes.event(uuid, shapes.stamp(published), "user.session.start", actor=actor)


def _login(number: int) -> str:
    return f"user{number}@example.test"


def _user(number: int) -> Row:
    status = _RARE.get(number % 50, "ACTIVE")
    profile: dict[str, Any] = {
        "employeeNumber": str(100_000 + number),
        "department": f"Department {number % 40}",
        "organization": "Example",
        "title": "Engineer",
        "displayName": f"User {number}",
    }
    return shapes.user(
        okta_id("00u", number),
        _login(number),
        status=status,
        first="User",
        last=str(number),
        created=shapes.day(number / 1000),
        last_login=shapes.day(1500 + number % 300) if status == "ACTIVE" else None,
        profile=profile,
    )


def _app(number: int) -> Row:
    app_id, mode = okta_id("0oa", number), _MODES[number % len(_MODES)]
    if number % 10 == 6:
        return shapes.service_app(app_id, f"Service {number}")
    status = "INACTIVE" if number % 10 == 8 else "ACTIVE"
    return shapes.app(app_id, f"App {number}", name=f"app_{number}", mode=mode, status=status)


def _secrets(number: int) -> Slice:
    has_secret = _MODES[number % len(_MODES)] == "OPENID_CONNECT"
    return Slice(
        int(has_secret), lambda _: shapes.client_secret(okta_id("ocs", number), secret=f"planted-secret-{number}")
    )

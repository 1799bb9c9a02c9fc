"""A tenant of any size, made from indices as it is read: a million users and nothing held in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from reconciler import clock
from tests.simulators.graph import objects as make
from tests.simulators.graph.answers import Json
from tests.simulators.graph.objects import guid, number_of
from tests.simulators.graph.sample import ROLES
from tests.simulators.graph.tenant import P1, P2, TENANT_ID, ListRows, Rows

SPREAD = 50
"""Users between the first member of a group and that of the next."""
_ROLE_IDS = [f"{place:08x}-1111-4222-8333-444444444444" for place in range(20)]
_DAYS = 30


class Made:
    """Rows made from their place."""

    def __init__(
        self,
        size: int,
        row: Callable[[int], Json],
        place: Callable[[str], int | None] | None = None,
        newest_first: str = "",
    ) -> None:
        self.size, self.row, self.place = size, row, place
        self.newest_first = newest_first

    def __len__(self) -> int:
        return self.size

    def window(self, start: int, count: int) -> Sequence[Json]:
        return [self.row(place) for place in range(start, min(start + count, self.size))]

    def find(self, name: str) -> Json | None:
        place = None if self.place is None else self.place(name)
        return None if place is None or not 0 <= place < self.size else self.row(place)


class Picked:
    """Some rows of ``of``, by their places."""

    def __init__(self, of: Made, places: Sequence[int]) -> None:
        self.of, self.places = of, places

    def __len__(self) -> int:
        return len(self.places)

    def window(self, start: int, count: int) -> Sequence[Json]:
        return [self.of.row(place) for place in self.places[start : start + count]]

    def find(self, name: str) -> Json | None:
        return self.of.find(name)


class GeneratedTenant:
    """``users`` users, a group for every fifty of them, and the rest in proportion; the same for ever but its times."""

    def __init__(self, users: int, *, members: int = 20, latest: datetime | None = None) -> None:
        self.tenant_id = TENANT_ID
        self.domain = "contoso.onmicrosoft.com"
        self.licences = frozenset({P1, P2})
        self.skus: list[Json] = []
        self._users, self._width = users, min(members, users)
        self._groups, self._apps = max(1, users // SPREAD), max(1, users // 200)
        self._latest = latest or clock.now()
        self._user = make.user(0, "x", "X Y", department="Sales", companyName="Contoso", employeeType="Employee")
        self._group = make.group(0, "x")
        self._app, self._principal = make.application(0, "x"), make.service_principal(0, "x")
        self._rows: dict[str, Made] = {
            "users": Made(users, self._make_user, self._user_place),
            "groups": Made(self._groups, self._make_group, lambda name: number_of(name, "group")),
            "applications": Made(self._apps, self._make_app, lambda name: number_of(name, "application")),
            "servicePrincipals": Made(
                self._apps, self._make_principal, lambda name: number_of(name, "servicePrincipal")
            ),
            "appRoleAssignments": Made(self._apps * 10, self._make_assignment),
            "oauth2PermissionGrants": Made(self._apps, self._make_grant),
            f"{ROLES}/roleDefinitions": Made(20, lambda n: make.role_definition(_ROLE_IDS[n], f"Role {n}")),
            f"{ROLES}/roleAssignments": Made(self._holders, self._make_role_assignment),
            f"{ROLES}/roleAssignmentSchedules": Made(self._holders, lambda n: self._schedule(n, "Assigned")),
            f"{ROLES}/roleAssignmentScheduleInstances": Made(
                self._holders,
                lambda n: make.role_instance(self._schedule(n, "Assigned"), self._make_role_assignment(n)["id"]),
            ),
            f"{ROLES}/roleEligibilitySchedules": Made(self._holders, lambda n: self._schedule(n, None)),
            f"{ROLES}/roleEligibilityScheduleInstances": Made(
                self._holders, lambda n: make.role_instance(self._schedule(n, None))
            ),
            "reports/authenticationMethods/userRegistrationDetails": Made(
                users,
                lambda n: make.registration(self._make_user(n), *(("mobilePhone",) if n % 3 else ())),
                self._user_place,
            ),
            "auditLogs/directoryAudits": Made(users // 10, self._make_audit, newest_first="activityDateTime"),
            "auditLogs/signIns": Made(users // 10, self._make_sign_in, newest_first="createdDateTime"),
        }

    @property
    def _holders(self) -> int:
        return min(100, self._users)

    def rows(self, name: str) -> Rows:
        return self._rows.get(name) or ListRows([])

    def deleted(self, kind: str) -> Rows:
        if kind != "user":
            return ListRows([])

        def row(place: int) -> Json:
            return {**self._make_user(self._users + place), "deletedDateTime": "2026-11-01T00:00:00Z"}

        def place(name: str) -> int | None:
            number = number_of(name, "user")
            return None if number is None else number - self._users

        return Made(self._users // 100, row, place)

    def find(self, name: str) -> tuple[str, Json] | None:
        for path, kind in (("users", "user"), ("groups", "group"), ("servicePrincipals", "servicePrincipal"),
                           ("applications", "application")):  # fmt: skip
            row = self._rows[path].find(name)
            if row is not None:
                return kind, row
        return None

    def linked(self, link: str, name: str) -> Sequence[str]:
        group, user = number_of(name, "group"), number_of(name, "user")
        if link == "members" and group is not None and group < self._groups:
            members = [guid("user", (group * SPREAD + place) % self._users) for place in range(self._width)]
            return [*members, guid("group", group + 1)] if self._nests(group) else members
        if link == "owners" and group is not None:
            return [guid("user", group % self._users)]
        if link == "memberOf" and group is not None:
            return [guid("group", group - 1)] if group and self._nests(group - 1) else []
        if link == "memberOf" and user is not None:
            return [guid("group", user // SPREAD)] if user % SPREAD < self._width and user < self._users else []
        if link == "manager" and user:
            return [guid("user", user // 10)]
        return []

    def methods(self, user: str) -> Sequence[Json]:
        number = number_of(user, "user") or 0
        return [make.method("password", number), make.method("phone", number, phoneType="mobile")]

    def related(self, name: str, column: str, value: str) -> Rows:
        principal, user = number_of(value, "servicePrincipal"), number_of(value, "user")
        if name == "appRoleAssignments" and column == "resourceId" and principal is not None:
            return Picked(self._rows[name], range(principal * 10, principal * 10 + 10))
        if name == "appRoleAssignments" and column == "principalId" and user is not None:
            return Picked(self._rows[name], range(user, self._apps * 10, self._users))
        if name == "oauth2PermissionGrants" and column == "clientId" and principal is not None:
            return Picked(self._rows[name], range(principal, principal + 1))
        if column == "appId" and (number := number_of(value, "other")) is not None:
            return Picked(self._rows[name], range(number, min(number + 1, self._apps)))
        return ListRows([])

    def _nests(self, group: int) -> bool:
        return group % 10 == 0 and group + 1 < self._groups

    def _user_place(self, name: str) -> int | None:
        number = number_of(name, "user")
        login = name.removesuffix(f"@{self.domain}").removeprefix("user")
        return number if number is not None else int(login) if login.isdigit() and login != name else None

    def _make_user(self, number: int) -> Json:
        principal = f"user{number}@{self.domain}"
        return {
            **self._user,
            "id": guid("user", number),
            "accountEnabled": number % 17 != 0,
            "displayName": f"User {number}",
            "givenName": "User",
            "surname": str(number),
            "employeeId": f"E{number:07d}",
            "identities": [
                {"signInType": "userPrincipalName", "issuer": self.domain, "issuerAssignedId": principal},
            ],
            "mail": principal,
            "mailNickname": f"user{number}",
            "userPrincipalName": principal,
            "userType": "Guest" if number % 13 == 0 else "Member",
            "proxyAddresses": [f"SMTP:{principal}"],
            "securityIdentifier": f"S-1-12-1-{number}-1-2-3",
            "signInActivity": make.signed_in("2026-11-19T07:00:00Z", None, "2026-11-19T07:00:00Z"),
        }

    def _make_group(self, number: int) -> Json:
        return {**self._group, "id": guid("group", number), "displayName": f"Group {number}"}

    def _make_app(self, number: int) -> Json:
        secret = make.password_credential(number, "2027-01-01T00:00:00Z")
        names = {"appId": guid("other", number), "displayName": f"App {number}"}
        return {**self._app, **names, "id": guid("application", number), "passwordCredentials": [secret]}

    def _make_principal(self, number: int) -> Json:
        role = make.app_role(number, "Use")
        names = {"appId": guid("other", number), "displayName": f"App {number}", "appDisplayName": f"App {number}"}
        return {**self._principal, **names, "id": guid("servicePrincipal", number), "appRoles": [role]}

    def _make_assignment(self, number: int) -> Json:
        app = number // 10
        principal = self._make_user(number % self._users)
        return make.app_role_assignment(number, principal, "User", self._make_principal(app), guid("role", app))

    def _make_grant(self, number: int) -> Json:
        client = self._make_principal(number)
        return make.permission_grant(number, client, self._make_principal(0), "User.Read openid")

    def _make_role_assignment(self, number: int) -> Json:
        return make.role_assignment(number, guid("user", number), _ROLE_IDS[number % 20])

    def _schedule(self, number: int, assignment: str | None) -> Json:
        return make.role_schedule(number, guid("user", number), _ROLE_IDS[number % 20], assignment=assignment)

    def _time(self, place: int) -> str:
        at = self._latest - timedelta(seconds=(place + 1) * _DAYS * 86_400 / (self._users // 10 + 1))
        return f"{at:%Y-%m-%dT%H:%M:%S.%f}0Z"

    def _make_audit(self, number: int) -> Json:
        actor, changed = self._make_user(number % 7), self._make_user(number)
        return make.audit(number, self._time(number), "Update user", actor, make.target(changed, "User"))

    def _make_sign_in(self, number: int) -> Json:
        return make.sign_in(number, self._time(number), self._make_user(number))

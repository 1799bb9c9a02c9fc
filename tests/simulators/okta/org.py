"""What an Okta org holds, as the API's paths name it; ``Org`` is in memory and may be changed while it is served."""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from reconciler.clock import monotonic, now
from tests.simulators.okta.paging import Sized
from tests.simulators.okta.rows import Listed, Row, Rows, find
from tests.simulators.okta.shapes import stamp

COLLECTIONS = ("users", "groups", "apps", "groups/rules", "iam/roles", "iam/resource-sets", "api-tokens", "logs")


class Org:
    """An org in memory.

    Collections are ``Rows`` by path (``users``, ``groups/rules``). Lists below an object stand in ``lists`` under
    their path (``users/00u.../factors``); members of a group and people with a role are ids. A change to a user is
    seen by id at once and by ``search`` after ``search_lag`` seconds (``inf``: when ``reindex`` is called).
    """

    def __init__(self, *, search_lag: float = 0.0) -> None:
        self.search_lag = search_lag
        self.rows: dict[str, Rows] = {name: Listed(key="uuid" if name == "logs" else "id") for name in COLLECTIONS}
        self.lists: dict[str, list[Row]] = {}
        self.members: dict[str, list[str]] = {}
        self._index: Rows = Listed()
        self._pending: list[tuple[float, str]] = []

    def put(self, collection: str, row: Row) -> Row:
        """Add an object, or replace the one of that id."""
        rows = self.rows[collection]
        assert isinstance(rows, Listed), "a made-up org cannot be changed"
        rows.put(row)
        if collection == "users":
            self._touch(row["id"])
        return row

    def change(self, user_id: str, **fields: Any) -> Row:
        """Change top-level fields of a user, with the times that go with it."""
        row = find(self.rows["users"], user_id)
        assert row is not None, user_id
        moment = stamp(now())
        changed = {**row, "lastUpdated": moment, **fields}
        if "status" in fields:
            changed["statusChanged"] = moment
        return self.put("users", changed)

    def delete(self, collection: str, object_id: str) -> None:
        """Remove an object, with what hangs on it: afterwards its id answers 404."""
        rows = self.rows[collection]
        assert isinstance(rows, Listed), "a made-up org cannot be changed"
        rows.drop(object_id)
        for ids in self.members.values():
            while object_id in ids:
                ids.remove(object_id)
        for path in [path for path in self.lists if path.startswith(f"{collection}/{object_id}/")]:
            del self.lists[path]
        if collection == "users":
            self._touch(object_id)

    def add(self, path: str, *rows: Row) -> None:
        """Append to a list below an object."""
        self.lists.setdefault(path, []).extend(rows)

    def join(self, group_id: str, *user_ids: str) -> None:
        """Make users members of a group."""
        self.members.setdefault(group_id, []).extend(user_ids)

    def reindex(self) -> None:
        """Let search see every change made so far."""
        for _, user_id in self._pending:
            self._see(user_id)
        self._pending.clear()

    @property
    def searched(self) -> Rows:
        """Users as search sees them."""
        moment = monotonic()
        due = [user_id for when, user_id in self._pending if when <= moment]
        self._pending = [each for each in self._pending if each[0] > moment]
        for user_id in due:
            self._see(user_id)
        return self._index

    @property
    def events(self) -> Sized:
        """Events of the System Log in the order of their publication."""
        rows = self.rows["logs"]
        return sorted((rows[index] for index in range(len(rows))), key=lambda row: (row["published"], row["uuid"]))

    def below(self, path: str) -> Sized | None:
        """Return a list below an object, by its path without ``/api/v1/``; None where its parent is not there."""
        parts = path.split("/")
        if parts[0] == "groups" and parts[2:] == ["users"]:
            return None if self.get("groups", parts[1]) is None else self._users(self.member_ids(parts[1]))
        if parts[0] == "users" and parts[2:] == ["groups"]:
            return None if self.get("users", parts[1]) is None else self._groups_of(parts[1])
        for length in (2, 1):
            collection = "/".join(parts[:length])
            if collection in self.rows and len(parts) > length:
                if self.get(collection, parts[length]) is None:
                    return None
                break
        return self.lists.get(path, [])

    def member_ids(self, group_id: str) -> list[str]:
        """Return the ids of a group's members."""
        return self.members.get(group_id, [])

    def get(self, collection: str, object_id: str) -> Row | None:
        """Return the object as it is now."""
        return find(self.rows[collection], object_id)

    def by_login(self, login: str) -> Row | None:
        """Return the user of a login or of an unambiguous short name (what stands before the @)."""
        users = self.rows["users"]
        every = (users[index] for index in range(len(users)))
        wanted = login.casefold()
        short: list[Row] = []
        for row in every:
            name = str(row["profile"]["login"]).casefold()
            if name == wanted:
                return row
            if name.partition("@")[0] == wanted:
                short.append(row)
        return short[0] if len(short) == 1 else None

    def stats(self, group_id: str) -> Row:
        """Return what ``expand=stats`` embeds in a group."""
        apps = self.lists.get(f"groups/{group_id}/apps", [])
        return {
            "usersCount": len(self.member_ids(group_id)),
            "appsCount": len(apps),
            "groupPushMappingsCount": 0,
            "hasAdminPrivilege": bool(self.lists.get(f"groups/{group_id}/roles")),
        }

    def _users(self, ids: Iterable[str]) -> list[Row]:
        return [row for each in ids if (row := self.get("users", each)) is not None]

    def _groups_of(self, user_id: str) -> list[Row]:
        groups = [self.get("groups", group) for group, ids in self.members.items() if user_id in ids]
        return [row for row in groups if row is not None]

    def _touch(self, user_id: str) -> None:
        if self.search_lag <= 0:
            self._see(user_id)
        else:
            due = inf if self.search_lag == inf else monotonic() + self.search_lag
            self._pending.append((due, user_id))

    def _see(self, user_id: str) -> None:
        assert isinstance(self._index, Listed)
        row = self.get("users", user_id)
        if row is None:
            self._index.drop(user_id)
        else:
            self._index.put(row)

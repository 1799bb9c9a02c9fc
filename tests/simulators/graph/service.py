"""The resources of Graph v1.0 that a reader of identities asks for, each with its documented quirks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from tests.simulators.graph.answers import Answer, Call, GraphError, Json, bad, missing
from tests.simulators.graph.listing import Kind, Lag, Lister, typed
from tests.simulators.graph.odata import options
from tests.simulators.graph.permissions import require
from tests.simulators.graph.tenant import P2, TYPES, Directory, ListRows, Rows, closure
from tests.simulators.http_injection import Listing

Result = Answer | tuple[Answer, Listing]
MIXED = Kind("directoryObject")
_PAGED = {path: Kind(kind) for path, kind in TYPES.items()} | {
    "directoryRoles": Kind("directoryRole", most=None, countable=False),
    "oauth2PermissionGrants": Kind("oAuth2PermissionGrant"),
    "subscribedSkus": Kind("subscribedSku", most=None, countable=False),
    "roleManagement/directory/roleDefinitions": Kind("unifiedRoleDefinition", most=None, countable=False),
    "roleManagement/directory/roleAssignments": Kind("unifiedRoleAssignment", countable=False, clamps=True),
    "reports/authenticationMethods/userRegistrationDetails": Kind(
        "userRegistrationDetails", countable=False, clamps=True
    ),
    "auditLogs/directoryAudits": Kind("directoryAudit", 1000, 1000, countable=False),
    "auditLogs/signIns": Kind("signIn", 1000, 1000, countable=False),
}
_PIM = {
    "roleManagement/directory/roleAssignmentSchedules": Kind(
        "unifiedRoleAssignmentSchedule", countable=False, clamps=True
    ),
    "roleManagement/directory/roleEligibilitySchedules": Kind(
        "unifiedRoleEligibilitySchedule", countable=False, clamps=True
    ),
    "roleManagement/directory/roleAssignmentScheduleInstances": Kind(
        "unifiedRoleAssignmentScheduleInstance", countable=False, clamps=True
    ),
    "roleManagement/directory/roleEligibilityScheduleInstances": Kind(
        "unifiedRoleEligibilityScheduleInstance", countable=False, clamps=True
    ),
}
_PIM_GROUPS = {
    f"identityGovernance/privilegedAccess/group/{a}Schedule{end}": Kind(
        f"privilegedAccessGroup{a.capitalize()}Schedule{end.removesuffix('s')}", countable=False, clamps=True
    )
    for a in ("assignment", "eligibility")
    for end in ("s", "Instances")
}
_PREMIUM = {"auditLogs/signIns", "reports/authenticationMethods/userRegistrationDetails"}
_ASSIGNMENTS = Kind("appRoleAssignment")
_KEY_FORM = re.compile(r"\(('(?P<id>[^']*)'|(?P<name>\w+)='(?P<value>[^']*)')\)")


@dataclass
class Service:
    """Answers calls for one tenant."""

    tenant: Directory
    origin: str = ""
    service_principal_members: bool = False
    """Whether v1.0 lists service principals among a group's members; the known issue says that it does not."""
    lag: Lag = field(default_factory=Lag)
    _lister: Lister = field(init=False)

    def __post_init__(self) -> None:
        self._lister = Lister(self.tenant, lag=self.lag)

    @property
    def lister(self) -> Lister:
        """What lists the collections."""
        self._lister.origin = self.origin
        return self._lister

    def answer(self, call: Call) -> Result:
        """Answer a call; raises ``GraphError``."""
        path = _KEY_FORM.sub(
            lambda m: f"/{m['id']}" if m["id"] is not None else f"/{m['name']}={m['value']}", call.path
        )
        if call.method == "POST":
            return self._post(call, path)
        if call.method != "GET":
            raise GraphError(405, "Request_BadRequest", "Specified HTTP method is not allowed for the request target.")
        require(path, call.roles)
        for known in (_PAGED, _PIM, _PIM_GROUPS):
            if path in known:
                self._licensed(call, path)
                return self._collection(call, path, known[path])
            if path.removesuffix("/$count") in known:
                name = path.removesuffix("/$count")
                return self.lister.counted(call, self.tenant.rows(name), known[name])
        for pattern, handler in _ROUTES:
            found = pattern.fullmatch(path)
            if found is not None:
                return handler(self, call, *found.groups())
        raise GraphError(400, "BadRequest", f"Resource not found for the segment '{path.rsplit('/', 1)[-1]}'.")

    def _collection(self, call: Call, path: str, kind: Kind) -> Result:
        asked = options(call.query)
        if path in _PIM_GROUPS:
            equals = re.findall(r"(groupId|principalId)\s+eq", asked.filter or "")
            if not equals:
                bad("The request must be filtered by groupId or principalId.", "InvalidFilter")
        rows: Rows = self.tenant.rows(path)
        if path.startswith("auditLogs/") and asked.order is None:
            # The newest first, as the portal shows them, whatever order they were written in.
            when = "activityDateTime" if path.endswith("Audits") else "createdDateTime"
            if not getattr(rows, "newest_first", ""):
                rows = ListRows(sorted(rows.window(0, len(rows)), key=lambda row: row[when], reverse=True))
        if path == "subscribedSkus":
            rows = ListRows(self.tenant.skus)
        return self.lister.page(call, rows, kind)

    def _licensed(self, call: Call, path: str) -> None:
        if path in _PIM or path in _PIM_GROUPS:
            if P2 not in self.tenant.licences:
                bad(
                    "The tenant needs to have Microsoft Entra ID P2 or Microsoft Entra ID Governance license.",
                    "AadPremiumLicenseRequired",
                )
        elif path in _PREMIUM:
            self.lister.check_premium(call)

    # One object.

    def object(self, call: Call, collection: str, name: str) -> Result:
        kind = TYPES[collection]
        row = self._row(collection, name)
        asked = options(call.query)
        self.lister.check_sign_in_activity(call, asked, Kind(kind))
        if "signInActivity" in asked.select and row["id"] != name:
            bad("signInActivity can only be asked for with the user's id.")
        shown = self.lister.view(call, row, Kind(kind), asked)
        return Answer(200, {"@odata.context": f"{self.origin}/{call.version}/$metadata#{collection}/$entity", **shown})

    def _row(self, collection: str, name: str) -> Json:
        rows = self.tenant.rows(collection)
        if "=" in name and collection in {"servicePrincipals", "applications"}:
            column, _, value = name.partition("=")
            held = self.tenant.related(collection, column, value).window(0, 1)
            row = held[0] if held else None
        else:
            row = rows.find(name)
        if row is None:
            missing(name)
        return row

    def row_of(self, call: Call, path: str, name: str) -> Result:
        row = self.tenant.rows(path).find(name)
        if row is None:
            missing(name)
        kind = {**_PAGED, **_PIM, **_PIM_GROUPS}[path]
        self._licensed(call, path)
        return Answer(200, self.lister.view(call, row, kind, options(call.query)))

    def directory_object(self, call: Call, name: str) -> Result:
        found = self.tenant.find(name)
        if found is None:
            missing(name)
        return Answer(200, self.lister.view(call, typed(found), MIXED, options(call.query)))

    # What is linked to an object.

    def members(self, call: Call, collection: str, name: str, *rest: str | None) -> Result:
        link, cast_to, counted = str(rest[0]), rest[1], rest[2]
        row = self._row(collection, name)
        ids: Sequence[str]
        if link.startswith("transitive"):
            ids = list(closure(self.tenant, link[len("transitive")].lower() + link[len("transitive") + 1 :], row["id"]))
        else:
            ids = self.tenant.linked(link, row["id"])
        kind = MIXED if cast_to is None else Kind(cast_to)
        if cast_to and link.startswith("transitive") and not (call.eventual and (counted or options(call.query).count)):
            bad(
                "A cast of transitive links needs the header ConsistencyLevel: eventual and $count=true.",
                "Request_UnsupportedQuery",
            )
        hidden = link.lower().endswith("members") and collection == "groups" and call.version == "v1.0"
        rows = _Linked(self.tenant, ids, cast_to, hidden=hidden and not self.service_principal_members)
        if counted:
            return self.lister.counted(call, rows, kind)
        return self.lister.page(call, rows, kind)

    def manager(self, call: Call, name: str) -> Result:
        row = self._row("users", name)
        held = self.tenant.linked("manager", row["id"])
        if not held:
            missing("manager")
        return self.directory_object(call, held[0])

    def assignments(self, call: Call, collection: str, name: str, link: str) -> Result:
        row = self._row(collection, name)
        column = "resourceId" if link == "appRoleAssignedTo" else "principalId"
        return self.lister.page(call, self.tenant.related("appRoleAssignments", column, row["id"]), _ASSIGNMENTS)

    def grants(self, call: Call, collection: str, name: str) -> Result:
        row = self._row(collection, name)
        column = "principalId" if collection == "users" else "clientId"
        rows = self.tenant.related("oauth2PermissionGrants", column, row["id"])
        return self.lister.page(call, rows, _PAGED["oauth2PermissionGrants"])

    def methods(self, call: Call, name: str) -> Result:
        row = self._row("users", name)
        held = [dict(method) for method in self.tenant.methods(row["id"])]
        context = f"{self.origin}/{call.version}/$metadata#users('{row['id']}')/authentication/methods"
        return Answer(200, {"@odata.context": context}), Listing(held, None)

    # What was deleted.

    def deleted(self, call: Call, kind: str, counted: str | None) -> Result:
        rows = self.tenant.deleted(kind)
        if counted:
            return self.lister.counted(call, rows, Kind(kind))
        return self.lister.page(call, rows, Kind(kind), deleted=True)

    def deleted_item(self, call: Call, name: str) -> Result:
        asked = options(call.query)
        found = (
            (kind, self.tenant.deleted(kind).find(name))
            for kind in ("user", "group", "application", "servicePrincipal")
        )
        held = [(kind, row) for kind, row in found if row is not None and row["id"] == name]
        if not held:
            missing(name)
        kind, row = held[0]
        shown = self.lister.view(call, row, Kind(kind), asked, deleted=True)
        return Answer(200, {"@odata.type": f"#microsoft.graph.{kind}", **shown})

    def delta(self, call: Call, collection: str) -> Result:
        kind = TYPES[collection]
        asked = options(call.query)
        held = self.tenant.rows(collection)
        size = re.search(r"odata\.maxpagesize=(\d+)", call.headers.get("prefer", ""))
        paging = Kind(kind, default=int(size[1]) if size else 200, countable=False, clamps=True)
        removed = (
            []
            if asked.delta_token != "changes"
            else [
                {"id": row["id"], "@removed": {"reason": "changed"}}
                for row in self.tenant.deleted(kind).window(0, 1_000_000)
            ]
        )
        if asked.delta_token == "changes":
            listing = Listing(cast("list[object]", removed), None)
            content: Json = {"@odata.context": f"{self.origin}/v1.0/$metadata#{collection}"}
        else:
            answer, listing = self.lister.page(call, held, paging)
            content = answer.content
        if listing.next is None:
            content["@odata.deltaLink"] = f"{self.origin}/{call.version}/{collection}/delta?$deltatoken=changes"
        return Answer(200, content), listing

    def organization(self, call: Call) -> Result:
        del call
        row = {
            "id": self.tenant.tenant_id,
            "displayName": "Contoso",
            "verifiedDomains": [{"name": self.tenant.domain, "isDefault": True, "isInitial": True, "type": "Managed"}],
        }
        return Answer(200, {"@odata.context": f"{self.origin}/v1.0/$metadata#organization"}), Listing([row], None)

    def domains(self, call: Call) -> Result:
        del call
        row = {"id": self.tenant.domain, "isDefault": True, "isInitial": True, "isVerified": True}
        return Answer(200, {"@odata.context": f"{self.origin}/v1.0/$metadata#domains"}), Listing([row], None)

    def _post(self, call: Call, path: str) -> Result:
        if path != "directoryObjects/getByIds":
            raise GraphError(405, "Request_BadRequest", "This simulator is read-only.")
        require(path, call.roles)
        asked = json.loads(call.body or b"{}")
        ids = asked.get("ids", [])
        if len(ids) > 1000:
            bad("The number of ids must not exceed 1000.")
        found = [self.tenant.find(each) for each in ids]
        wanted = asked.get("types")
        rows = [typed(each) for each in found if each is not None and (wanted is None or each[0] in wanted)]
        views = [self.lister.view(call, row, MIXED, options(call.query)) for row in rows]
        return Answer(200, {"@odata.context": f"{self.origin}/v1.0/$metadata#directoryObjects"}), Listing(
            cast("list[object]", views), None
        )


class _Linked:
    """The objects behind ids, looked up as they are read."""

    def __init__(self, tenant: Directory, ids: Sequence[str], cast_to: str | None, *, hidden: bool) -> None:
        self.tenant, self.ids = tenant, ids
        if cast_to is not None or hidden:
            found = ((each, tenant.find(each)) for each in ids)
            self.ids = [
                each
                for each, held in found
                if held is not None
                and (cast_to is None or held[0] == cast_to)
                and not (hidden and cast_to is None and held[0] == "servicePrincipal")
            ]

    def __len__(self) -> int:
        return len(self.ids)

    def window(self, start: int, count: int) -> Sequence[Json]:
        found = (self.tenant.find(each) for each in self.ids[start : start + count])
        return [typed(each) for each in found if each is not None]

    def find(self, name: str) -> Json | None:
        found = self.tenant.find(name) if name in self.ids else None
        return None if found is None else typed(found)


_Handler = Callable[..., Result]
_OBJECTS = "|".join(TYPES)
_LINKS = "members|transitiveMembers|owners|memberOf|transitiveMemberOf"
_ROWS = (
    "reports/authenticationMethods/userRegistrationDetails|auditLogs/\\w+|roleManagement/directory/\\w+|"
    "identityGovernance/privilegedAccess/group/\\w+|oauth2PermissionGrants"
)
_ROUTES: tuple[tuple[re.Pattern[str], _Handler], ...] = tuple(
    (re.compile(pattern), handler)
    for pattern, handler in (
        (r"(users|groups)/delta(?:\(\))?", Service.delta),
        (rf"({_OBJECTS})/([^/]+)", Service.object),
        (rf"({_OBJECTS})/([^/]+)/({_LINKS})(?:/microsoft\.graph\.(\w+))?(/\$count)?", Service.members),
        (r"users/([^/]+)/manager", Service.manager),
        (r"(users|groups|servicePrincipals)/([^/]+)/(appRoleAssignments|appRoleAssignedTo)", Service.assignments),
        (r"(users|servicePrincipals)/([^/]+)/oauth2PermissionGrants", Service.grants),
        (r"users/([^/]+)/authentication/methods", Service.methods),
        (r"directory/deletedItems/microsoft\.graph\.(\w+)(/\$count)?", Service.deleted),
        (r"directory/deletedItems/([^/]+)", Service.deleted_item),
        (r"directoryObjects/([^/]+)", Service.directory_object),
        (r"organization", Service.organization),
        (r"domains", Service.domains),
        (rf"({_ROWS})/([^/]+)", Service.row_of),
    )
)

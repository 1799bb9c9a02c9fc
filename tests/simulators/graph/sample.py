"""A small company in Entra, with one of every kind of object and the near misses beside them."""

from __future__ import annotations

from collections.abc import Iterable

from tests.simulators.graph import objects as make
from tests.simulators.graph.answers import Json
from tests.simulators.graph.tenant import P1, P2, Tenant

GLOBAL_ADMINISTRATOR = "62e90394-69f5-4237-9190-012177145e10"
GLOBAL_READER = "f2ef992c-3afb-46b9-b7cf-a126ee74c451"
USER_ADMINISTRATOR = "fe930be7-5e62-47db-91af-98c3a49a38b1"
CUSTOM_ROLE = "0c0ffee0-0000-4000-8000-000000000001"
ROLES, PIM_GROUPS = "roleManagement/directory", "identityGovernance/privilegedAccess/group"

ANNA, BEN, CARLA, DAVID, EVA, FELIX, GRETA, HUGO, IDA, BREAKGLASS, ROOM = (make.guid("user", n) for n in range(1, 12))
STAFF, FINANCE, DYNAMIC, ADMINS, SYNCED, TEAM, LOOP, EMPTY, PRIVILEGED = (make.guid("group", n) for n in range(1, 10))
PAYROLL, GRAPH, DEPLOYER, MACHINE = (make.guid("servicePrincipal", n) for n in range(1, 5))


def sample(licences: Iterable[str] = (P1, P2)) -> Tenant:
    """Make the company."""
    tenant = Tenant(licences=frozenset(licences))
    _people(tenant)
    _groups(tenant)
    _apps(tenant)
    _roles(tenant)
    _traces(tenant)
    sku = {"accountName": "contoso", "appliesTo": "User", "capabilityStatus": "Enabled", "consumedUnits": 9}
    plans = [{"servicePlanName": f"AAD_PREMIUM{'' if each == P1 else '_P2'}", "provisioningStatus": "Success",
              "appliesTo": "User"} for each in sorted(tenant.licences)]  # fmt: skip
    tenant.skus.append({"id": "sku", **sku, "skuId": "sku", "skuPartNumber": "EMS", "servicePlans": plans})
    return tenant


def _people(tenant: Tenant) -> None:
    recent = make.signed_in("2026-11-19T07:00:00Z", "2026-11-20T06:00:00Z", "2026-11-19T07:00:00Z")
    synced: Json = {
        "onPremisesSyncEnabled": True,
        "onPremisesImmutableId": "AAECAwQFBgc=",
        "onPremisesSamAccountName": "ben",
        "onPremisesDomainName": "corp.contoso.test",
        "onPremisesDistinguishedName": "CN=Ben,OU=Staff,DC=corp,DC=contoso,DC=test",
        "onPremisesSecurityIdentifier": "S-1-5-21-1-2-3-1104",
        "onPremisesLastSyncDateTime": "2026-11-20T22:00:00Z",
    }
    tenant.add(
        "users",
        make.user(1, "anna", "Anna Arnold", employeeId="E-001", department="IT", companyName="Contoso",
                  jobTitle="Engineer", signInActivity=recent,
                  proxyAddresses=["SMTP:anna@contoso.onmicrosoft.com", "smtp:a.arnold@contoso.example"]),
        make.user(2, "ben", "Ben Berg", employeeId="E-002", signInActivity=recent, **synced),
        make.user(3, "carla", "Carla Conti", employeeId="E-003", accountEnabled=False),
        make.guest(4, "david@partner.example", "David Dunn", signInActivity=recent),
        make.guest(5, "eva@supplier.example", "Eva Egger", externalUserState="PendingAcceptance"),
        # A guest by userType whose account is at home here, and a member who came from elsewhere.
        make.user(6, "felix", "Felix Frei", userType="Guest", signInActivity=make.signed_in(None, None)),
        make.guest(7, "greta@sister.example", "Greta Graf", userType="Member"),
        # Null userType: accounts older than the property.
        make.user(8, "hugo", "Hugo O'Hara", userType=None, otherMails=["hugo+home@mail.example"]),
        make.user(9, "ida", "Ida Imhof", lastPasswordChangeDateTime=None, mail=None, proxyAddresses=[],
                  signInActivity=make.signed_in("2024-01-05T08:00:00Z", None, None)),
        make.user(10, "breakglass", "Break Glass", passwordPolicies="DisablePasswordExpiration"),
        make.user(11, "room1", "Room One", accountEnabled=False, isResourceAccount=True),
    )  # fmt: skip
    gone = make.user(12, "ingo", "Ingo Inderbitzin", employeeId="E-012", accountEnabled=False)
    tenant.add("users", gone)
    tenant.soft_delete("users", gone["id"], "2026-11-10T10:00:00Z")
    # Deletion puts the id before the name of those deleted, so that the name can be used again.
    deleted = tenant.deleted_items["user"][0]
    deleted["userPrincipalName"] = gone["id"].replace("-", "") + gone["userPrincipalName"]
    tenant.link("manager", BEN, ANNA)
    tenant.link("manager", CARLA, ANNA)
    tenant.authentication = {
        ANNA: [make.method("password", 1), make.method("microsoftAuthenticator", 2, displayName="Phone"),
               make.method("fido2", 3, displayName="Key", model="NFC key", attestationLevel="attested")],
        BEN: [make.method("password", 4), make.method("phone", 5, phoneType="mobile", phoneNumber="+41 791234567")],
        IDA: [make.method("password", 6), make.method("temporaryAccessPass", 7, isUsable=True, lifetimeInMinutes=60,
                                                      startDateTime="2026-11-20T06:00:00Z")],
    }  # fmt: skip


def _groups(tenant: Tenant) -> None:
    rule = 'user.department -eq "IT"'
    tenant.add(
        "groups",
        make.group(1, "Staff"),
        make.group(2, "Finance", description="Reads the ledger"),
        make.group(3, "IT dynamic", groupTypes=["DynamicMembership"], membershipRule=rule,
                   membershipRuleProcessingState="On"),
        make.group(4, "Tier 0", isAssignableToRole=True, visibility="Private"),
        make.group(5, "Synced", onPremisesSyncEnabled=True, onPremisesSamAccountName="synced",
                   onPremisesSecurityIdentifier="S-1-5-21-1-2-3-2001", onPremisesDomainName="corp.contoso.test"),
        make.group(6, "Team", groupTypes=["Unified"], mailEnabled=True, mail="team@contoso.onmicrosoft.com",
                   securityEnabled=False, visibility="Public"),
        make.group(7, "Loop"),
        make.group(8, "Empty"),
        make.group(9, "Privileged access"),
    )  # fmt: skip
    tenant.link("members", STAFF, ANNA, BEN, CARLA, DAVID, FINANCE)
    tenant.link("members", FINANCE, EVA, LOOP, DEPLOYER)
    tenant.link("members", LOOP, GRETA, FINANCE)  # a cycle
    tenant.link("members", DYNAMIC, ANNA)
    tenant.link("members", ADMINS, BREAKGLASS)
    tenant.link("members", SYNCED, BEN)
    tenant.link("members", TEAM, ANNA, HUGO)
    tenant.link("owners", FINANCE, ANNA)
    tenant.link("owners", TEAM, HUGO)
    tenant.deleted_items["group"] = [make.group(10, "Old project", deletedDateTime="2026-11-01T08:00:00Z")]


def _apps(tenant: Tenant) -> None:
    payroll_roles = [make.app_role(1, "Payroll.Read"), make.app_role(2, "Payroll.Admin"),
                     make.app_role(3, "Payroll.Old", enabled=False)]  # fmt: skip
    graph_roles = [make.app_role(4, "User.Read.All", kinds=("Application",))]
    secrets = [make.password_credential(1, "2027-01-01T00:00:00Z"), make.password_credential(2, "2025-01-01T00:00:00Z"),
               make.password_credential(3, "2299-12-31T00:00:00Z", displayName=None, hint=None)]  # fmt: skip
    payroll = make.service_principal(1, "Payroll", appRoles=payroll_roles, appRoleAssignmentRequired=True,
                                     appOwnerOrganizationId=tenant.tenant_id)  # fmt: skip
    graph = make.service_principal(2, "Microsoft Graph", appId="00000003-0000-0000-c000-000000000000",
                                   appRoles=graph_roles, tags=[],
                                   appOwnerOrganizationId="f8cdef31-a31e-4b4a-93e4-5f571e91255a")  # fmt: skip
    deployer = make.service_principal(3, "Deployer", appOwnerOrganizationId=tenant.tenant_id,
                                      keyCredentials=[make.key_credential(4, "2027-06-01T00:00:00Z")])  # fmt: skip
    machine = make.service_principal(4, "vm-01", servicePrincipalType="ManagedIdentity", tags=[],
                                     alternativeNames=["isExplicit=True", "/subscriptions/s/vm-01"])  # fmt: skip
    disabled = make.service_principal(5, "Old tool", accountEnabled=False)
    tenant.add("servicePrincipals", payroll, graph, deployer, machine, disabled)
    tenant.add(
        "applications",
        make.application(1, "Payroll", appRoles=payroll_roles, passwordCredentials=secrets),
        make.application(3, "Deployer", keyCredentials=[make.key_credential(4, "2027-06-01T00:00:00Z")]),
        make.application(6, "Registered only"),  # no service principal: nothing can sign in by it here
    )
    tenant.link("owners", make.guid("application", 1), ANNA)
    tenant.link("owners", PAYROLL, ANNA)
    users = {row["id"]: row for row in tenant.collections["users"]}
    groups = {row["id"]: row for row in tenant.collections["groups"]}
    assign = make.app_role_assignment
    tenant.add(
        "appRoleAssignments",
        assign(1, users[ANNA], "User", payroll, make.guid("role", 2)),
        assign(2, users[BEN], "User", payroll),
        assign(3, groups[FINANCE], "Group", payroll, make.guid("role", 1)),
        assign(4, deployer, "ServicePrincipal", graph, make.guid("role", 4)),
    )
    tenant.add(
        "oauth2PermissionGrants",
        make.permission_grant(1, payroll, graph, " User.Read openid profile"),
        make.permission_grant(2, deployer, graph, "Directory.AccessAsUser.All", ANNA),
    )


def _roles(tenant: Tenant) -> None:
    tenant.add(
        f"{ROLES}/roleDefinitions",
        make.role_definition(GLOBAL_ADMINISTRATOR, "Global Administrator"),
        make.role_definition(GLOBAL_READER, "Global Reader"),
        make.role_definition(USER_ADMINISTRATOR, "User Administrator"),
        make.role_definition(CUSTOM_ROLE, "Helpdesk of Basel", built_in=False),
    )
    unit = f"/administrativeUnits/{make.guid('other', 99)}"
    permanent = make.role_schedule(1, BREAKGLASS, GLOBAL_ADMINISTRATOR, assignment="Assigned")
    active = make.role_schedule(
        2, ANNA, USER_ADMINISTRATOR, assignment="Activated", ends="2026-11-21T16:00:00Z", scope="/"
    )
    by_group = make.role_schedule(3, ADMINS, GLOBAL_READER, assignment="Assigned")
    scoped = make.role_schedule(4, HUGO, CUSTOM_ROLE, assignment="Assigned", ends="2027-01-31T23:00:00Z", scope=unit)
    eligible = make.role_schedule(5, ANNA, USER_ADMINISTRATOR)
    ending = make.role_schedule(6, CARLA, GLOBAL_READER, ends="2026-12-24T00:00:00Z")
    assigned = [permanent, active, by_group, scoped]
    rows: list[Json] = [
        make.role_assignment(number, each["principalId"], each["roleDefinitionId"], each["directoryScopeId"])
        for number, each in enumerate([*assigned, make.role_schedule(7, MACHINE, GLOBAL_READER)], 1)
    ]
    tenant.add(f"{ROLES}/roleAssignments", *rows)
    tenant.add(f"{ROLES}/roleAssignmentSchedules", *assigned)
    instances = [make.role_instance(each, row["id"]) for each, row in zip(assigned, rows, strict=False)]
    tenant.add(f"{ROLES}/roleAssignmentScheduleInstances", *instances)
    tenant.add(f"{ROLES}/roleEligibilitySchedules", eligible, ending)
    tenant.add(f"{ROLES}/roleEligibilityScheduleInstances", *map(make.role_instance, (eligible, ending)))
    for number, (template, name) in enumerate(
        ((GLOBAL_ADMINISTRATOR, "Global Administrator"), (GLOBAL_READER, "Global Reader"),
         (USER_ADMINISTRATOR, "User Administrator")), 200,
    ):  # fmt: skip
        role: Json = {"id": make.guid("role", number), "deletedDateTime": None, "displayName": name,
                "description": name, "roleTemplateId": template}  # fmt: skip
        tenant.add("directoryRoles", role)
        holders: list[str] = [row["principalId"] for row in rows if row["roleDefinitionId"] == template]
        tenant.link("members", role["id"], *holders)
    mine = make.group_schedule(BEN, PRIVILEGED)
    owning = make.group_schedule(ANNA, PRIVILEGED, access="owner", ends="2027-01-01T00:00:00Z")
    now = make.group_schedule(HUGO, PRIVILEGED, assignment="activated", ends="2026-11-21T18:00:00Z")
    tenant.link("members", PRIVILEGED, HUGO)
    tenant.add(f"{PIM_GROUPS}/eligibilitySchedules", mine, owning)
    tenant.add(f"{PIM_GROUPS}/eligibilityScheduleInstances", *map(make.group_instance, (mine, owning)))
    tenant.add(f"{PIM_GROUPS}/assignmentSchedules", now)
    tenant.add(f"{PIM_GROUPS}/assignmentScheduleInstances", make.group_instance(now))


def _traces(tenant: Tenant) -> None:
    users = {row["id"]: row for row in tenant.collections["users"]}
    groups = {row["id"]: row for row in tenant.collections["groups"]}
    anna, ben, carla = users[ANNA], users[BEN], users[CARLA]
    tenant.add(
        "reports/authenticationMethods/userRegistrationDetails",
        make.registration(anna, "microsoftAuthenticatorPush", "fido2SecurityKey", admin=True),
        make.registration(ben, "mobilePhone"),
        make.registration(carla),
        make.registration(users[IDA], "email"),
    )
    tenant.add(
        "auditLogs/directoryAudits",
        make.audit(1, "2026-11-01T09:00:00.1234567Z", "Add user", anna, make.target(carla, "User")),
        make.audit(2, "2026-11-02T09:00:00Z", "Add member to group", anna,
                   make.target(ben, "User", Group_ObjectID=STAFF, Group_DisplayName="Staff"),
                   make.target(groups[STAFF], "Group"), category="GroupManagement"),
        make.audit(3, "2026-11-18T17:30:00.5Z", "Disable account", None, make.target(carla, "User")),
        make.audit(4, "2026-11-19T08:00:00Z", "Add member to role", anna, make.target(ben, "User"),
                   category="RoleManagement", result="failure", resultReason="Insufficient privileges"),
        make.audit(5, "2026-11-20T08:00:00Z", "Add member to role completed (PIM activation)", anna,
                   make.target(anna, "User"), loggedByService="PIM", category="RoleManagement"),
    )  # fmt: skip
    tenant.add(
        "auditLogs/signIns",
        make.sign_in(1, "2026-11-18T07:00:00Z", anna),
        make.sign_in(2, "2026-11-19T07:00:00Z", ben, error=50126),
        make.sign_in(3, "2026-11-20T06:00:00Z", anna, interactive=False),
    )

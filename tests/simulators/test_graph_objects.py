"""The simulated resources beside plain listings: links between objects, deletions, roles, reports, permissions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulators.graph import objects as make
from tests.simulators.graph import sample as company
from tests.simulators.graph.raw_client import EVENTUAL, RawClient, asking
from tests.simulators.graph.sample import (
    ADMINS,
    ANNA,
    BEN,
    BREAKGLASS,
    CARLA,
    DAVID,
    DEPLOYER,
    EVA,
    FINANCE,
    GRAPH,
    GRETA,
    HUGO,
    IDA,
    LOOP,
    PAYROLL,
    PIM_GROUPS,
    PRIVILEGED,
    ROLES,
    STAFF,
    sample,
)
from tests.simulators.graph.server import GraphSimulator
from tests.simulators.graph.tenant import P1
from tests.simulators.graph.vocabulary import properties

INGO = make.guid("user", 12)


@pytest.fixture
def client() -> Iterator[RawClient]:
    with asking(GraphSimulator(sample())) as asked:
        yield asked


def kinds(rows: list[dict[str, str]]) -> dict[str, str]:
    return {row["id"]: row["@odata.type"] for row in rows}


def test_members_are_of_several_types_and_say_so(client: RawClient) -> None:
    found = kinds(client.value(f"groups/{STAFF}/members?$select=id,accountEnabled"))
    assert found[DAVID] == "#microsoft.graph.user"
    assert found[FINANCE] == "#microsoft.graph.group"
    rows = {row["id"]: row for row in client.value(f"groups/{STAFF}/members?$select=id,accountEnabled")}
    assert rows[CARLA]["accountEnabled"] is False
    assert "accountEnabled" not in rows[FINANCE]  # groups have no such property


def test_service_principals_are_missing_among_members_as_the_known_issue_says(client: RawClient) -> None:
    assert DEPLOYER not in client.ids(f"groups/{FINANCE}/members?$select=id")
    assert client.get(f"groups/{FINANCE}/members/$count", EVENTUAL).text == "2"
    beta = f"{client.graph.url}/beta/groups/{FINANCE}/members?$select=id"
    assert DEPLOYER in client.ids(beta)
    assert client.ids(f"servicePrincipals/{DEPLOYER}/memberOf?$select=id") == [FINANCE]
    expanded = client.get(f"groups/{FINANCE}?$expand=members($select=id)").json()["members"]
    assert DEPLOYER in {row["id"] for row in expanded}


def test_the_known_issue_can_be_taken_for_solved() -> None:
    with asking(GraphSimulator(sample(), service_principal_members=True)) as client:
        assert DEPLOYER in client.ids(f"groups/{FINANCE}/members?$select=id")


def test_transitive_members_go_through_cycles_once(client: RawClient) -> None:
    found = client.ids(f"groups/{STAFF}/transitiveMembers?$select=id")
    assert sorted(found) == sorted({ANNA, BEN, CARLA, DAVID, FINANCE, EVA, LOOP, GRETA})


def test_a_cast_leaves_one_type_without_saying_so_on_each(client: RawClient) -> None:
    rows = client.value(f"groups/{STAFF}/members/microsoft.graph.group?$select=id")
    assert rows == [{"id": FINANCE}]
    assert client.get(f"groups/{STAFF}/members/microsoft.graph.user/$count", EVENTUAL).text == "4"


def test_memberships_of_a_user_reach_up(client: RawClient) -> None:
    assert set(client.ids(f"users/{EVA}/transitiveMemberOf?$select=id")) == {FINANCE, STAFF, LOOP}
    assert client.ids(f"users/{EVA}/memberOf?$select=id") == [FINANCE]
    found = kinds(client.value(f"users/{BREAKGLASS}/transitiveMemberOf"))
    assert set(found.values()) == {"#microsoft.graph.group", "#microsoft.graph.directoryRole"}


def test_a_cast_of_transitive_links_is_an_advanced_query(client: RawClient) -> None:
    path = f"users/{EVA}/transitiveMemberOf/microsoft.graph.group?$select=id"
    assert client.error(path) == (400, "Request_UnsupportedQuery")
    assert len(client.value(f"{path}&$count=true", EVENTUAL)) == 3


def test_owners(client: RawClient) -> None:
    assert client.ids(f"groups/{FINANCE}/owners?$select=id") == [ANNA]
    assert client.ids(f"applications/{make.guid('application', 1)}/owners?$select=id") == [ANNA]


def test_what_an_app_may_not_read_is_shown_by_type_and_id_only() -> None:
    with asking(GraphSimulator(sample(), roles={"GroupMember.Read.All"})) as client:
        rows = {row["id"]: row for row in client.value(f"groups/{STAFF}/members?$select=id,displayName")}
        assert rows[ANNA] == {"@odata.type": "#microsoft.graph.user", "id": ANNA, "displayName": None}
        assert rows[FINANCE]["displayName"] == "Finance"


def test_a_user_is_found_by_id_and_by_name(client: RawClient) -> None:
    by_id = client.get(f"users/{ANNA}?$select=id,userPrincipalName").json()
    assert by_id["userPrincipalName"] == "anna@contoso.onmicrosoft.com"
    assert client.get("users/ANNA@contoso.onmicrosoft.com").json()["id"] == ANNA
    assert client.get(f"users('{ANNA}')").json()["id"] == ANNA
    assert client.error(f"users/{make.guid('user', 999)}") == (404, "Request_ResourceNotFound")


def test_sign_in_activity_of_one_user_is_asked_for_by_id(client: RawClient) -> None:
    assert "signInActivity" in client.get(f"users/{ANNA}?$select=signInActivity").json()
    assert client.error("users/anna@contoso.onmicrosoft.com?$select=signInActivity")[0] == 400


def test_a_guest_has_a_name_with_ext_in_it_that_must_be_escaped(client: RawClient) -> None:
    rows = client.value(f"users?$filter=id eq '{DAVID}'&$select=id,userPrincipalName,userType,externalUserState")
    name = rows[0]["userPrincipalName"]
    assert name == "david_partner.example#EXT#@contoso.onmicrosoft.com"
    assert (rows[0]["userType"], rows[0]["externalUserState"]) == ("Guest", "Accepted")
    assert client.get(f"users/{name.replace('#', '%23')}?$select=id").json()["id"] == DAVID


def test_managers(client: RawClient) -> None:
    assert client.get(f"users/{BEN}/manager?$select=id").json()["id"] == ANNA
    assert client.error(f"users/{ANNA}/manager")[0] == 404


def test_a_deleted_user_is_only_among_the_deleted(client: RawClient) -> None:
    assert client.error(f"users/{INGO}")[0] == 404
    assert INGO not in client.ids("users?$select=id")
    listed = client.value("directory/deletedItems/microsoft.graph.user?$select=id,userPrincipalName,deletedDateTime")
    assert listed[0]["id"] == INGO
    assert listed[0]["userPrincipalName"].startswith(INGO.replace("-", "") + "ingo@")
    one = client.get(f"directory/deletedItems/{INGO}").json()
    assert (one["@odata.type"], one["deletedDateTime"]) == ("#microsoft.graph.user", "2026-11-10T10:00:00Z")
    assert client.error(f"directory/deletedItems/{ANNA}")[0] == 404
    assert len(client.value("directory/deletedItems/microsoft.graph.group?$select=id")) == 1


def test_what_is_purged_is_nowhere(client: RawClient) -> None:
    client.graph.tenant.purge("user", INGO)  # type: ignore[attr-defined] # the sample is an explicit tenant
    assert client.error(f"directory/deletedItems/{INGO}")[0] == 404


def test_app_role_assignments_from_both_ends(client: RawClient) -> None:
    assigned = client.value(f"servicePrincipals/{PAYROLL}/appRoleAssignedTo")
    assert {row["principalType"] for row in assigned} == {"User", "Group"}
    assert {row["id"] for row in client.value(f"users/{ANNA}/appRoleAssignments")} == {"assignment-1"}
    assert client.ids(f"groups/{FINANCE}/appRoleAssignments") == ["assignment-3"]
    assert client.ids(f"servicePrincipals/{DEPLOYER}/appRoleAssignments") == ["assignment-4"]


def test_a_service_principal_is_found_by_its_app_id(client: RawClient) -> None:
    path = "servicePrincipals(appId='00000003-0000-0000-c000-000000000000')"
    assert client.get(path).json()["id"] == GRAPH
    assert client.error("servicePrincipals(appId='nothing')")[0] == 404
    managed = client.value("servicePrincipals?$filter=servicePrincipalType eq 'ManagedIdentity'&$select=displayName")
    assert managed == [{"displayName": "vm-01"}]


def test_credentials_of_applications_have_ends_and_no_secrets(client: RawClient) -> None:
    rows = client.value("applications?$select=id,appId,passwordCredentials,keyCredentials")
    secrets = [each for row in rows for each in row["passwordCredentials"]]
    assert {each["secretText"] for each in secrets} == {None}
    assert "2025-01-01T00:00:00Z" in {each["endDateTime"] for each in secrets}
    assert [each["key"] for row in rows for each in row["keyCredentials"]] == [None]


def test_permission_grants_for_all_and_for_one(client: RawClient) -> None:
    rows = client.value("oauth2PermissionGrants")
    assert {(row["consentType"], row["principalId"]) for row in rows} == {("AllPrincipals", None), ("Principal", ANNA)}
    assert client.ids(f"users/{ANNA}/oauth2PermissionGrants") == ["grant-2"]
    assert client.get("oauth2PermissionGrants/grant-1").json()["scope"].startswith(" ")


def test_role_assignments_hold_what_is_active_and_not_what_is_eligible(client: RawClient) -> None:
    rows = client.value(f"{ROLES}/roleAssignments?$expand=principal")
    assert (ANNA, company.USER_ADMINISTRATOR) in {(row["principalId"], row["roleDefinitionId"]) for row in rows}
    assert CARLA not in {row["principalId"] for row in rows}
    assert {row["principal"]["@odata.type"] for row in rows} >= {"#microsoft.graph.user", "#microsoft.graph.group"}
    instances = client.value(f"{ROLES}/roleAssignmentScheduleInstances")
    assert {row["assignmentType"] for row in instances} == {"Assigned", "Activated"}
    eligible = client.value(f"{ROLES}/roleEligibilityScheduleInstances?$expand=roleDefinition")
    assert {row["principalId"] for row in eligible} == {ANNA, CARLA}
    assert {row["roleDefinition"]["displayName"] for row in eligible} == {"User Administrator", "Global Reader"}


def test_directory_roles_have_members(client: RawClient) -> None:
    roles = {row["displayName"]: row["id"] for row in client.value("directoryRoles")}
    assert client.ids(f"directoryRoles/{roles['Global Administrator']}/members?$select=id") == [BREAKGLASS]
    assert ADMINS in client.ids(f"directoryRoles/{roles['Global Reader']}/members?$select=id")


def test_pim_of_groups_wants_to_know_whose(client: RawClient) -> None:
    assert client.error(f"{PIM_GROUPS}/eligibilitySchedules")[0] == 400
    rows = client.value(f"{PIM_GROUPS}/eligibilitySchedules?$filter=groupId eq '{PRIVILEGED}'")
    assert {(row["principalId"], row["accessId"]) for row in rows} == {(BEN, "member"), (ANNA, "owner")}
    active = client.value(f"{PIM_GROUPS}/assignmentScheduleInstances?$filter=principalId eq '{HUGO}'")
    assert [row["assignmentType"] for row in active] == ["activated"]


def test_without_the_second_premium_licence_there_is_no_pim() -> None:
    with asking(GraphSimulator(sample([P1]))) as client:
        for path in (f"{ROLES}/roleEligibilitySchedules", f"{PIM_GROUPS}/assignmentSchedules?$filter=groupId eq 'x'"):
            assert client.error(path) == (400, "AadPremiumLicenseRequired")
        assert client.get(f"{ROLES}/roleAssignments").status_code == 200
        assert client.get("auditLogs/signIns").status_code == 200


def test_methods_of_a_user_are_typed_and_the_password_is_the_same_for_all(client: RawClient) -> None:
    rows = client.value(f"users/{ANNA}/authentication/methods")
    assert {row["@odata.type"].rpartition(".")[2] for row in rows} == {
        "passwordAuthenticationMethod",
        "microsoftAuthenticatorAuthenticationMethod",
        "fido2AuthenticationMethod",
    }
    assert rows[0]["id"] == client.value(f"users/{IDA}/authentication/methods")[0]["id"]
    assert client.value(f"users/{CARLA}/authentication/methods") == []
    assert client.error(f"users/{INGO}/authentication/methods")[0] == 404


def test_registrations_are_a_report_of_all(client: RawClient) -> None:
    path = "reports/authenticationMethods/userRegistrationDetails"
    rows = {row["id"]: row for row in client.value(path)}
    assert rows[ANNA]["isPasswordlessCapable"]
    assert not rows[IDA]["isMfaRegistered"]
    assert client.get(f"{path}/{BEN}").json()["methodsRegistered"] == ["mobilePhone"]
    assert client.error(f"{path}/{HUGO}")[0] == 404


def test_logs_are_filtered_by_time_and_come_newest_first(client: RawClient) -> None:
    since = "$filter=activityDateTime ge 2026-11-18T00:00:00Z"
    times = [row["activityDateTime"] for row in client.value(f"auditLogs/directoryAudits?{since}")]
    assert times == sorted(times, reverse=True)
    assert len(times) == 3
    between = f"{since} and activityDateTime lt 2026-11-19T00:00:00Z"
    assert len(client.value(f"auditLogs/directoryAudits?{between}")) == 1
    rising = [
        row["activityDateTime"] for row in client.value(f"auditLogs/directoryAudits?{since}&$orderby=activityDateTime")
    ]
    assert rising == times[::-1]
    assert [row["status"]["errorCode"] for row in client.value("auditLogs/signIns?$filter=status/errorCode ne 0")] == [
        50126
    ]
    assert client.get("auditLogs/signIns?$top=2").json()["@odata.nextLink"]


def test_several_ids_are_resolved_at_once(client: RawClient) -> None:
    url = f"{client.graph.url}/v1.0/directoryObjects/getByIds"
    header = {"Authorization": f"Bearer {client.token}"}
    asked = {"ids": [ANNA, FINANCE, make.guid("user", 999)], "types": ["user"]}
    assert [row["id"] for row in client.http.post(url, json=asked, headers=header).json()["value"]] == [ANNA]
    assert client.http.post(url, json={"ids": ["x"] * 1001}, headers=header).status_code == 400
    assert client.get(f"directoryObjects/{FINANCE}").json()["@odata.type"] == "#microsoft.graph.group"
    assert client.error("directoryObjects/nothing")[0] == 404


def test_organization_domains_and_licences(client: RawClient) -> None:
    assert client.value("organization")[0]["id"] == client.graph.tenant.tenant_id
    assert client.value("domains")[0]["id"] == "contoso.onmicrosoft.com"
    plans = client.value("subscribedSkus")[0]["servicePlans"]
    assert {plan["servicePlanName"] for plan in plans} == {"AAD_PREMIUM", "AAD_PREMIUM_P2"}


def test_it_cannot_be_written_to(client: RawClient) -> None:
    header = {"Authorization": f"Bearer {client.token}"}
    assert client.http.delete(f"{client.graph.url}/v1.0/users/{ANNA}", headers=header).status_code == 405
    assert client.http.post(f"{client.graph.url}/v1.0/users", json={}, headers=header).status_code == 405


NEEDED = [
    ("users", "User.Read.All", "Authorization_RequestDenied"),
    (f"users/{ANNA}/transitiveMemberOf", "GroupMember.Read.All", "Authorization_RequestDenied"),
    (f"users/{ANNA}/authentication/methods", "UserAuthenticationMethod.Read.All", "accessDenied"),
    ("groups", "GroupMember.Read.All", "Authorization_RequestDenied"),
    (f"groups/{STAFF}/members", "Group.Read.All", "Authorization_RequestDenied"),
    ("applications", "Application.Read.All", "Authorization_RequestDenied"),
    ("servicePrincipals", "Application.Read.All", "Authorization_RequestDenied"),
    (f"servicePrincipals/{PAYROLL}/appRoleAssignedTo", "Application.Read.All", "Authorization_RequestDenied"),
    ("oauth2PermissionGrants", "Directory.Read.All", "Authorization_RequestDenied"),
    ("directoryRoles", "RoleManagement.Read.Directory", "Authorization_RequestDenied"),
    ("directory/deletedItems/microsoft.graph.user", "User.Read.All", "Authorization_RequestDenied"),
    (f"{ROLES}/roleAssignments", "RoleManagement.Read.Directory", "Authorization_RequestDenied"),
    (f"{ROLES}/roleEligibilitySchedules", "RoleEligibilitySchedule.Read.Directory", "UnknownError"),
    (f"{PIM_GROUPS}/eligibilitySchedules?$filter=groupId eq 'x'", "PrivilegedEligibilitySchedule.Read.AzureADGroup",
     "UnknownError"),
    ("auditLogs/directoryAudits", "AuditLog.Read.All", "Authentication_MSGraphPermissionMissing"),
    ("auditLogs/signIns", "AuditLog.Read.All", "Authentication_MSGraphPermissionMissing"),
    ("reports/authenticationMethods/userRegistrationDetails", "AuditLog.Read.All",
     "Authentication_MSGraphPermissionMissing"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "permission", "code"), NEEDED, ids=lambda value: str(value)[:40])
def test_each_resource_opens_to_its_permission_alone(path: str, permission: str, code: str) -> None:
    with asking(GraphSimulator(sample(), roles={permission})) as client:
        assert client.get(path).status_code == 200
    with asking(GraphSimulator(sample(), roles={"Mail.Read"})) as client:
        assert client.error(path) == (403, code)


def test_unknown_resources_are_no_refusals(client: RawClient) -> None:
    assert client.error("shoes") == (400, "BadRequest")
    assert client.error("users/x/shoes") == (400, "BadRequest")


def test_the_sample_has_only_properties_that_the_vendors_metadata_knows() -> None:
    tenant = sample()
    unknown = {
        (path, name)
        for path, kind in {"users": "user", "groups": "group", "applications": "application"}.items()
        for row in tenant.rows(path).window(0, 100)
        for name in row
        if name not in properties(kind)
    }
    assert not unknown

"""Rows in the vendor's shape: what Graph v1.0 gives of each type when every property is selected."""

from __future__ import annotations

import uuid
from typing import Any

from tests.simulators.graph.answers import Json

NOBODY = "00000000-0000-0000-0000-000000000000"
_NAMES = "user group servicePrincipal application device assignment grant role schedule audit signIn key other"
_KINDS = {name: place for place, name in enumerate(_NAMES.split(" "), 1)}


def guid(kind: str, number: int) -> str:
    """Return the same id for the same kind and number, always."""
    return f"{_KINDS[kind]:08x}-0000-4000-8000-{number:012x}"


def number_of(name: str, kind: str) -> int | None:
    """Return the number in an id of that kind; None for every other text."""
    if len(name) != 36 or not name.startswith(f"{_KINDS[kind]:08x}-0000-4000-8000-"):
        return None
    try:
        return int(name[24:], 16)
    except ValueError:
        return None


def user(number: int, login: str, name: str, domain: str = "contoso.onmicrosoft.com", **given: Any) -> Json:
    """Make a member; ``login`` is the part before the @."""
    principal = f"{login}@{domain}"
    return {
        "id": guid("user", number),
        "deletedDateTime": None,
        "accountEnabled": True,
        "businessPhones": [],
        "companyName": None,
        "country": None,
        "createdDateTime": "2023-02-01T08:00:00Z",
        "creationType": None,
        "department": None,
        "displayName": name,
        "employeeHireDate": None,
        "employeeId": None,
        "employeeLeaveDateTime": None,
        "employeeType": None,
        "externalUserState": None,
        "externalUserStateChangeDateTime": None,
        "givenName": name.partition(" ")[0],
        "identities": [{"signInType": "userPrincipalName", "issuer": domain, "issuerAssignedId": principal}],
        "isResourceAccount": None,
        "jobTitle": None,
        "lastPasswordChangeDateTime": "2026-05-04T10:11:12Z",
        "mail": principal,
        "mailNickname": login,
        "mobilePhone": None,
        "officeLocation": None,
        "onPremisesDistinguishedName": None,
        "onPremisesDomainName": None,
        "onPremisesExtensionAttributes": {f"extensionAttribute{place}": None for place in range(1, 16)},
        "onPremisesImmutableId": None,
        "onPremisesLastSyncDateTime": None,
        "onPremisesSamAccountName": None,
        "onPremisesSecurityIdentifier": None,
        "onPremisesSyncEnabled": None,
        "onPremisesUserPrincipalName": None,
        "otherMails": [],
        "passwordPolicies": None,
        "preferredLanguage": None,
        "proxyAddresses": [f"SMTP:{principal}"],
        "securityIdentifier": f"S-1-12-1-{number}-1-2-3",
        "showInAddressList": None,
        "signInSessionsValidFromDateTime": "2026-05-04T10:11:12Z",
        "signInActivity": None,
        "surname": name.rpartition(" ")[2],
        "usageLocation": None,
        "userPrincipalName": principal,
        "userType": "Member",
        **given,
    }


def signed_in(interactive: str | None, silent: str | None = None, succeeded: str | None = None) -> Json:
    """Make a signInActivity; lastSignInDateTime counts failed attempts too, lastSuccessfulSignInDateTime does not."""
    return {
        "lastSignInDateTime": interactive,
        "lastSignInRequestId": str(uuid.UUID(int=1)) if interactive else None,
        "lastNonInteractiveSignInDateTime": silent,
        "lastNonInteractiveSignInRequestId": str(uuid.UUID(int=2)) if silent else None,
        "lastSuccessfulSignInDateTime": succeeded,
        "lastSuccessfulSignInRequestId": str(uuid.UUID(int=3)) if succeeded else None,
    }


def guest(number: int, mail: str, name: str, domain: str = "contoso.onmicrosoft.com", **given: Any) -> Json:
    """Make an invited guest: the home address is folded into a #EXT# name."""
    login = mail.replace("@", "_") + "#EXT#"
    identity = {"signInType": "federated", "issuer": "ExternalAzureAD", "issuerAssignedId": None}
    made = {
        "userType": "Guest",
        "mail": mail,
        "otherMails": [mail],
        "proxyAddresses": [f"SMTP:{mail}"],
        "creationType": "Invitation",
        "externalUserState": "Accepted",
        "externalUserStateChangeDateTime": "2025-06-01T12:00:00Z",
        "lastPasswordChangeDateTime": None,
        "identities": [identity, {"signInType": "userPrincipalName", "issuer": domain, "issuerAssignedId": login}],
    }
    return user(number, login, name, domain, **{**made, **given})


def group(number: int, name: str, **given: Any) -> Json:
    """Make an assigned security group."""
    return {
        "id": guid("group", number),
        "deletedDateTime": None,
        "classification": None,
        "createdDateTime": "2023-02-01T08:00:00Z",
        "description": None,
        "displayName": name,
        "expirationDateTime": None,
        "groupTypes": [],
        "isAssignableToRole": None,
        "mail": None,
        "mailEnabled": False,
        "mailNickname": name.replace(" ", "").lower(),
        "membershipRule": None,
        "membershipRuleProcessingState": None,
        "onPremisesDomainName": None,
        "onPremisesLastSyncDateTime": None,
        "onPremisesNetBiosName": None,
        "onPremisesSamAccountName": None,
        "onPremisesSecurityIdentifier": None,
        "onPremisesSyncEnabled": None,
        "preferredDataLocation": None,
        "preferredLanguage": None,
        "proxyAddresses": [],
        "renewedDateTime": "2023-02-01T08:00:00Z",
        "resourceBehaviorOptions": [],
        "resourceProvisioningOptions": [],
        "securityEnabled": True,
        "securityIdentifier": f"S-1-12-1-{number}-4-5-6",
        "theme": None,
        "visibility": None,
        "onPremisesProvisioningErrors": [],
        **given,
    }


def password_credential(number: int, ends: str, starts: str = "2026-01-01T00:00:00Z", **given: Any) -> Json:
    """Make a client secret; its text is only ever shown at its creation."""
    made = {"customKeyIdentifier": None, "displayName": "rotation", "endDateTime": ends, "hint": "abc"}
    return {**made, "keyId": guid("key", number), "secretText": None, "startDateTime": starts, **given}


def key_credential(number: int, ends: str, starts: str = "2026-01-01T00:00:00Z", **given: Any) -> Json:
    """Make a certificate; its key is null unless a single object's keyCredentials are selected."""
    made = {"customKeyIdentifier": "QUJDREVG", "displayName": "CN=worker", "endDateTime": ends, "key": None}
    known = {"keyId": guid("key", number), "startDateTime": starts, "type": "AsymmetricX509Cert", "usage": "Verify"}
    return {**made, **known, **given}


def app_role(number: int, value: str, *, kinds: tuple[str, ...] = ("User",), enabled: bool = True) -> Json:
    """Make a role that an application offers."""
    return {
        "allowedMemberTypes": list(kinds),
        "description": value,
        "displayName": value,
        "id": guid("role", number),
        "isEnabled": enabled,
        "origin": "Application",
        "value": value,
    }


def application(number: int, name: str, **given: Any) -> Json:
    """Make an app registration; its appId is that of the service principal of the same number."""
    return {
        "id": guid("application", number),
        "deletedDateTime": None,
        "appId": guid("other", number),
        "applicationTemplateId": None,
        "disabledByMicrosoftStatus": None,
        "createdDateTime": "2024-03-01T08:00:00Z",
        "displayName": name,
        "description": None,
        "identifierUris": [],
        "isDeviceOnlyAuthSupported": None,
        "isFallbackPublicClient": None,
        "notes": None,
        "publisherDomain": "contoso.onmicrosoft.com",
        "serviceManagementReference": None,
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "appRoles": [],
        "keyCredentials": [],
        "passwordCredentials": [],
        "requiredResourceAccess": [],
        **given,
    }


def service_principal(number: int, name: str, **given: Any) -> Json:
    """Make a service principal of kind Application; managed identities differ in ``servicePrincipalType``."""
    return {
        "id": guid("servicePrincipal", number),
        "deletedDateTime": None,
        "accountEnabled": True,
        "alternativeNames": [],
        "appDisplayName": name,
        "appDescription": None,
        "appId": guid("other", number),
        "applicationTemplateId": None,
        "appOwnerOrganizationId": None,
        "appRoleAssignmentRequired": False,
        "createdDateTime": "2024-03-01T08:00:00Z",
        "description": None,
        "disabledByMicrosoftStatus": None,
        "displayName": name,
        "homepage": None,
        "loginUrl": None,
        "notes": None,
        "notificationEmailAddresses": [],
        "preferredSingleSignOnMode": None,
        "servicePrincipalNames": [guid("other", number)],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"],
        "appRoles": [],
        "oauth2PermissionScopes": [],
        "keyCredentials": [],
        "passwordCredentials": [],
        **given,
    }


def app_role_assignment(number: int, principal: Json, kind: str, resource: Json, role: str = NOBODY) -> Json:
    """Assign an app role; the zero id is default access."""
    return {
        "id": f"assignment-{number:x}",
        "deletedDateTime": None,
        "appRoleId": role,
        "createdDateTime": "2025-01-15T09:30:00.1234567Z",
        "principalDisplayName": principal["displayName"],
        "principalId": principal["id"],
        "principalType": kind,
        "resourceDisplayName": resource["displayName"],
        "resourceId": resource["id"],
    }


def permission_grant(number: int, client: Json, resource: Json, scope: str, principal: str | None = None) -> Json:
    """Grant delegated permissions: for everybody, or for one user."""
    return {
        "id": f"grant-{number:x}",
        "clientId": client["id"],
        "consentType": "AllPrincipals" if principal is None else "Principal",
        "principalId": principal,
        "resourceId": resource["id"],
        "scope": scope,
    }


def role_definition(template: str, name: str, *, built_in: bool = True, enabled: bool = True) -> Json:
    """Make a directory role's definition; of built-in ones id and template are the same."""
    return {
        "id": template,
        "description": f"{name}: as built in." if built_in else name,
        "displayName": name,
        "isBuiltIn": built_in,
        "isEnabled": enabled,
        "resourceScopes": ["/"],
        "templateId": template,
        "version": "1" if built_in else None,
        "rolePermissions": [{"allowedResourceActions": ["microsoft.directory/users/standard/read"], "condition": None}],
    }


def role_assignment(number: int, principal: str, role: str, scope: str = "/") -> Json:
    """Make an active assignment as roleAssignments lists it, whether permanent or just activated."""
    return {
        "id": f"lAPpYvVpN0KRkAEhdxReEJ-{number:x}",
        "principalId": principal,
        "directoryScopeId": scope,
        "appScopeId": None,
        "condition": None,
        "roleDefinitionId": role,
    }


def role_schedule(
    number: int, principal: str, role: str, *, assignment: str | None = None, ends: str | None = None, scope: str = "/"
) -> Json:
    """Make an eligibility schedule, or an assignment schedule where ``assignment`` is Assigned or Activated."""
    expiration = {"type": "afterDateTime" if ends else "noExpiration", "endDateTime": ends, "duration": None}
    made = {
        "id": guid("schedule", number),
        "principalId": principal,
        "roleDefinitionId": role,
        "directoryScopeId": scope,
        "appScopeId": None,
        "createdUsing": guid("schedule", number),
        "createdDateTime": "2026-01-10T07:00:00.123Z",
        "modifiedDateTime": None,
        "status": "Provisioned",
        "scheduleInfo": {"startDateTime": "2026-01-10T07:00:00.123Z", "recurrence": None, "expiration": expiration},
        "memberType": "Direct",
    }
    return made if assignment is None else {**made, "assignmentType": assignment}


def role_instance(schedule: Json, assignment_id: str | None = None) -> Json:
    """Make the instance of a schedule that runs now."""
    kept = ("principalId", "roleDefinitionId", "directoryScopeId", "appScopeId", "memberType")
    times = {
        "startDateTime": schedule["scheduleInfo"]["startDateTime"],
        "endDateTime": schedule["scheduleInfo"]["expiration"]["endDateTime"],
    }
    made = {"id": f"instance-{schedule['id']}", **{name: schedule[name] for name in kept}, **times}
    if "assignmentType" not in schedule:
        return {**made, "roleEligibilityScheduleId": schedule["id"]}
    origin = {"roleAssignmentOriginId": assignment_id, "roleAssignmentScheduleId": schedule["id"]}
    return {**made, "assignmentType": schedule["assignmentType"], **origin}


def group_schedule(
    principal: str, holder: str, *, access: str = "member", assignment: str | None = None, ends: str | None = None
) -> Json:
    """Make a schedule of PIM for groups; enumerations are written small here, unlike those of roles."""
    expiration = {"type": "afterDateTime" if ends else "noExpiration", "endDateTime": ends, "duration": None}
    made = {
        "id": f"{holder}_{access}_{principal}",
        "createdDateTime": "2026-01-10T07:00:00.123Z",
        "modifiedDateTime": None,
        "createdUsing": f"{holder}_{access}_{principal}",
        "status": "Provisioned",
        "scheduleInfo": {"startDateTime": "2026-01-10T07:00:00.123Z", "recurrence": None, "expiration": expiration},
        "memberType": "direct",
        "accessId": access,
        "principalId": principal,
        "groupId": holder,
    }
    return made if assignment is None else {**made, "assignmentType": assignment}


def group_instance(schedule: Json) -> Json:
    """Make the instance of a group's schedule that runs now."""
    kept = ("memberType", "accessId", "principalId", "groupId")
    made = {
        "id": f"instance_{schedule['id']}",
        "startDateTime": schedule["scheduleInfo"]["startDateTime"],
        "endDateTime": schedule["scheduleInfo"]["expiration"]["endDateTime"],
        **{name: schedule[name] for name in kept},
    }
    if "assignmentType" not in schedule:
        return {**made, "eligibilityScheduleId": schedule["id"]}
    return {**made, "assignmentScheduleId": schedule["id"], "assignmentType": schedule["assignmentType"]}


def registration(of: Json, *methods: str, admin: bool = False) -> Json:
    """Make a row of userRegistrationDetails."""
    strong = bool(set(methods) - {"email", "securityQuestion"})
    return {
        "id": of["id"],
        "userPrincipalName": of["userPrincipalName"],
        "userDisplayName": of["displayName"],
        "userType": str(of["userType"]).lower(),
        "isAdmin": admin,
        "isSsprRegistered": bool(methods),
        "isSsprEnabled": False,
        "isSsprCapable": False,
        "isMfaRegistered": strong,
        "isMfaCapable": strong,
        "isPasswordlessCapable": "fido2SecurityKey" in methods,
        "methodsRegistered": list(methods),
        "isSystemPreferredAuthenticationMethodEnabled": False,
        "systemPreferredAuthenticationMethods": [],
        "userPreferredMethodForSecondaryAuthentication": "push" if strong else "none",
        "lastUpdatedDateTime": "2026-11-20T03:00:00Z",
    }


def audit(number: int, when: str, activity: str, by: Json | None, *targets: Json, **given: Any) -> Json:
    """Make a directory audit; ``by`` is a user row, or None for an app."""
    app = {"appId": None, "displayName": "Microsoft Substrate Management", "servicePrincipalId": None,
           "servicePrincipalName": None}  # fmt: skip
    person = None if by is None else {
        "id": by["id"], "displayName": by["displayName"], "userPrincipalName": by["userPrincipalName"],
        "ipAddress": "192.0.2.10", "userType": None, "homeTenantId": None, "homeTenantName": None,
    }  # fmt: skip
    return {
        "id": f"Directory_{guid('audit', number)}_{number}",
        "category": "UserManagement",
        "correlationId": guid("audit", number),
        "result": "success",
        "resultReason": "",
        "activityDisplayName": activity,
        "activityDateTime": when,
        "loggedByService": "Core Directory",
        "operationType": activity.partition(" ")[0],
        "initiatedBy": {"user": person, "app": None if by is not None else app},
        "targetResources": list(targets),
        "additionalDetails": [],
        **given,
    }


def target(row: Json, kind: str, **changes: str) -> Json:
    """Make a target of an audit; changed values are JSON within JSON, as the service writes them."""
    changed = [{"displayName": n.replace("_", "."), "oldValue": None, "newValue": f'"{v}"'} for n, v in changes.items()]
    return {
        "id": row["id"],
        "displayName": row["displayName"],
        "type": kind,
        "userPrincipalName": row.get("userPrincipalName"),
        "groupType": "azureAD" if kind == "Group" else None,
        "modifiedProperties": changed,
    }


def sign_in(number: int, when: str, of: Json, *, error: int = 0, interactive: bool = True) -> Json:
    """Make a sign-in; error code 0 is success."""
    return {
        "id": guid("signIn", number),
        "createdDateTime": when,
        "userDisplayName": of["displayName"],
        "userPrincipalName": of["userPrincipalName"],
        "userId": of["id"],
        "appId": guid("other", 1),
        "appDisplayName": "Payroll",
        "ipAddress": "192.0.2.10",
        "clientAppUsed": "Browser",
        "correlationId": guid("signIn", number),
        "conditionalAccessStatus": "success" if error == 0 else "notApplied",
        "isInteractive": interactive,
        "riskDetail": "none",
        "riskLevelAggregated": "none",
        "riskLevelDuringSignIn": "none",
        "riskState": "none",
        "riskEventTypes": [],
        "riskEventTypes_v2": [],
        "resourceDisplayName": "Windows Azure Active Directory",
        "resourceId": "00000002-0000-0000-c000-000000000000",
        "status": {
            "errorCode": error,
            "failureReason": "Other." if error == 0 else "Invalid username or password.",
            "additionalDetails": None,
        },
        "deviceDetail": {"deviceId": "", "displayName": "", "operatingSystem": "Linux", "browser": "Firefox",
                         "isCompliant": False, "isManaged": False, "trustType": ""},
        "location": {"city": "Basel", "state": "Basel-Stadt", "countryOrRegion": "CH",
                     "geoCoordinates": {"altitude": None, "latitude": 47.5, "longitude": 7.6}},
        "appliedConditionalAccessPolicies": [],
    }  # fmt: skip


def method(kind: str, number: int, **given: Any) -> Json:
    """Make an authentication method: ``password``, ``fido2``, ``phone``, ``microsoftAuthenticator``, ..."""
    made: Json = {"@odata.type": f"#microsoft.graph.{kind}AuthenticationMethod", "id": guid("key", number)}
    if kind == "password":
        made["id"] = "28c10230-6103-485e-b985-444c60001490"  # the same for everybody, as documented
        made["password"] = None
    return {**made, "createdDateTime": "2025-08-01T10:00:00Z", **given}

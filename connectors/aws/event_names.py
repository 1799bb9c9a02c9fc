"""CloudTrail's names of the events that are read, by the service that records them, and what each means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.sdk.records import Action

IAM = "iam.amazonaws.com"
SIGN_IN = "signin.amazonaws.com"
STS = "sts.amazonaws.com"
SSO = "sso.amazonaws.com"
DIRECTORY = "sso-directory.amazonaws.com"
STORE = "identitystore.amazonaws.com"

CENTER = (SSO, DIRECTORY, STORE, SIGN_IN)
"""What the account and the region of an Identity Center instance record."""


def _all(action: Action, names: str) -> dict[str, Action]:
    return dict.fromkeys(names.split(), action)


ACTIONS: Mapping[str, Mapping[str, Action]] = {
    IAM: {
        **_all("account_created", "CreateUser"),
        **_all("account_deleted", "DeleteUser"),
        **_all(
            "account_changed",
            "UpdateUser TagUser UntagUser PutUserPermissionsBoundary DeleteUserPermissionsBoundary",
        ),
        **_all(
            "credential_created",
            "CreateLoginProfile CreateAccessKey UploadSSHPublicKey UploadSigningCertificate "
            "CreateServiceSpecificCredential EnableMFADevice",
        ),
        **_all("credential_rotated", "UpdateLoginProfile ChangePassword ResetServiceSpecificCredential"),
        **_all(
            "credential_revoked",
            "DeleteLoginProfile DeleteAccessKey DeleteSSHPublicKey DeleteSigningCertificate "
            "DeleteServiceSpecificCredential DeactivateMFADevice",
        ),
        # These switch a credential on or off; `action_of` looks at the status that was asked for.
        **_all(
            "credential_revoked",
            "UpdateAccessKey UpdateSSHPublicKey UpdateSigningCertificate UpdateServiceSpecificCredential",
        ),
        **_all(
            "entitlement_granted",
            "AddUserToGroup AttachUserPolicy AttachGroupPolicy AttachRolePolicy PutUserPolicy PutGroupPolicy "
            "PutRolePolicy",
        ),
        **_all(
            "entitlement_revoked",
            "RemoveUserFromGroup DetachUserPolicy DetachGroupPolicy DetachRolePolicy DeleteUserPolicy "
            "DeleteGroupPolicy DeleteRolePolicy",
        ),
        **_all(
            "role_changed",
            "CreateGroup UpdateGroup DeleteGroup CreateRole UpdateRole UpdateAssumeRolePolicy DeleteRole CreatePolicy "
            "CreatePolicyVersion SetDefaultPolicyVersion DeletePolicyVersion DeletePolicy "
            "PutRolePermissionsBoundary DeleteRolePermissionsBoundary",
        ),
    },
    SIGN_IN: {
        **_all("sign_in", "ConsoleLogin UserAuthentication"),
        **_all("privilege_elevated", "SwitchRole"),
        **_all("privilege_ended", "ExitRole"),
    },
    STS: {
        **_all("sign_in", "AssumeRoleWithSAML AssumeRoleWithWebIdentity"),
        **_all("credential_created", "GetSessionToken GetFederationToken"),
        **_all("privilege_elevated", "AssumeRole"),
    },
    SSO: {
        **_all("sign_in", "Federate"),
        **_all("entitlement_granted", "CreateAccountAssignment"),
        **_all("entitlement_revoked", "DeleteAccountAssignment"),
        **_all(
            "role_changed",
            "CreatePermissionSet UpdatePermissionSet DeletePermissionSet AttachManagedPolicyToPermissionSet "
            "DetachManagedPolicyFromPermissionSet AttachCustomerManagedPolicyReferenceToPermissionSet "
            "DetachCustomerManagedPolicyReferenceFromPermissionSet PutInlinePolicyToPermissionSet "
            "DeleteInlinePolicyFromPermissionSet",
        ),
    },
    DIRECTORY: {
        **_all("account_created", "CreateUser"),
        **_all("account_deleted", "DeleteUser"),
        **_all("account_changed", "UpdateUser"),
        **_all("account_enabled", "EnableUser"),
        **_all("account_disabled", "DisableUser"),
        **_all("entitlement_granted", "AddMemberToGroup"),
        **_all("entitlement_revoked", "RemoveMemberFromGroup"),
        **_all("role_changed", "CreateGroup UpdateGroup DeleteGroup"),
        **_all("credential_created", "CompleteVirtualMfaDeviceRegistration CompleteWebAuthnDeviceRegistration"),
        **_all("credential_rotated", "UpdatePassword"),
        **_all("credential_revoked", "DeleteMfaDeviceForUser"),
    },
    STORE: {
        **_all("account_created", "CreateUser"),
        **_all("account_deleted", "DeleteUser"),
        **_all("account_changed", "UpdateUser"),
        **_all("entitlement_granted", "CreateGroupMembership"),
        **_all("entitlement_revoked", "DeleteGroupMembership"),
        **_all("role_changed", "CreateGroup UpdateGroup DeleteGroup"),
    },
}
"""Event source -> event name -> the standard action."""

_SWITCHES = frozenset(
    {"UpdateAccessKey", "UpdateSSHPublicKey", "UpdateSigningCertificate", "UpdateServiceSpecificCredential"}
)


def action_of(source: str, name: str, asked: Mapping[str, object]) -> Action | None:
    """Return the standard action of an event of ours; None where the event does not tell it.

    A credential that is switched on again counts as created, one that is switched off as revoked; where AWS left out
    what was asked for, as it may of a call that it denied, neither is known.
    """
    if name in _SWITCHES and source == IAM:
        status = asked.get("status")
        return None if status is None else "credential_created" if status == "Active" else "credential_revoked"
    return ACTIONS.get(source, {}).get(name)


def names_of(sources: Iterable[str], *, role_sessions: bool) -> tuple[str, ...]:
    """Return the names to look up for what ``sources`` record, each once."""
    found = dict.fromkeys(name for source in sources for name in ACTIONS[source])
    if not role_sessions:
        found.pop("AssumeRole", None)
    return tuple(found)

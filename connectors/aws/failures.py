"""Turn what botocore raises into errors by remedy: wait, try again, grant access, or report a defect."""

from __future__ import annotations

import re
from http import HTTPStatus

from botocore import exceptions as boto
from botocore.parsers import ResponseParserError

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Throttled, Unreachable

DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"})
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"})
_BAD_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_THROTTLED = frozenset(
    {
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_TRANSIENT = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerException",
        "InternalServiceError",
        "RequestTimeout",
        "ServiceException",
        "ServiceFailure",
        "ServiceUnavailable",
    }
)
_NOT_OFFERED = frozenset({"InvalidAction", "NotImplemented", "UnknownOperation", "UnknownOperationException"})
GONE = "NoSuchEntity"
_VANISHED = frozenset({GONE, "ResourceNotFoundException", "TargetNotFoundException"})
_PREFIX = {"sso-admin": "sso"}
"""Service -> prefix of its permissions, where it is another."""
_POLICY = {
    "sso-admin": "aws-identity-center.json",
    "identitystore": "aws-identity-center.json",
    "organizations": "aws-organization.json",
    "sts": "aws-organization.json",
}
"""Service -> file in deploy/policies that allows what is asked of it."""

_PERMISSION = re.compile(r"not authorized to perform: ([\w-]+:[\w*]+)")
_NO_CREDENTIALS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.TokenRetrievalError,
    boto.SSOError,
    boto.RefreshWithMFAUnsupportedError,
    boto.UnauthorizedSSOTokenError,
)
_NETWORK = (
    boto.HTTPClientError,  # connection refused, reset, time-outs, TLS, proxies
    boto.ConnectionError,
    boto.IncompleteReadError,
    boto.ResponseStreamingError,
)
CREDENTIALS_ADVICE = (
    "Give reconciler AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, set profile, set access_key_id "
    "and secret_access_key by reference, or run it with an instance, pod or task role."
)
UNDERSTOOD = (
    boto.BotoCoreError,
    boto.ClientError,
    ResponseParserError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    IndexError,
)
"""All that one call may raise. The built-in ones are what botocore's parser raises on an answer that is no IAM
answer at all, such as an HTML page with status 200."""


class NotOffered(Misbehaved):
    """The endpoint says that it does not know the operation."""


def code_of(error: Exception) -> str:
    """Return the service's own error code, empty where the error is none of the service's."""
    return str(error.response.get("Error", {}).get("Code", "")) if isinstance(error, boto.ClientError) else ""


def translate(error: Exception, service: str, operation: str, where: str) -> SourceError | ConfigurationError:
    """Return our error for what ``operation`` of ``service`` raised; ``where`` names the account or endpoint."""
    what = f"AWS {where}: {operation}"
    if isinstance(error, boto.ClientError):
        return _answered(error, service, operation, what)
    if isinstance(error, boto.ProfileNotFound):
        return ConfigurationError(f"{error}", advice="Name an existing profile, or leave profile out.")
    if isinstance(error, _NO_CREDENTIALS):
        return Refused(f"{what} had no usable credentials: {error}", advice=CREDENTIALS_ADVICE)
    if isinstance(error, ResponseParserError):
        return Unreachable(
            f"{what} gave an answer that is cut off or is no AWS answer",
            advice="Try again; if it stays, see what stands at endpoint_url or between here and AWS.",
        )
    if isinstance(error, _NETWORK):
        return Unreachable(
            f"{what} could not be reached: {error}",
            advice="Check endpoint_url, DNS, proxy and firewall from this machine.",
        )
    return Misbehaved(
        f"{what} failed in a way that AWS does not document: {type(error).__name__}: {error}",
        advice="Check that endpoint_url is an AWS API and not a web page; otherwise report it.",
    )


def _answered(error: boto.ClientError, service: str, operation: str, what: str) -> SourceError:
    """Sort the service's own error answer."""
    code = code_of(error)
    said = str(error.response.get("Error", {}).get("Message", "")) or "no message"
    metadata = error.response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    if code in DENIED:
        return _denied(said, service, operation, what)
    if code in EXPIRED:
        found: SourceError = Refused(
            f"{what}: the credentials have expired: {said}", advice="Renew them and run again."
        )
    elif code in _BAD_CREDENTIALS:
        found = Refused(f"{what}: AWS does not accept the credentials ({code}): {said}", advice=CREDENTIALS_ADVICE)
    elif code in _THROTTLED:
        after = str(metadata.get("HTTPHeaders", {}).get("retry-after", ""))
        found = Throttled(
            f"{what} was throttled: {said}",
            advice="Lower parallel_calls, or run at a quieter hour.",
            retry_after=float(after) if after.isdigit() else None,
        )
    elif code in _NOT_OFFERED or status == HTTPStatus.NOT_IMPLEMENTED:
        found = NotOffered(f"{what} is not offered here ({code}): {said}", advice="Check endpoint_url.")
    elif code in _VANISHED:
        found = Unreachable(f"{what}: it went away while it was read: {said}", advice="Run again.", restart=True)
    elif code in _TRANSIENT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        found = Unreachable(f"{what} failed on the server's side ({code or status}): {said}", advice="Try again later.")
    else:
        found = Misbehaved(f"{what} answered {code or status}: {said}", advice="Report this with the message above.")
    return found


def _denied(said: str, service: str, operation: str, what: str) -> Refused:
    """Name the permission that is missing: as AWS says it, else the one that the call is known to need."""
    found = _PERMISSION.search(said)
    permission = found.group(1) if found else f"{_PREFIX.get(service, service)}:{operation}"
    policy = _POLICY.get(service, "aws-read.json")
    return Refused(
        f"{what} was denied: {said}",
        advice=f"Allow {permission} to the reader; deploy/policies/{policy} holds the whole policy.",
        missing_permission=permission,
    )

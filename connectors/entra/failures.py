"""Turn what Graph answers into errors by remedy: wait, try again, grant access, buy a licence, report a defect."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx
import msgspec

from reconciler.sdk.answers import check_type, clean, retry_after, words_of
from reconciler.sdk.errors import Misbehaved, Refused, SourceError, Throttled, Unreachable

_NO_LICENCE = re.compile(
    r"AadPremiumLicenseRequired|RequestFromNonPremiumTenant|doesn't have premium license|"
    r"needs (?:to have )?(?:a |an )?(?:Microsoft Entra ID (?:P2|Governance)|(?:AAD|Azure AD) Premium)",
    re.IGNORECASE,
)
_NOT_FOUND = frozenset({"Request_ResourceNotFound", "ResourceNotFound", "itemNotFound", "NotFound", "resourceNotFound"})
_STALE_LINK = frozenset({"Directory_ExpiredPageToken", "Directory_PageTokenExpired", "syncStateNotFound"})
_BUSY = frozenset({"TooManyRequests", "Request_ThrottledTemporarily", "activityLimitReached"})
_ADVICE_GRANT = (
    "Grant it to the reader as an application permission, with admin consent; deploy/policies/entra-read.json "
    "lists them all."
)


class NoLicence(Refused):
    """The tenant has no licence for a feature, in Microsoft's own words: nothing of it can exist there."""


class NotFound(Refused):
    """The directory, asked by id, says that there is no such object."""


class _Inner(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Failure(msgspec.Struct):
    error: _Inner


_decode = msgspec.json.Decoder(_Failure).decode


def judge(status: int, headers: Mapping[str, str], body: bytes, shown: str, permission: str = "") -> None:
    """Raise for every answer but a 200 with JSON in it.

    ``shown`` says what was asked, without its query; ``permission`` is what the request needs.
    """
    if status == httpx.codes.OK:
        check_type(headers.get("content-type", ""), body, shown)
        return
    if (wait := throttled(status, headers, body, shown)) is not None:
        raise wait
    code = code_of(body)
    said = _said(status, code, body, shown)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        raise Unreachable(said, advice="Try again later; where it stays, look at Microsoft's service health.")
    if httpx.codes.is_redirect(status):
        raise Misbehaved(
            f"{shown}: HTTP {status}, a redirect",
            advice="Redirects are not followed, since the token would go along: check endpoint_url.",
        )
    if status < httpx.codes.BAD_REQUEST:
        raise Misbehaved(said, advice="Only HTTP 200 carries a page.")
    raise _refusal(status, code, said, body, permission)


def throttled(status: int, headers: Mapping[str, str], body: bytes, shown: str) -> Throttled | None:
    """Return that Graph asks to wait, and for how long; None for every other answer, good or bad."""
    if status == httpx.codes.OK:
        return None
    code = code_of(body)
    wait = retry_after(httpx.Headers(dict(headers)))
    if status == httpx.codes.TOO_MANY_REQUESTS or code in _BUSY or (status == _UNAVAILABLE and wait is not None):
        advice = "Try again later, or lower parallel_calls."
        return Throttled(_said(status, code, body, shown), advice=advice, retry_after=wait)
    return None


def _said(status: int, code: str, body: bytes, shown: str) -> str:
    return f"{shown}: HTTP {status}{f' {code}' if code else ''}{words_of(body)}"


def _refusal(  # noqa: PLR0911 -- one line for each of Graph's refusals
    status: int, code: str, said: str, body: bytes, permission: str
) -> SourceError:
    """Return the error of an answer that will be the same next time."""
    if _NO_LICENCE.search(body[:8_192].decode("utf-8", "replace")):
        return NoLicence(said, advice="Buy the licence, or leave this out in the settings.")
    if code in _STALE_LINK or status == httpx.codes.GONE:
        return Unreachable(said, advice="The page link has expired: read from the start.", restart=True)
    if status == httpx.codes.NOT_FOUND and code in _NOT_FOUND:
        return NotFound(said, advice="It was deleted in the meantime, or never was here.")
    if status == httpx.codes.UNAUTHORIZED:
        return Refused(said, advice="Check tenant_id, client_id and the credential, and that endpoint_url fits them.")
    if status == httpx.codes.FORBIDDEN:
        grant = f"{permission}: {_ADVICE_GRANT}" if permission else _ADVICE_GRANT
        return Refused(said, advice=grant, missing_permission=permission)
    if "$select" in said or "property named" in said:
        return Refused(said, advice="Correct or shorten `attributes` in the settings of this source.")
    return Misbehaved(said, advice="Report this as a defect of the connector, with the message above.")


def code_of(body: bytes) -> str:
    """Return Graph's own error code, empty where the body holds none."""
    try:
        return clean(_decode(body).error.code)[:80]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""


_UNAVAILABLE = httpx.codes.SERVICE_UNAVAILABLE

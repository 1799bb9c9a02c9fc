"""What a failed call says, by remedy; no message holds a query, a header or a token."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping

import aiohttp
import httpx
import msgspec

from reconciler.sdk.answers import clean, reset_at, words_of
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Throttled, Unreachable

from .transport import MAX_BYTES, TooLargeError

NOT_FOUND = "E0000007"
NO_FEATURE = "E0000015"
_ADVICE = "Check the network, then try again; what was read so far of this page is not used."
_CONCURRENCY_PAUSE = 1.0
LONGEST_PAUSE = 120.0
"""Seconds beyond which the end of a window is not believed: Okta's are a minute long."""
_RESET = "X-Rate-Limit-Reset"
_reset = reset_at(_RESET)


class Absent(Refused):
    """Okta answered that the object asked for does not exist, or is not to be seen by these credentials."""


class ObjectRefused(Refused):
    """Okta refused this one object; others of its kind may be readable."""


class _Said(msgspec.Struct):
    errorCode: str = ""  # noqa: N815 - Okta's name


def no_answer(error: Exception, shown: str) -> SourceError:
    """Translate what kept a whole answer from coming."""
    if isinstance(error, TooLargeError):
        return Misbehaved(f"{shown}: the answer is larger than {MAX_BYTES} bytes", advice="Lower page_size.")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or type(error.certificate_error).__name__
        return Refused(
            f"{shown}: its certificate is not trusted: {why}",
            advice="Set ca_file to the certificate of the authority that signed it; checks are never skipped.",
        )
    if isinstance(error, asyncio.TimeoutError):
        return Unreachable(f"{shown}: no answer in time", advice=_ADVICE)
    if isinstance(error, aiohttp.ClientPayloadError | aiohttp.ClientResponseError):
        return Unreachable(f"{shown}: the answer was cut short or broken", advice=_ADVICE)
    if isinstance(error, aiohttp.ClientError):
        return Unreachable(f"{shown}: no connection, or it was reset ({type(error).__name__})", advice=_ADVICE)
    return Misbehaved(f"{shown}: {type(error).__name__}", advice="Report this as a defect of the connector.")


def judge(  # noqa: PLR0911 - one return a remedy
    status: int, headers: Mapping[str, str], body: bytes, *, shown: str, scope: str
) -> SourceError:
    """Translate an answer whose status is not 200; ``scope`` is the OAuth scope that the call needs."""
    said = f"{shown}: HTTP {status}{words_of(body)}"
    code = code_of(body)
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return Throttled(said, advice="Try again later, or lower parallel_calls.", retry_after=pause(headers))
    if status == 401:  # noqa: PLR2004 - Unauthorized
        return Refused(said, advice="Check the credentials: they are wrong, expired or revoked.")
    if status == 403:  # noqa: PLR2004 - Forbidden
        if "insufficient_scope" in headers.get("WWW-Authenticate", ""):
            return Refused(said, advice=f"Grant the app the scope {scope}.", missing_permission=scope)
        if code == NO_FEATURE:
            return Refused(
                said, advice="The organisation has no licence for this, or the admin role does not cover it."
            )
        return ObjectRefused(
            said,
            advice="Give these credentials an admin role that covers it.",
            missing_permission=f"{scope}, admin role",
        )
    if status == 404 and code == NOT_FOUND:  # noqa: PLR2004 - Not Found
        return Absent(said, advice="It was deleted meanwhile, or these credentials may not see it.")
    if 300 <= status < 400:  # noqa: PLR2004 - redirects
        return Misbehaved(
            f"{shown}: HTTP {status}, a redirect",
            advice="Redirects are not followed, since credentials would go along: check org_url.",
        )
    if status >= 500 or status == 408:  # noqa: PLR2004 - the server's own failures, and its time-out
        return Unreachable(said, advice="Try again later; where it stays, ask Okta.")
    if status >= 400:  # noqa: PLR2004 - the client's failures
        # In Okta's own words it concerns what was asked for; in anybody else's, everything.
        kind = ObjectRefused if code else Refused
        return kind(said, advice="Check org_url and what these credentials may read.")
    return Misbehaved(said, advice="Only HTTP 200 carries a page.")


def code_of(body: bytes) -> str:
    """Return Okta's error code, empty where the body is not Okta's."""
    try:
        return msgspec.json.decode(body, type=_Said).errorCode
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def pause(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the limit that was hit ends, by Okta's own clock; None where it does not say.

    A limit of zero means that too many calls were under way at once: that passes as soon as one ends. An end that is
    past already says nothing: a clock on the way is wrong.
    """
    if headers.get("X-Rate-Limit-Limit", "").strip() == "0":
        return _CONCURRENCY_PAUSE
    left = resets_in(headers)
    if not left:
        text = headers.get("Retry-After", "").strip()
        return float(text) if text.isascii() and text.isdigit() else None
    return min(max(left, 1.0), LONGEST_PAUSE)


def resets_in(headers: Mapping[str, str]) -> float | None:
    """Return the seconds until the window ends that ``X-Rate-Limit-Reset`` names, by Okta's clock; None: not there."""
    told = {name: headers[name] for name in (_RESET, "Date") if name in headers}
    return _reset(httpx.Headers({name: text for name, text in told.items() if text.isascii()}))


def token_failure(error: Exception, shown: str) -> SourceError | ConfigurationError:  # noqa: PLR0911 - one return a remedy
    """Translate why no access token came; the SDK gives its own error classes here."""
    status, code = getattr(error, "status", None), str(getattr(error, "error_code", ""))
    words = clean(str(getattr(error, "error_summary", "")))
    if isinstance(error, aiohttp.ClientError | TimeoutError):
        return no_answer(error, shown)
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return Misbehaved(f"{shown}: malformed JSON", advice="Check org_url and any proxy on the way.")
    if isinstance(error, ValueError | TypeError | KeyError):
        return ConfigurationError(
            "private_key cannot sign: it is damaged, or no RSA key", advice="Give the RSA private key of client_id."
        )
    said = f"{shown}: HTTP {status} ({code}{': ' if words else ''}{words})"
    if code == "invalid_scope":
        named = re.findall(r"okta\.[\w.]+", words)
        return Refused(said, advice="Grant the app the scopes of `scopes`.", missing_permission=", ".join(named))
    if status == 429:  # noqa: PLR2004 - Too Many Requests
        return Throttled(said, advice="Try again later.", retry_after=pause(getattr(error, "headers", {})))
    if isinstance(status, int) and status >= 500:  # noqa: PLR2004 - the server's own failures
        return Unreachable(said, advice="Try again later.")
    if isinstance(status, int):
        return Refused(said, advice="Check client_id, private_key and key_id, and that the app is active.")
    return Misbehaved(f"{shown}: no access token came", advice="Check org_url.")

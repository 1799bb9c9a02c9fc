"""Read what an HTTP answer says: its JSON, the provider's own words, how long to wait, where the next page is."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import msgspec

from reconciler import clock
from reconciler.sdk.errors import ConfigurationError, Misbehaved, SourceError
from reconciler.sdk.secrets import redact

ResetHook = Callable[[httpx.Headers], float | None]
"""Reads the seconds to wait out of a provider's own rate-limit headers; None where they say nothing."""

ErrorHook = Callable[[int, bytes, str], SourceError | ConfigurationError | None]
"""What a provider means by an error: status, body and the request in words -> the error; None: what HTTP says."""

_PARAMETER = r"""([\w!#$%&'*+.^`|~-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"|'[^';,]*'|[^\s;,"]*))?"""
_LINK = re.compile(rf"[\s,]*<([^>]*)>((?:\s*;\s*(?:{_PARAMETER})?)*)\s*(?:,|$)")
_RELATION = re.compile(rf";\s*{_PARAMETER}")
_JSON = re.compile(r"(application|text)/([\w.-]+\+)?json", re.IGNORECASE)
_TOKENS = (
    re.compile(r"(?i)\b((?:bearer|basic|ssws)\s+)[\w.~+/=-]{8,}"),
    re.compile(r"\b()eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"),
    re.compile(
        r"(?i)((?:\w*token|client_secret|client_assertion|api_?key|passw(?:or)?d|secret|signature|sig|code)"
        r"[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;}]+"
    ),
)
_WORDS = ("errorSummary", "error_description", "message", "detail", "error")
_SHOWN = 300
_READ = 64 * 1024


def check_type(content_type: str, body: bytes, shown: str) -> None:
    """Raise ``Misbehaved`` for what does not even claim to be JSON: a log-in page, a greeting, nothing at all."""
    if not body.strip():
        raise Misbehaved(f"{shown}: HTTP 200 with an empty body", advice="An empty answer is not an empty list.")
    kind = content_type.partition(";")[0].strip()
    if not _JSON.fullmatch(kind):
        raise Misbehaved(
            f"{shown}: HTTP 200 with {clean(kind)[:80] or 'no content type'} instead of JSON",
            advice="Check the URL; a log-in page or a proxy may have answered.",
        )


def parse(body: bytes, expect: type[Any], shown: str) -> Any:
    """Return the JSON in ``body``; raise ``Misbehaved`` where it is none or its top is no ``expect``."""
    try:
        # RFC 8259 lets a reader pass over the mark that some servers write before UTF-8.
        found = msgspec.json.decode(body.removeprefix(codecs.BOM_UTF8))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Misbehaved(
            f"{shown}: malformed JSON: {clean(str(error))}", advice="Ask the provider, or check any proxy."
        ) from None
    if not isinstance(found, expect):
        raise Misbehaved(
            f"{shown}: the answer is {type(found).__name__} where {expect.__name__} is due",
            advice="The interface differs from the one this connector knows; check its version.",
        )
    return found


def leniently(body: bytes) -> Any:
    """Return the JSON in ``body``, None where it is none."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def words_of(body: bytes) -> str:
    """Return what the provider says went wrong, in brackets, without secrets; empty where it says nothing."""
    text = ""
    try:
        found = msgspec.json.decode(body)
        # Some providers (Salesforce) list their errors; the first is the cause.
        found = found[0] if isinstance(found, list) and found else found
        inner = found.get("error") if isinstance(found, dict) else None
        for source in (found, inner):
            if isinstance(source, dict):
                text = next((str(source[w]) for w in _WORDS if isinstance(source.get(w), str)), text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Cut to what is shown only once it is clean: half a secret at the cut would not be recognised.
        text = "an HTML page" if body.lstrip().startswith(b"<") else body[:_READ].decode("utf-8", "replace")
    said = clean(text)
    return f" ({said})" if said else ""


def clean(text: str) -> str:
    """Return what a provider said on one line, without known secrets and without what looks like one."""
    text = redact(text)
    for pattern in _TOKENS:
        text = pattern.sub(r"\g<1>[redacted]", text)
    return " ".join(text.split())[:_SHOWN]


def retry_after(headers: httpx.Headers) -> float | None:
    """Return the seconds to wait by ``Retry-After``, a number or a date; None where it says neither."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (_aware(until) - _their_now(headers)).total_seconds())


def reset_at(header: str) -> ResetHook:
    """Read a header that says at which Unix second a limit ends, by the provider's clock where it sends ``Date``."""

    def wait(headers: httpx.Headers) -> float | None:
        try:
            ends = datetime.fromtimestamp(int(headers[header]), UTC)
        except (KeyError, ValueError, OverflowError, OSError):
            return None
        return max(0.0, (ends - _their_now(headers)).total_seconds())

    return wait


def next_link(headers: httpx.Headers) -> str | None:
    """Return the target of ``rel="next"`` among all ``Link`` headers (RFC 8288), None where there is none.

    Raises ``Misbehaved`` for a header that is no list of links: the next page may be what cannot be read of it.
    """
    text = ", ".join(one.strip(" ,") for one in headers.get_list("link"))
    place = 0
    while place < len(text):
        link = _LINK.match(text, place)
        if link is None:
            raise Misbehaved(
                f"the header Link cannot be read: {clean(text[place:].partition('?')[0])}",
                advice='Report this to the provider: a link is written <URL>; rel="next".',
            )
        place = link.end()
        if "next" in _relations(link.group(2)):
            return link.group(1)
    return None


def _relations(parameters: str) -> list[str]:
    """Return what the first ``rel`` among the parameters of a link says."""
    for name, value in _RELATION.findall(parameters):
        if name.casefold() == "rel":
            return str(value).strip("\"'").casefold().split()
    return []


def _their_now(headers: httpx.Headers) -> datetime:
    """Return the provider's present instant, ours where it does not send one: clocks differ."""
    try:
        return _aware(parsedate_to_datetime(headers.get("date", "")))
    except ValueError:
        return clock.now()


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)

"""The endpoints of ``[inbound]``: checked before anything listens, and what each makes of a delivery."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

import jmespath
import msgspec
from jmespath.exceptions import JMESPathError

from reconciler.errors import ConfigurationError
from reconciler.sdk.http import check_url
from reconciler.sdk.secrets import reveal
from reconciler.sdk.webhooks import signer
from reconciler.sections.inbound import Inbound
from reconciler.settings import Settings
from reconciler.web.api import signatures
from reconciler.web.api.signatures import Headers, NotGenuineError

Check = Literal["reread", "person"]

_LONGEST_ID = 200
_MOST_SUBJECTS = 500
_NUMBERED = ("x-github-delivery", "x-atlassian-webhook-identifier")
"""Where a delivery in GitHub's style has its id: GitHub's own, and Jira's."""
_KEPT = {
    "standard": ("webhook-id", "webhook-timestamp", "webhook-signature"),
    "github": (*_NUMBERED, "x-github-event", "x-hub-signature-256", "x-hub-signature"),
    "veeva": ("x-vaultapi-signaturev2",),
}
_SPARK = "x-vaultapisignature-"
_RESENT = ("send_attempt", "send_message_timestamp")
"""What a vault alters of a Spark message when it sends it again."""


class Wanted(NamedTuple):
    """What a delivery asks for."""

    event: str
    """Its name; empty where it has none."""
    subjects: tuple[str, ...]
    """Whom or what it concerns, each once."""
    left: int
    """How many more it names that nobody looks at: beyond the limit, or no ids."""
    check: Check | None
    """None: nothing is to be checked."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One ``[inbound.NAME]``, its expressions compiled."""

    name: str
    section: Inbound
    event: Callable[[Any], Any]
    subject: Callable[[Any], Any]

    @property
    def path(self) -> str:
        """Where it listens."""
        return f"/hooks/{self.name}"

    def kept(self, headers: Headers) -> dict[str, str]:
        """Return the headers that are evidence: those that the signature covers, or that name the delivery."""
        named = _KEPT[self.section.kind]
        spark = _SPARK if self.section.kind == "veeva" else "\n"
        return {key: value for key, value in headers if key in named or key.startswith(spark)}

    def genuine(self, headers: Headers, body: bytes, *, now: datetime) -> str | None:
        """Verify a delivery by its shared secret; return its signed id, None where the id is not signed.

        Raises ``NotGenuineError``, and ``ConfigurationError`` for a secret that is no longer there.
        """
        references = self.section.secrets
        if self.section.kind == "github":
            signatures.github(headers, body, secrets=[reveal(reference) for reference in references])
            return None
        tolerance = timedelta(seconds=self.section.tolerance_seconds)
        signers = [signer(reference) for reference in references]
        return signatures.standard(headers, body, signers=signers, now=now, tolerance=tolerance)

    def delivery_id(self, signed: str | None, headers: Headers, content: Mapping[str, Any]) -> str:
        """Return the id by which a delivery is told from others; raise ``ValueError`` where it has none to use."""
        found: object = signed
        if self.section.kind == "github":
            try:
                found = signatures.one(headers, *_NUMBERED)
            except NotGenuineError as error:
                raise ValueError(str(error)) from None
        elif self.section.kind == "veeva":
            found = content.get("message_id")
        if (
            not isinstance(found, str)
            or not 0 < len(found) <= _LONGEST_ID
            or not (found.isascii() and found.isprintable())
        ):
            raise ValueError(f"the delivery has no id of at most {_LONGEST_ID} plain characters")
        return found

    def essence(self, body: bytes) -> object:
        """Return what of a body stays the same when its sender sends it again."""
        if self.section.kind != "veeva":
            return body
        content = parsed(body)
        message = content.get("message")
        if isinstance(message, dict) and isinstance(attributes := message.get("attributes"), dict):
            # A session for whoever may call back; another is made for each attempt.
            content["message"] = message | {"attributes": {k: v for k, v in attributes.items() if k != "authorization"}}
        return {key: value for key, value in content.items() if key not in _RESENT}

    def wanted(self, content: object) -> Wanted:
        """Return what a body asks for; raise ``ValueError`` where the expressions do not fit it."""
        try:
            event, said = self.event(content), self.subject(content)
        except JMESPathError as error:
            raise ValueError(f"the expressions do not fit the body: {line(str(error))}") from None
        name = event if isinstance(event, str) else ""
        named = [each for each in (said if isinstance(said, list) else [said]) if each is not None]
        subjects = tuple(dict.fromkeys(str(each) for each in named if _is_id(each)))
        checks = self.section.checks
        return Wanted(
            event=line(name),
            subjects=subjects[:_MOST_SUBJECTS],
            left=len(subjects[_MOST_SUBJECTS:]) + sum(not _is_id(each) for each in named),
            check=checks.get(name) if checks else "reread",
        )


def parsed(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body holds; raise ``ValueError`` for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("the body is no JSON object") from None


def digest(body: bytes) -> str:
    """Return the SHA-256 of a body, in hexadecimal."""
    return hashlib.sha256(body).hexdigest()


def prepare(settings: Settings) -> dict[str, Endpoint]:
    """Return the endpoints by name.

    Raises ``ConfigurationError`` that lists, with file and line, whatever could not work: secrets that are missing,
    expressions that are none, sources and systems that there are not, checks that nothing could be read for.
    """
    problems = [problem for name in settings.config.inbound for problem in _problems(settings, name)]
    if problems:
        raise ConfigurationError("\n".join(problems), advice="Correct it, then start again.")
    return {
        name: Endpoint(name, section, jmespath.compile(section.event).search, jmespath.compile(section.subject).search)
        for name, section in settings.config.inbound.items()
    }


def _problems(settings: Settings, name: str) -> Iterator[str]:
    section = settings.config.inbound[name]

    def at(key: str, said: str) -> str:
        return f"{settings.at('inbound', name, key)}: inbound.{name}.{key}: {said}"

    for key in ("event", "subject"):
        try:
            jmespath.compile(getattr(section, key))
        except JMESPathError as error:
            yield at(key, f"is no JMESPath: {' '.join(str(error).split())}")
    if section.source is not None and section.source not in settings.sources:
        yield at("source", f"there is no source {section.source}")
    if section.system is not None and section.system not in settings.systems:
        yield at("system", f"there is no system {section.system} in [filing.systems]")
    rereads = "reread" in section.checks.values() or not section.checks
    if rereads and section.source is None and section.system is None:
        yield at("source", "is missing, and so is system: one of them is read again after a delivery")
    if not rereads and (section.source or section.system):
        yield at("source" if section.source else "system", "has no effect: no check says reread")
    if section.kind == "veeva":
        yield from _of_vaults(section, at)
    else:
        yield from _of_secrets(section, at)


def _of_vaults(section: Inbound, at: Callable[[str, str], str]) -> Iterator[str]:
    if section.secrets:
        yield at("secrets", "has no effect: Spark messages are signed with a vault's own key")
    if "tolerance_seconds" in section.model_fields_set:
        yield at("tolerance_seconds", "has no effect: a Spark message says itself until when it holds")
    if not section.vault_ids:
        yield at("vault_ids", "is missing: every vault of every customer signs with the same keys")
    if section.certificate_url is None:
        yield at("certificate_url", "is missing: https://VAULT/api/VERSION/services/certificate/")
        return
    try:
        check_url(section.certificate_url, secret=True)
    except ValueError as error:
        yield at("certificate_url", f"{error}")


def _of_secrets(section: Inbound, at: Callable[[str, str], str]) -> Iterator[str]:
    for key, value in (("certificate_url", section.certificate_url), ("vault_ids", section.vault_ids)):
        if value:
            yield at(key, "is for kind = veeva only")
    if not section.secrets:
        yield at("secrets", "is missing: without one nobody could be told from anybody else")
    for reference in section.secrets:
        try:
            _ = signer(reference) if section.kind == "standard" else reveal(reference)
        except ConfigurationError as error:
            yield at("secrets", f"{error.message}. {error.advice}")


def line(text: str) -> str:
    """Return a text of a sender as one short line that a terminal can be given."""
    plain = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(plain.split())[:_LONGEST_ID]


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return bool(value.strip()) and value.isprintable() and len(value) <= _LONGEST_ID
    return isinstance(value, int) and not isinstance(value, bool)

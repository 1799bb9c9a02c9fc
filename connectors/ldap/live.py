"""Re-read one account and its credentials by immutable id; and say "gone" only with proof that it would be seen."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.sdk.connector import LiveAccount, LiveCredentials, Presence
from reconciler.sdk.errors import Refused
from reconciler.sdk.records import Credential, CredentialKind

from .client import Client, Search
from .connector import CERTIFICATES, Mapper, is_unreadable
from .dn import normalise, under
from .find import canary_trouble, deleted_objects, id_condition, sees_deleted
from .profiles import ACTIVE_DIRECTORY
from .referrals import referral_gaps
from .sight import hidden_below, unseen
from .values import Entry

KINDS: tuple[CredentialKind, ...] = ("password", "ssh_key", "certificate", "mfa_factor", "session")
"""Every class of credentials of a directory; the last two it does not list."""
_KEY_ATTRIBUTES = {"ssh_key": ("sshPublicKey",), "certificate": CERTIFICATES}
_CACHES = "hosts that cache the directory honour it until their cache expires (SSSD: 90 minutes unless configured)"
_CERTIFICATE_LAG = "a certificate is valid until it expires or its CA revokes it, whatever the directory lists"
_SESSION_LAG = "a connection that is signed in stays so until it closes; servers that read a replica follow its lag"
_AD_SESSION_LAG = (
    "a Kerberos ticket-granting ticket is honoured until it ends (10 hours unless configured), service tickets alike; "
    "open SMB and LDAP sessions until they close"
)
_AD_SIGN_IN_LAG = "workstations off the network accept cached sign-ins; other domain controllers follow replication"
_NO_LIST = "a directory keeps no list of them"


def unevaluated(account_id: str, reason: str, *, active_directory: bool = False) -> LiveAccount:
    """Say of an account and all its credentials that they could not be told, and why."""
    lag = _AD_SESSION_LAG if active_directory else _SESSION_LAG
    nothing = Presence.NOT_EVALUABLE
    credentials = tuple(
        LiveCredentials(kind, nothing, reason=reason, lag=lag if kind == "session" else "") for kind in KINDS
    )
    return LiveAccount(account_id, nothing, reason=reason, credentials=credentials)


@dataclass(slots=True)
class Rereader:
    """Re-reads one account over one connection."""

    client: Client
    mapper: Mapper
    contexts: Sequence[str]
    digest: Any = field(default_factory=hashlib.sha256)

    def reread(self, account_id: str) -> LiveAccount:
        """Return what the server says of this id now; raises ``SourceError`` where it does not answer."""
        profile = self.mapper.profile
        condition = id_condition(account_id, profile)
        if condition is None:
            return self._unknown(account_id, f"it can be no {profile.id_attribute}: this directory was not asked")
        blocked: list[str] = []
        for place in self._places(blocked):
            try:
                found, referred = self._search(place, condition)
            except Refused as refusal:
                blocked.append(refusal.message)
                continue
            if found:
                return self._present(account_id, found)
            blocked += [f"part of {place} lies on another server, {url}" for url in referred]
        containers = deleted_objects(self.mapper, self.contexts, self.mapper.settings.bases)
        for container in containers:
            if not sees_deleted(self.client, container):
                blocked.append(f"it may be deleted and restorable: {container} is not to be seen")
                continue
            found, _ = self._search(container, condition, deleted=True)
            if found:
                return self._deleted(account_id, found[0])
        return self._absent(account_id, blocked)

    def _places(self, blocked: list[str]) -> list[str]:
        """Return where to look: every base DN, then the naming contexts around them, where an entry may have moved."""
        bases = self.mapper.settings.bases
        around = []
        for base in bases:
            holding = [c for c in self.contexts if under(normalise(base), normalise(c))]
            if not holding:
                blocked.append(f"the server does not say which naming context holds {base}")
            around += [context for context in holding if normalise(context) not in map(normalise, bases)]
        return list(dict.fromkeys([*bases, *around]))

    def _search(self, base: str, condition: str, *, deleted: bool = False) -> tuple[list[Entry], list[str]]:
        mapper = self.mapper
        wanted = (*mapper.account_attributes(), *mapper.credential_attributes(), "isDeleted", "lastKnownParent")
        search = Search(base, condition, tuple(dict.fromkeys(wanted)), 2, deleted=deleted)
        found: list[Entry] = []
        referred: list[str] = []
        for answer in self.client.pages(search):
            found += answer.entries
            referred += [
                gap.subject for gap in referral_gaps("accounts", answer.referrals, mapper.settings, mapper.profile)
            ]
        for entry in found:
            self._note([entry.dn, {name: [v.hex() for v in values] for name, values in entry.attributes.items()}])
        return found, referred

    def _present(self, account_id: str, found: Sequence[Entry]) -> LiveAccount:
        entry, mapper = found[0], self.mapper
        if len(found) > 1:
            return self._unknown(account_id, f"{found[0].dn} and {found[1].dn} both carry this id")
        mapper.locks_unseen = unseen(self.client, entry.dn, "(objectClass=*)", mapper.profile.locks)
        row = mapper.account(entry)
        trouble = [gap.reason for gap in mapper.take_gaps()]
        outside = not any(under(normalise(entry.dn), normalise(base)) for base in mapper.settings.bases)
        notes = [f"it lies outside every base_dn: {entry.dn}"] if outside else []
        if row.status is None:
            notes += trouble or ["its status is hidden from this reader"]
            presence = Presence.NOT_EVALUABLE
        else:
            presence = Presence.DISABLED if row.status == "disabled" else Presence.PRESENT
        listed = list(mapper.credentials(entry))
        credentials = (
            self._password(entry, presence),
            *(self._keys(kind, entry, listed) for kind in ("ssh_key", "certificate")),
            *self._unlisted(tuple(row.credential_id for row in listed if row.kind == "mfa_factor")),
        )
        return LiveAccount(
            account_id,
            presence,
            login=row.login,
            raw_status=row.raw_status,
            status=row.status,
            reason="; ".join(notes),
            credentials=credentials,
            digest=self.digest.hexdigest(),
        )

    def _password(self, entry: Entry, account: Presence) -> LiveCredentials:
        """Judge the password without reading it: its dates, or a filter on its being there, tell of it."""
        profile = self.mapper.profile
        lag = _AD_SIGN_IN_LAG if profile is ACTIVE_DIRECTORY else _SESSION_LAG
        ids = (f"{self.mapper.identifier(entry)}:password",)
        if account is Presence.NOT_EVALUABLE:
            return LiveCredentials("password", account, reason="the status of the account is not known", lag=lag)
        exists: bool | None = profile is ACTIVE_DIRECTORY or any(entry.raw(name) for name in profile.password_changed)
        if not exists:
            exists = self._has(entry.dn, "userPassword")
        if exists is False:
            return LiveCredentials("password", Presence.GONE, reason="the entry has no userPassword", lag=lag)
        if account is Presence.DISABLED:
            return LiveCredentials("password", Presence.DISABLED, ids, "the account is disabled", lag)
        if exists is None:
            reason = "whether one is set is hidden: the reader may not search userPassword"
            return LiveCredentials("password", Presence.NOT_EVALUABLE, reason=reason, lag=lag)
        return LiveCredentials("password", Presence.PRESENT, ids, lag=lag)

    def _has(self, dn: str, attribute: str) -> bool | None:
        """Ask by filters whether an entry has an attribute; None where the reader may not search it."""
        for condition, answer in ((f"({attribute}=*)", True), (f"(!({attribute}=*))", False)):
            if self.client.page(Search(dn, condition, ("1.1",), 1, "BASE"), None).entries:
                return answer
        return None

    def _keys(self, kind: CredentialKind, entry: Entry, listed: Sequence[Credential]) -> LiveCredentials:
        lag = _CACHES if kind == "ssh_key" else _CERTIFICATE_LAG
        ids = tuple(row.credential_id for row in listed if row.kind == kind)
        names = _KEY_ATTRIBUTES[kind]
        if ids and all(map(is_unreadable, ids)):
            return LiveCredentials(kind, Presence.NOT_EVALUABLE, ids, "what is listed cannot be read", lag)
        if ids:
            reason = (
                "" if kind == "certificate" else "hosts honour it until it is removed, whatever the account's status"
            )
            return LiveCredentials(kind, Presence.PRESENT, ids, reason, lag)
        if unseen(self.client, entry.dn, "(objectClass=*)", (names[-1],)):
            reason = f"{names[-1]} is hidden from this reader"
            return LiveCredentials(kind, Presence.NOT_EVALUABLE, reason=reason, lag=lag)
        return LiveCredentials(kind, Presence.GONE, reason="the entry lists none", lag=lag)

    def _unlisted(self, device_keys: tuple[str, ...] = ()) -> tuple[LiveCredentials, ...]:
        """Report the classes that no directory lists whole: of second factors, AD lists keys of devices only."""
        lag = _AD_SESSION_LAG if self.mapper.profile is ACTIVE_DIRECTORY else _SESSION_LAG
        factors = Presence.NOT_EVALUABLE if all(map(is_unreadable, device_keys)) else Presence.PRESENT
        return (
            LiveCredentials("mfa_factor", factors, device_keys, "" if device_keys else _NO_LIST),
            LiveCredentials("session", Presence.NOT_EVALUABLE, reason=_NO_LIST, lag=lag),
        )

    def _deleted(self, account_id: str, entry: Entry) -> LiveAccount:
        """Report an object that Active Directory keeps after its deletion: it can be restored, so it is not gone."""
        reason = "it is deleted and can be restored until the directory forgets it"
        state = f"isDeleted=TRUE lastKnownParent={entry.text('lastKnownParent') or 'unknown'}"
        credentials = tuple(
            LiveCredentials(kind, Presence.DISABLED, reason=reason) for kind in ("password", "ssh_key", "certificate")
        )
        return LiveAccount(
            account_id,
            Presence.DISABLED,
            login=self.mapper.login(entry),
            raw_status=state,
            status="deleted",
            reason=reason,
            credentials=(*credentials, *self._unlisted()),
            digest=self.digest.hexdigest(),
        )

    def _absent(self, account_id: str, blocked: list[str]) -> LiveAccount:
        """Say "gone" where every place answered and canaries came back in the same way; else say why not."""
        proofs: list[str] = []
        for base in self.mapper.settings.bases:
            came, trouble = canary_trouble(self.client, self.mapper, base)
            proofs += came
            if trouble:
                blocked.append(trouble)
            elif not came:
                blocked.append(f"no canary is configured below {base}, so an empty answer proves nothing")
        if not blocked:
            blocked += self._hidden()
        name = self.mapper.profile.id_attribute
        if blocked:
            return self._unknown(account_id, f"no entry with this {name} was shown, and {'; '.join(blocked)}")
        reason = f"the server has no entry with this {name}; asked in the same way it showed {', '.join(proofs)}"
        self._note([account_id, proofs])
        kinds = (("password", _SESSION_LAG), ("ssh_key", _CACHES), ("certificate", _CERTIFICATE_LAG))
        credentials = tuple(
            LiveCredentials(kind, Presence.GONE, reason="it went with the account's entry", lag=lag)  # type: ignore[arg-type] # three of its literals
            for kind, lag in kinds
        )
        return LiveAccount(
            account_id,
            Presence.GONE,
            reason=reason,
            credentials=(*credentials, *self._unlisted()),
            digest=self.digest.hexdigest(),
        )

    def _hidden(self) -> list[str]:
        """Return what shows that this reader does not see all of the naming contexts: the account may be there."""
        mapper, bases = self.mapper, [normalise(base) for base in self.mapper.settings.bases]
        contexts = [c for c in self.contexts if any(under(base, normalise(c)) for base in bases)]
        size = mapper.settings.page_size
        found = (hidden_below(self.client, context, mapper.profile, size) for context in contexts)
        return [reason for reason in found if reason]

    def _unknown(self, account_id: str, reason: str) -> LiveAccount:
        return unevaluated(account_id, reason, active_directory=self.mapper.profile is ACTIVE_DIRECTORY)

    def _note(self, answer: object) -> None:
        self.digest.update(json.dumps(answer, sort_keys=True).encode())

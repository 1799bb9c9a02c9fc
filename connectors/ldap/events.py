"""Changes to standard identity events, and the page chain that reads them from a change log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from reconciler.sdk.connector import Gap
from reconciler.sdk.records import Action, Event

from .changes import (
    ACCESSLOG_ATTRIBUTES,
    CHANGELOG_ATTRIBUTES,
    Change,
    Modification,
    from_accesslog,
    from_changelog,
)
from .client import Client, Missing, Search
from .dn import normalise, under
from .principals import Holder, Index, digest, unpack
from .profiles import DIRECTORY_389, Profile
from .settings import Settings

_MEMBERS = frozenset(("member", "uniquemember", "memberuid"))
_KEYS = frozenset(("sshpublickey", "usercertificate"))
_GROUPS = frozenset(("groupofnames", "groupofuniquenames", "groupofmembers", "posixgroup", "groupofurls"))
_ACCOUNTS = frozenset(("person", "inetorgperson", "posixaccount", "account", "simplesecurityobject"))
_OWN = frozenset(
    (
        "modifiersname", "modifytimestamp", "creatorsname", "createtimestamp", "entrycsn", "entryuuid", "entryid",
        "structuralobjectclass", "pwdchangedtime", "pwdhistory", "pwdfailuretime", "pwdgraceusetime",
        "pwdlastsuccess", "authtimestamp", "passwordretrycount", "retrycountresettime", "passwordgraceusertime",
        "passwordexpirationtime", "passwordexpwarned", "passwordhistory", "pwdupdatetime", "shadowlastchange",
        "lastlogintime", "parentid", "dsentrydn", "contextcsn",
    )
)  # fmt: skip
"""What the server itself writes beside a change: no change of the account."""
_FOR_GOOD = "000001010000Z"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a change did; ``to`` is the member it was done to, empty for the entry itself."""

    action: Action | None
    to: str = ""


def steps(change: Change, kind: str | None) -> list[Step]:
    """Say what a change did to an entry of ``kind`` (account, entitlement, None: neither, or unknown)."""
    if change.kind == "bind":
        return [Step("sign_in")]
    if kind == "entitlement":
        return list(_to_group(change)) or [Step(None)]
    if kind != "account":
        return [Step(None)]
    whole: dict[str, Action] = {"add": "account_created", "delete": "account_deleted"}
    if change.kind in whole:
        return [Step(whole[change.kind])]
    if change.kind != "modify":
        return [Step("account_changed" if change.kind in {"modrdn", "moddn"} else None)]
    return [Step(action) for action in dict.fromkeys(_to_account(change.modifications))] or [Step(None)]


def _to_group(change: Change) -> Iterator[Step]:
    for each in change.modifications:
        if each.attribute not in _MEMBERS:
            continue
        if each.verb == "=" or not each.values:
            yield Step("role_changed")  # who came and who went is not in the log
            continue
        for value in each.values:
            if each.verb in {"+", "-"} and value.strip():
                yield Step("entitlement_granted" if each.verb == "+" else "entitlement_revoked", value)


def _to_account(modifications: Sequence[Modification]) -> Iterator[Action]:
    verbs: dict[str, list[Modification]] = {}
    for each in modifications:
        verbs.setdefault(each.attribute, []).append(each)
    for attribute, done in verbs.items():
        now = [value for each in done if each.verb in {"+", "="} for value in each.values]
        if attribute == "nsaccountlock":
            yield "account_disabled" if "true" in [value.lower() for value in now] else "account_enabled"
        elif attribute == "pwdaccountlockedtime":
            yield "account_disabled" if _FOR_GOOD in now else "account_changed" if now else "account_enabled"
        elif attribute == "userpassword":
            yield "credential_rotated" if now else "credential_revoked"
        elif attribute in _KEYS:
            removed = any(each.verb in {"-", "="} for each in done)
            yield "credential_rotated" if now and removed else "credential_created" if now else "credential_revoked"
        elif attribute not in _OWN:
            yield "account_changed"


@dataclass(slots=True)
class EventChain:
    """Reads a change log from ``since`` on, in pages; what lies outside every base DN is left out."""

    client: Client
    source: str
    settings: Settings
    profile: Profile
    index: Index
    since: datetime
    gaps: list[Gap] = field(default_factory=list)
    kinds: dict[str, str] = field(default_factory=dict)
    """Immutable id -> kind, of entries that this log saw being made."""

    @property
    def base(self) -> str:
        """The base DN of the log."""
        return self.settings.accesslog_base or ""

    def pages(self) -> Iterator[tuple[list[Event], list[Gap], int | None, bool]]:
        """Yield (rows, gaps, the number of all rows where the server's own counter vouches for them, whether last)."""
        changelog = self.profile is DIRECTORY_389
        read = from_changelog if changelog else from_accesslog
        newest = self._newest() if changelog else None
        numbers: list[int] = []
        count = 0
        for answer in self.client.pages(self._search(changelog)):
            rows: list[Event] = []
            for entry in answer.entries:
                try:
                    change = read(entry)
                except ValueError as error:
                    self.gaps.append(Gap("events", entry.dn, f"an entry of the change log cannot be read: {error}"))
                    continue
                if changelog:
                    numbers.append(int(change.event_id))
                if change.occurred_at is None or change.occurred_at >= self.since:
                    rows += self.events(change)
            count += len(rows)
            last = answer.cookie is None
            if not (rows or self.gaps or last):
                continue  # a log begins long before the window: its pages are no chain without an end
            vouched = last and newest is not None and self._are_all(numbers, newest)
            taken, self.gaps = self.gaps, []
            yield rows, taken, count if vouched else None, last

    def events(self, change: Change) -> list[Event]:
        """Make the rows of one change; none where it concerns nothing below a base DN."""
        key = normalise(change.dn)
        if not any(under(key, normalise(base)) for base in (*self.settings.bases, *self.settings.group_bases)):
            return []
        target = self._holder(change.dn)
        kind = target.kind if target else self._kind(change)
        identifier = change.unique_id or (target.identifier if target else change.dn)
        if kind and change.unique_id:
            self.kinds[change.unique_id] = kind
        actor = self._holder(change.actor) if change.actor else None
        rows = []
        for number, step in enumerate(steps(change, kind)):
            member = self._holder(step.to) if step.to else None
            rows.append(
                Event(
                    source=self.source,
                    event_id=f"{change.event_id}#{number}" if number else change.event_id,
                    occurred_at=change.occurred_at,
                    actor_id=actor.identifier if actor else change.actor,
                    actor_kind=actor.kind if actor else None,
                    action=step.action,
                    raw_action=change.kind or None,
                    target_id=(member.identifier if member else step.to) if step.to else identifier,
                    target_kind=(member.kind if member else None) if step.to else kind,
                    entitlement_id=identifier if kind == "entitlement" else None,
                    outcome=change.outcome,
                    raw_digest=change.digest,
                )
            )
        return rows

    def _search(self, changelog: bool) -> Search:
        size = self.settings.page_size
        if changelog:
            # Its changeTime is a text without an ordering rule: all is read, and the window is kept here.
            return Search(self.base, "(objectClass=changeLogEntry)", CHANGELOG_ATTRIBUTES, size)
        kinds = "".join(f"(reqType={kind})" for kind in ("add", "modify", "delete", "modrdn", "bind"))
        start = self.since.strftime("%Y%m%d%H%M%S.%fZ")
        return Search(self.base, f"(&(reqStart>={start})(|{kinds}))", ACCESSLOG_ATTRIBUTES, size)

    def _newest(self) -> int | None:
        """Return the number of the newest change that the server's root entry tells of; None where it does not."""
        found = self.client.entry("", ("lastchangenumber",))
        told = None if isinstance(found, Missing) else found.text("lastchangenumber")
        return int(told) if told and told.isdigit() else None

    def _are_all(self, numbers: Sequence[int], newest: int) -> bool:
        """Say whether no change is missing: numbers follow one another, up to the newest before the read began."""
        ordered = sorted(numbers)
        sent = ordered[-1] if ordered else 0
        holes = sum(after - before - 1 for before, after in pairwise(ordered))
        permission = f"read and search access to {self.base}"
        if sent < newest:
            reason = f"the newest change is number {newest}, and the newest that was sent is {sent or 'none'}"
            self.gaps.append(Gap("events", self.base, reason, permission))
        if holes:
            reason = f"{holes} numbers are missing between the changes that were sent"
            self.gaps.append(Gap("events", self.base, reason, permission))
        return sent >= newest and not holes

    def _holder(self, name: str) -> Holder | None:
        """Return whom a DN, or the login of a memberUid, names now; None where nobody is called so any more."""
        packed = self.index.holders.get(digest(normalise(name))) if "=" in name else None
        packed = packed or self.index.logins.get(digest(name.casefold()))
        return unpack(packed) if packed else None

    def _kind(self, change: Change) -> str | None:
        """Tell the kind of an entry that is not there any more: by what the log says of its classes, or said before."""
        if change.classes:
            return "entitlement" if change.classes & _GROUPS else "account" if change.classes & _ACCOUNTS else None
        return self.kinds.get(change.unique_id or "")

"""What is used of Okta's objects, typed, so that a page is decoded in one go and everything else skipped.

A page with a value of the wrong type is decoded again, value by value: what fits is kept, what does not is None and
said. A secret that Okta may send (``client_secret``) is in no shape, so it is never held.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar, cast, get_type_hints

import msgspec
from msgspec import UNSET, Struct, UnsetType

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import Misbehaved

T = TypeVar("T")
Instant = Annotated[datetime, msgspec.Meta(tz=True)]
_DEEPEST = 4


@dataclass(frozen=True, slots=True)
class Problem:
    """A value that did not fit: of which object (empty: it has no id), where in it, and why."""

    subject: str
    reason: str
    lost: bool = False
    """Whether the object could not be kept at all."""


class Provider(Struct, gc=False):
    """Who authenticates a user."""

    type: str | None = None


class UserCredentials(Struct, gc=False):
    """What Okta says of a user's credentials: whether there is a password, never the password."""

    password: dict[str, Any] | UnsetType | None = UNSET
    provider: Provider | None = None


class User(Struct, rename="camel", gc=False):
    """A user; ``user_shape`` adds the profile."""

    id: str
    status: str | None = None
    transitioning_to_status: str | None = None
    created: Instant | None = None
    last_login: Instant | UnsetType | None = UNSET
    password_changed: Instant | None = None
    credentials: UserCredentials | None = None
    profile: Any = None
    """A structure that ``user_shape`` made."""


Scalar = str | int | float | bool | None


def user_shape(named: Sequence[str], kept: Sequence[str]) -> tuple[type[User], Mapping[str, str]]:
    """Make the type of a user whose profile holds the attributes ``named`` and ``kept``, and nothing else.

    Returns it with the field of each attribute: what a profile attribute is called is up to the organisation.
    """
    fields = {name: f"at{place}" for place, name in enumerate(dict.fromkeys((*named, *kept)))}
    hints: list[Any] = [(field, Scalar if name in named else Any, None) for name, field in fields.items()]
    encoded = {field: name for name, field in fields.items()}
    profile = msgspec.defstruct("Profile", hints, rename=encoded, gc=False)
    user = msgspec.defstruct("User", [("profile", profile | None, None)], bases=(User,), rename="camel", gc=False)
    return cast("type[User]", user), fields


class UserId(Struct, gc=False):
    """Of any object, its id alone."""

    id: str


class Stats(Struct, rename="camel", gc=False):
    """Counts over a group."""

    users_count: int | None = None
    has_admin_privlege: bool | None = None
    """Spelt so in Okta's own specification."""
    has_admin_privilege: bool | None = None


class GroupEmbedded(Struct, gc=False):
    """What ``expand=stats`` adds to a group."""

    stats: Stats | None = None


class GroupProfile(Struct, gc=False):
    """Name and description of a group."""

    name: str | None = None
    description: str | None = None


class Group(Struct, gc=False):
    """A group."""

    id: str
    type: str | None = None
    profile: GroupProfile | None = None
    embedded: GroupEmbedded | None = msgspec.field(default=None, name="_embedded")

    @property
    def members(self) -> int | None:
        """Okta's own count of members, None where it gave none."""
        stats = self.embedded and self.embedded.stats
        return stats.users_count if stats else None

    @property
    def administers(self) -> bool | None:
        """Whether an admin role is assigned to the group, None where Okta did not say."""
        stats = self.embedded and self.embedded.stats
        if not stats:
            return None
        return stats.has_admin_privlege if stats.has_admin_privlege is not None else stats.has_admin_privilege


class RuleTarget(Struct, rename="camel", gc=False):
    """The groups that a rule adds users to."""

    group_ids: list[str] | None = None


class RuleActions(Struct, rename="camel", gc=False):
    """What a rule does."""

    assign_user_to_groups: RuleTarget | None = None


class Rule(Struct, gc=False):
    """A group rule."""

    id: str
    name: str | None = None
    status: str | None = None
    actions: RuleActions | None = None


class OauthClient(Struct, gc=False):
    """The client of an OAuth app."""

    client_id: str | None = None


class AppCredentials(Struct, rename="camel", gc=False):
    """The credentials of an app, without its secret."""

    oauth_client: OauthClient | None = None


class OauthSettings(Struct, gc=False):
    """What an OAuth client may do."""

    application_type: str | None = None
    grant_types: list[str] | None = None


class AppSettings(Struct, rename="camel", gc=False):
    """The settings of an app."""

    oauth_client: OauthSettings | None = None


class App(Struct, rename="camel", gc=False):
    """An app."""

    id: str
    name: str | None = None
    label: str | None = None
    status: str | None = None
    sign_on_mode: str | UnsetType | None = UNSET
    """None where Okta says that there is none, as of a directory that only provisions."""
    created: Instant | None = None
    credentials: AppCredentials | None = None
    settings: AppSettings | None = None

    @property
    def client_id(self) -> str | None:
        """The OAuth client id, None for an app that is no OAuth client."""
        client = self.credentials and self.credentials.oauth_client
        return client.client_id if client else None

    @property
    def is_oauth(self) -> bool:
        """Whether the app is an OAuth client."""
        return self.sign_on_mode == "OPENID_CONNECT" or self.client_id is not None

    @property
    def is_service(self) -> bool:
        """Whether the app acts for itself: a service, or a client with the client credentials grant."""
        oauth = self.settings and self.settings.oauth_client
        if not oauth:
            return False
        return oauth.application_type == "service" or "client_credentials" in (oauth.grant_types or ())

    @property
    def ref(self) -> AppRef:
        """The app, as far as reading below it takes."""
        return AppRef(self.id, self.label, self.client_id, self.is_service)


class AppRef(Struct, array_like=True, frozen=True):
    """As much of an app as reading below it takes."""

    id: str
    label: str | None = None
    client_id: str | None = None
    is_service: bool = False


class AppUser(Struct, gc=False):
    """A user's assignment to an app."""

    id: str
    scope: str | None = None
    status: str | None = None
    created: Instant | None = None


class AppGroup(Struct, gc=False):
    """A group's assignment to an app."""

    id: str


class TargetGroups(Struct, gc=False):
    """A group or an app that an admin role is limited to."""

    id: str | None = None
    name: str | None = None
    profile: GroupProfile | None = None


class RoleAssignment(Struct, rename="camel", gc=False):
    """An admin role that a user, group or client holds."""

    id: str
    type: str | None = None
    label: str | None = None
    status: str | None = None
    assignment_type: str | None = None
    created: Instant | None = None
    role: str | None = None
    resource_set: str | None = msgspec.field(default=None, name="resource-set")


class Labelled(Struct, gc=False):
    """A custom role or a resource set."""

    id: str
    label: str | None = None
    description: str | None = None


class ScopeGrant(Struct, rename="camel", gc=False):
    """A consent to an OAuth scope."""

    id: str
    scope_id: str | None = None
    status: str | None = None
    source: str | None = None
    user_id: str | None = None
    created: Instant | None = None


class RefreshToken(Struct, rename="camel", gc=False):
    """What describes a refresh token."""

    id: str
    status: str | None = None
    user_id: str | None = None
    created: Instant | None = None
    expires_at: Instant | None = None


class Factor(Struct, rename="camel", gc=False):
    """An enrolled factor."""

    id: str
    factor_type: str | None = None
    status: str | None = None
    created: Instant | None = None


class ApiToken(Struct, rename="camel", gc=False):
    """What describes an API token."""

    id: str
    user_id: str | None = None
    created: Instant | None = None
    expires_at: Instant | None = None


class ClientSecret(Struct, gc=False):
    """What describes a client secret, never the secret."""

    id: str
    status: str | None = None
    created: Instant | None = None


class ClientKey(Struct, gc=False):
    """A public key of a client."""

    id: str | None = None
    kid: str | None = None
    status: str | None = None
    created: Instant | None = None


class Client(Struct, gc=False):
    """An OAuth client that a user has grants or tokens of."""

    client_id: str


class Actor(Struct, gc=False):
    """Who acted, or what was acted upon."""

    id: str | None = None
    type: str | None = None


class Outcome(Struct, gc=False):
    """How an event ended."""

    result: str | None = None


class LogEvent(Struct, rename="camel", gc=False):
    """An event of the System Log."""

    uuid: str
    published: Instant | None = None
    event_type: str | None = None
    actor: Actor | None = None
    outcome: Outcome | None = None
    target: list[Actor] | None = None


class Decoder(Generic[T]):
    """Decodes pages of one type of object."""

    def __init__(self, kind: type[T], *always: str, identity: str = "id") -> None:
        """Take the type; ``identity`` is the field that names an object in a gap.

        ``always`` are the fields that Okta never leaves out: one that is not there is a problem, not an unknown.
        """
        self._kind = kind
        # A field that tells null from left out may be null.
        defaults = {one.name: one.default for one in msgspec.structs.fields(cast("type[Struct]", kind))}
        self._always = [(name, UNSET if defaults[name] is UNSET else None) for name in always]
        self._identity = identity
        self._array = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type] # a type made at run time
        self._single = msgspec.json.Decoder(kind)

    def array(self, body: bytes, shown: str) -> tuple[list[T], Sequence[Problem]]:
        """Decode a JSON array; raise ``Misbehaved`` for what is no array of objects."""
        try:
            items = self._array.decode(body)
        except msgspec.ValidationError:
            return self._kept(_loose(body, list, shown))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error, shown) from None
        return items, self._missing(items)

    def single(self, body: bytes, shown: str) -> tuple[list[T], Sequence[Problem]]:
        """Decode one JSON object, as a list of one; empty where it has no id."""
        try:
            items = [self._single.decode(body)]
        except msgspec.ValidationError:
            return self._kept([_loose(body, dict, shown)])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _malformed(error, shown) from None
        return items, self._missing(items)

    def wrapped(self, body: bytes, key: str, shown: str) -> tuple[list[T], Sequence[Problem], str | None]:
        """Decode the array under ``key`` and the link to the next page."""
        found = _loose(body, dict, shown)
        rows = found.get(key)
        if not isinstance(rows, list):
            raise Misbehaved(f"{shown}: the answer holds no list {key!r}", advice="Check org_url and any proxy.")
        links = found.get("_links") or {}
        following = links.get("next") if isinstance(links, dict) else links
        if following is not None:
            following = following.get("href") if isinstance(following, dict) else None
            if not isinstance(following, str) or not following:
                raise Misbehaved(f"{shown}: the next link in the answer holds no URL")
        items, problems = self._kept(rows)
        return items, problems, following

    def _kept(self, rows: Sequence[Any]) -> tuple[list[T], Sequence[Problem]]:
        items: list[T] = []
        problems: list[Problem] = []
        for row in rows:
            subject = str(row.get(self._identity, "")) if isinstance(row, dict) else ""
            try:
                items.append(msgspec.convert(row, self._kind))
            except msgspec.ValidationError as error:
                reasons = [clean(str(error))]
                kept = _salvage(row, self._kind, _DEEPEST) if isinstance(row, dict) else None
                if kept is None:
                    problems.append(Problem(clean(subject), f"an object that cannot be kept: {reasons[0]}", lost=True))
                else:
                    items.append(kept)
                    problems.append(Problem(clean(subject), f"a value of an unknown form was left out: {reasons[0]}"))
        return items, [*problems, *self._missing(items)]

    def _missing(self, items: Sequence[T]) -> Sequence[Problem]:
        """Name the objects that lack what Okta always sends."""
        return [
            Problem(clean(str(getattr(item, self._identity))), f"Okta left out its {name}")
            for name, lacking in self._always
            for item in items
            if getattr(item, name) is lacking
        ]


def _salvage(row: dict[str, Any], kind: Any, depth: int) -> Any:
    """Convert ``row`` value by value, leaving out what does not fit; None where a value it cannot be without is bad."""
    fitting: dict[str, Any] = {}
    hints = get_type_hints(kind, include_extras=True)
    for field in msgspec.structs.fields(kind):
        if field.encode_name not in row:
            continue
        value = row[field.encode_name]
        try:
            fitting[field.name] = msgspec.convert(value, hints[field.name])
        except msgspec.ValidationError:
            inner = _struct_in(hints[field.name])
            if inner is not None and isinstance(value, dict) and depth:
                fitting[field.name] = _salvage(value, inner, depth - 1)
    try:
        return kind(**fitting)
    except TypeError:
        return None


def _struct_in(hint: Any) -> Any:
    options = getattr(hint, "__args__", (hint,))
    return next((one for one in options if isinstance(one, type) and issubclass(one, Struct)), None)


def _loose(body: bytes, expect: type, shown: str) -> Any:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _malformed(error, shown) from None
    if not isinstance(found, expect):
        raise Misbehaved(
            f"{shown}: the answer is {type(found).__name__} where {expect.__name__} is due",
            advice="The interface differs from the one this connector knows; check org_url.",
        )
    return found


def _malformed(error: Exception, shown: str) -> Misbehaved:
    return Misbehaved(f"{shown}: malformed JSON: {clean(str(error))}", advice="Check any proxy on the way.")


def utc(moment: datetime | None) -> datetime | None:
    """Return an instant in UTC."""
    return moment if moment is None or moment.tzinfo is UTC else moment.astimezone(UTC)

"""One person, live: the accounts that may be his, and one account with every class of its credentials.

Search lags behind what was changed just now; a direct read by id or login does not, so both are asked. That
something is gone is said only where Okta said so of this id (E0000007) and these credentials were seen, in the same
breath, to see everything.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

from reconciler.sdk.connector import (
    AccountRef,
    Found,
    Gap,
    LiveAccount,
    LiveCredentials,
    PersonKeys,
    Presence,
)
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError
from reconciler.sdk.records import CredentialKind

from .below import APP_GRANTS, factors_of, keys_of, refresh_tokens_of, scope_grants_of, secrets_of, together
from .client import Answer, OktaClient
from .connector import APP_STATES, Accounts, user_state
from .credentials import has_password
from .failures import Absent
from .listings import APPS, USERS, apps, every, ids, problem_gaps
from .settings import Settings
from .shapes import ApiToken, App, Client, Decoder, User
from .sight import own_roles, sees_all

T = TypeVar("T")
TOKENS = "okta.apiTokens.read"
_TERMS = 10
_USER, _APP = "00u", "0oa"
_ID = re.compile(rf"({_USER}|{_APP})[\w.-]+", re.ASCII)
"""Ids of users and of apps: only of such a one can it be said that there is nothing under it any more."""
_api_tokens = Decoder(ApiToken, "user_id")
_clients = Decoder(Client, identity="client_id")

SESSION_REASON = "Okta has no call that lists a user's sessions; it can only end them"
OF_SESSIONS = (
    "Deactivating or suspending a user ends his Okta session; sessions that apps opened themselves last until their "
    "own time-out."
)
OF_REFRESH_TOKENS = (
    "Access tokens that were issued before a refresh token is revoked stay valid until they expire, an hour by default."
)
_OF_API_TOKENS = "An API token stops with its owner's deactivation; one that is not used for 30 days expires."
_OF_PASSWORDS = "With delegated authentication, Active Directory or LDAP decides about the password, not Okta."


async def find(client: OktaClient, accounts: Accounts, settings: Settings, person: PersonKeys) -> Found:
    """Look for the accounts of ``person`` in every state; raise where nothing at all could be asked."""
    return await _Search(client, accounts, settings, person).found()


class _Search:
    """One search for one person: each question that fails is a gap, and all failing is a failure."""

    def __init__(self, client: OktaClient, accounts: Accounts, settings: Settings, person: PersonKeys) -> None:
        self._client = client
        self._accounts = accounts
        self._settings = settings
        self._person = person
        self._users: Decoder[User] = Decoder(accounts.shape)
        self._refs: dict[str, AccountRef] = {}
        self._gaps: list[Gap] = []
        self._errors: list[SourceError] = []
        self._asked = 0

    async def found(self) -> Found:
        """Ask everything, one after the other."""
        person = self._person
        wanted = _wanted(person, self._settings)
        for start in range(0, len(wanted), _TERMS):
            await self._attempt("search", self._search(" or ".join(wanted[start : start + _TERMS])))
        for login in dict.fromkeys((*person.logins, *person.emails)):
            if _askable(login):  # Okta cannot be asked for others but by search
                await self._attempt(f"login {login}", self._direct(login))
        for account in filter(_askable, person.account_ids):
            await self._attempt(f"account {account}", self._direct(account))
            if account not in self._refs:
                await self._attempt(f"app {account}", self._service(account))
        if self._errors and len(self._errors) == self._asked:
            raise self._errors[0]
        return Found(tuple(self._refs.values()), tuple(dict.fromkeys(self._gaps)))

    async def _attempt(self, what: str, question: Awaitable[None]) -> None:
        self._asked += 1
        try:
            await question
        except Absent:
            return
        except SourceError as error:
            self._errors.append(error)
            missing = error.missing_permission if isinstance(error, Refused) else ""
            self._gaps.append(Gap("accounts", what, error.message, missing))

    async def _search(self, expression: str) -> None:
        users, answers = await every(
            lambda link: self._client.list(
                "/api/v1/users", self._users, USERS, link=link, search=expression, limit=self._settings.page_size
            )
        )
        self._keep(users)
        self._gaps += [gap for answer in answers for gap in problem_gaps("accounts", answer)]

    async def _direct(self, key: str) -> None:
        answer = await self._client.one(f"/api/v1/users/{quote(key, safe='')}", self._users, USERS)
        self._keep(answer.items)

    async def _service(self, key: str) -> None:
        answer = await self._client.one(f"/api/v1/apps/{quote(key, safe='')}", apps, APPS)
        for app in answer.items:
            if app.id == key and app.is_service:
                self._refs[app.id] = AccountRef(app.id, app.client_id, ("account_id",))

    def _keep(self, users: Sequence[User]) -> None:
        for user in users:
            matched = _matched(user, self._accounts, self._settings, self._person)
            if matched:
                login = self._accounts.profile(user, "login")
                known = self._refs.get(user.id)
                both = matched | set(known.matched_by if known else ())
                self._refs[user.id] = AccountRef(user.id, login, tuple(sorted(both)))


def _wanted(person: PersonKeys, settings: Settings) -> list[str]:
    """Return the terms of the search, each ``attribute eq "value"``."""
    terms = [
        f'profile.{name} eq "{_quoted(value)}"' for value in person.emails for name in ("email", "secondEmail", "login")
    ]
    terms += [f'profile.login eq "{_quoted(value)}"' for value in person.logins]
    # Asked directly by a short name that several logins begin with, Okta finds nobody.
    terms += [f'profile.login sw "{_quoted(value)}@"' for value in person.logins if "@" not in value]
    if person.employee_id:
        terms.append(f'profile.{settings.employee_id_attribute} eq "{_quoted(person.employee_id)}"')
    # Half a character is in no profile, and in no URL.
    return [term for term in dict.fromkeys(terms) if term.isascii() or not re.search("[\ud800-\udfff]", term)]


def _askable(key: str) -> bool:
    """Return whether a key can stand in the path of a call, and means itself there."""
    return key not in {"", ".", "..", "me"} and "/" not in key and key.isprintable()


def _quoted(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


def _matched(user: User, accounts: Accounts, settings: Settings, person: PersonKeys) -> set[str]:
    """Name the keys of the person that a user answers to."""

    def folded(name: str) -> str:
        return (accounts.profile(user, name) or "").casefold()

    emails = {value.casefold() for value in person.emails}
    logins = {value.casefold() for value in person.logins}
    short = folded("login").partition("@")[0]
    found = {
        "email": bool({folded("email"), folded("secondEmail"), folded("login")} & emails),
        "login": folded("login") in logins or short in logins,
        "employee_id": bool(person.employee_id)
        and folded(settings.employee_id_attribute) == person.employee_id.casefold(),
        "account_id": user.id in person.account_ids,
    }
    return {name for name, yes in found.items() if yes}


class Reread:
    """Reads one account and its credentials; each answer that it rests on goes into the digest."""

    def __init__(self, client: OktaClient, accounts: Accounts, settings: Settings) -> None:
        """Take the client; nothing is read yet."""
        self._client = client
        self._accounts = accounts
        self._settings = settings
        self._users: Decoder[User] = Decoder(accounts.shape)
        self._digest = hashlib.sha256()
        self._answered = False

    async def account(self, account_id: str) -> LiveAccount:
        """Read the account; everything that cannot be told is NOT_EVALUABLE, with its reason."""
        if not _askable(account_id):
            return self._live(account_id, Presence.NOT_EVALUABLE, reason="not an id of Okta's")
        try:
            user = None if account_id.startswith(_APP) else await self._user(account_id)
            if user is not None:
                return await self._of_user(user)
            app = None if account_id.startswith(_USER) else await self._app(account_id)
            if app is not None:
                return await self._of_app(app)
            return await self._of_nobody(account_id)
        except ConfigurationError:
            raise
        except SourceError as error:
            return self._live(account_id, Presence.NOT_EVALUABLE, reason=error.message)

    async def _user(self, account_id: str) -> User | None:
        """Return the user, None where Okta says that there is no such user."""
        try:
            answer = await self._client.one(f"/api/v1/users/{quote(account_id, safe='')}", self._users, USERS)
        except Absent as error:
            self._take(error.message.encode())
            return None
        self._take(answer.body)
        return _itself(answer.items, account_id)

    async def _app(self, account_id: str) -> App | None:
        try:
            answer = await self._client.one(f"/api/v1/apps/{quote(account_id, safe='')}", apps, APPS)
        except Absent as error:
            self._take(error.message.encode())
            return None
        self._take(answer.body)
        return _itself(answer.items, account_id)

    async def _of_user(self, user: User) -> LiveAccount:
        state = user_state(user)
        gone = state.raw == "DEPROVISIONED"
        return self._live(
            user.id,
            Presence.DISABLED if gone else Presence.PRESENT,
            login=self._accounts.profile(user, "login"),
            raw_status=state.raw,
            status=state.status,
            reason="" if state.status else f"the status {state.raw!r} is unknown to this connector",
            credentials=tuple(
                await together(
                    [
                        self._password(user),
                        self._class("mfa_factor", self._factors(user.id)),
                        self._class("api_token", self._api_tokens(user.id)),
                        self._class("refresh_token", self._refresh_tokens(user.id)),
                        self._session(),
                    ]
                )
            ),
        )

    async def _of_app(self, app: App) -> LiveAccount:
        status, works = APP_STATES.get(app.status or "", (None, None))
        base = f"/api/v1/apps/{app.id}"
        secrets = lambda link: self._client.list(f"{base}/credentials/secrets", secrets_of, APPS, link=link)  # noqa: E731 - three of one kind
        keys = lambda link: self._client.list(f"{base}/credentials/jwks", keys_of, APPS, link=link)  # noqa: E731 - see above
        tokens = lambda link: self._client.list(f"{base}/tokens", refresh_tokens_of, APPS, link=link)  # noqa: E731 - see above
        return self._live(
            app.id,
            Presence.DISABLED if works is False else Presence.PRESENT,
            login=app.client_id,
            raw_status=app.status,
            status=status,
            credentials=tuple(
                await together(
                    [
                        self._class("client_secret", self._listed("client_secret", secrets, OF_REFRESH_TOKENS)),
                        self._class("certificate", self._listed("certificate", keys, OF_REFRESH_TOKENS)),
                        self._class("refresh_token", self._listed("refresh_token", tokens, OF_REFRESH_TOKENS)),
                    ]
                )
            ),
        )

    async def _of_nobody(self, account_id: str) -> LiveAccount:
        """Say GONE where these credentials are seen, just now, to see everything; else that it cannot be told."""
        if _ID.fullmatch(account_id) is None:
            return self._live(
                account_id,
                Presence.NOT_EVALUABLE,
                reason="Okta answers not found, but this is no id of a user (00u...) or an app (0oa...): a login may "
                "have been changed",
            )
        proof = await self._sees_all()
        if not proof:
            return self._live(
                account_id,
                Presence.NOT_EVALUABLE,
                reason="Okta answers not found, but nothing proves that these credentials see all users: give them one "
                f"of the admin roles {', '.join(self._settings.full_view_roles)}, or name a user as canary",
            )
        is_app = account_id.startswith(_APP)
        kinds: tuple[CredentialKind, ...] = (
            ("client_secret", "certificate", "refresh_token") if is_app else ("password", "mfa_factor", "refresh_token")
        )
        owner = "app" if is_app else "user"
        gone = [
            LiveCredentials(kind, Presence.GONE, reason=f"deleted with the {owner}", lag=_LAGS.get(kind, ""))
            for kind in kinds
        ]
        if not is_app:
            gone += [await self._class("api_token", self._api_tokens(account_id)), await self._session()]
        return self._live(
            account_id,
            Presence.GONE,
            reason=f"Okta answers E0000007, not found; {proof}",
            credentials=tuple(gone),
        )

    async def _sees_all(self) -> str:
        """Return in words what proves that these credentials see every user, empty where nothing does."""
        roles = await own_roles(self._client, self._settings)
        if roles:
            names = sorted({role.role or role.type or "" for role in roles})
            return f"these credentials hold {', '.join(names)}" if sees_all(roles, self._settings) else ""
        for canary in self._settings.canaries:
            try:
                answer = await self._client.one(f"/api/v1/users/{quote(canary, safe='')}", ids, USERS)
            except SourceError:
                continue
            self._take(answer.body)
            return f"the canary {canary} was read in the same breath"
        return ""

    async def _password(self, user: User) -> LiveCredentials:
        held = has_password(user)
        provider = user.credentials.provider.type if user.credentials and user.credentials.provider else None
        if held is None:
            return LiveCredentials(
                "password", Presence.NOT_EVALUABLE, reason="Okta left the credentials of the user out"
            )
        if held:
            off = user.status == "DEPROVISIONED"
            presence = Presence.DISABLED if off else Presence.PRESENT
            return LiveCredentials("password", presence, (f"{user.id}:password",), lag=_OF_PASSWORDS)
        if provider == "OKTA":
            return LiveCredentials(
                "password", Presence.GONE, reason="Okta keeps no password for the user", lag=_OF_PASSWORDS
            )
        reason = f"the password is kept by another provider ({provider or 'which Okta left out'}), not by Okta"
        return LiveCredentials("password", Presence.NOT_EVALUABLE, reason=reason, lag=_OF_PASSWORDS)

    async def _factors(self, user: str) -> LiveCredentials:
        listed = await self._listed(
            "mfa_factor",
            lambda link: self._client.list(f"/api/v1/users/{user}/factors", factors_of, USERS, link=link),
        )
        if listed.presence is Presence.NOT_EVALUABLE:
            return listed
        reason = "Okta lists the factors that the enrolment policy allows the user; others would not show"
        return LiveCredentials(listed.kind, listed.presence, listed.ids, reason, listed.lag)

    async def _api_tokens(self, user: str) -> LiveCredentials:
        found, answers = await self._every(
            lambda link: self._client.list("/api/v1/api-tokens", _api_tokens, TOKENS, link=link)
        )
        for answer in answers:
            self._take(answer.body)
        nameless = [token.id for token in found if token.user_id is None]
        own = tuple(token.id for token in found if token.user_id == user)
        if own:
            return LiveCredentials("api_token", Presence.PRESENT, own, lag=_OF_API_TOKENS)
        if nameless or any(answer.problems for answer in answers):
            reason = "Okta lists API tokens without saying whose they are"
            return LiveCredentials("api_token", Presence.NOT_EVALUABLE, reason=reason, lag=_OF_API_TOKENS)
        if not found and not await self._sees_all():
            reason = "Okta lists no API token at all, and nothing proves that these credentials see all"
            return LiveCredentials("api_token", Presence.NOT_EVALUABLE, reason=reason, lag=_OF_API_TOKENS)
        return LiveCredentials("api_token", Presence.GONE, reason="Okta lists none of this user", lag=_OF_API_TOKENS)

    async def _refresh_tokens(self, user: str) -> LiveCredentials:
        base = f"/api/v1/users/{user}"
        clients, answers = await self._every(
            lambda link: self._client.list(f"{base}/clients", _clients, USERS, link=link)
        )
        grants, consents = await every(
            lambda link: self._client.list(f"{base}/grants", scope_grants_of, APP_GRANTS, link=link)
        )
        for body in (*(one.body for one in answers), *(one.body for one in consents)):
            self._take(body)
        live: list[str] = []
        idle: list[str] = []
        for one in clients:
            path = f"{base}/clients/{quote(one.client_id, safe='')}/tokens"
            tokens, pages = await self._every(
                lambda link, path=path: self._client.list(path, refresh_tokens_of, USERS, link=link)  # type: ignore[misc] # bound at once
            )
            for page in pages:
                self._take(page.body)
            for token in tokens:
                (live if token.status == "ACTIVE" else idle).append(token.id)
        agreed = sum(grant.status == "ACTIVE" for grant in grants)
        reason = f"over {len(clients)} clients; {agreed} consents to scopes stand"
        presence = Presence.PRESENT if live else Presence.DISABLED if idle else Presence.GONE
        return LiveCredentials("refresh_token", presence, (*live, *idle), reason, OF_REFRESH_TOKENS)

    async def _session(self) -> LiveCredentials:
        return LiveCredentials("session", Presence.NOT_EVALUABLE, reason=SESSION_REASON, lag=OF_SESSIONS)

    async def _listed(
        self, kind: CredentialKind, ask: Callable[[str | None], Awaitable[Answer[Any]]], lag: str = ""
    ) -> LiveCredentials:
        found, answers = await self._every(ask)
        for answer in answers:
            self._take(answer.body)
        if any(answer.problems for answer in answers):
            return LiveCredentials(kind, Presence.NOT_EVALUABLE, reason="an answer has an unknown form", lag=lag)
        works = any(one.status == "ACTIVE" for one in found)
        presence = Presence.PRESENT if works else Presence.DISABLED if found else Presence.GONE
        return LiveCredentials(
            kind, presence, tuple(str(one.id) for one in found), "" if found else "Okta lists none", lag
        )

    async def _every(self, ask: Callable[[str | None], Awaitable[Answer[T]]]) -> tuple[list[T], list[Answer[T]]]:
        """Read a short list to its end; an empty page has to come twice."""
        return await every(lambda link: self._client.surely(lambda: ask(link), ends=False))

    async def _class(self, kind: CredentialKind, asked: Awaitable[LiveCredentials]) -> LiveCredentials:
        """Return what was found of one class; what could not be asked is NOT_EVALUABLE."""
        try:
            return await asked
        except ConfigurationError:
            raise
        except SourceError as error:
            missing = error.missing_permission if isinstance(error, Refused) else ""
            reason = f"{error.message} (missing: {missing})" if missing else error.message
            return LiveCredentials(kind, Presence.NOT_EVALUABLE, reason=reason, lag=_LAGS.get(kind, ""))

    def _take(self, body: bytes) -> None:
        self._answered = True
        self._digest.update(hashlib.sha256(body).digest())

    def _live(self, account_id: str, presence: Presence, **told: Any) -> LiveAccount:
        digest = self._digest.hexdigest() if self._answered else ""
        return LiveAccount(account_id, presence, digest=digest, **told)


def _itself(found: Sequence[T], account_id: str) -> T:
    """Return the object of this id; raise ``Misbehaved`` where the answer holds another, or none that can be read.

    Asked by what is not an id, Okta answers with whom it takes for a login.
    """
    for one in found:
        if getattr(one, "id", None) == account_id:
            return one
    raise Misbehaved("Okta answers with another object than the one asked for, or in an unknown form")


_LAGS: dict[str, str] = {
    "password": _OF_PASSWORDS,
    "api_token": _OF_API_TOKENS,
    "refresh_token": OF_REFRESH_TOKENS,
    "session": OF_SESSIONS,
}

"""Credentials, role sessions and calls: everything between this connector and boto3.

Blocking, as boto3 is: callers run this in threads. What boto3 raises leaves here as an error by remedy.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
from botocore import xform_name
from botocore.config import Config
from botocore.loaders import create_loader
from botocore.utils import parse_timestamp

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused
from reconciler.sdk.secrets import SecretRef, conceal, reveal

from .failures import CREDENTIALS_ADVICE, EXPIRED, GONE, UNDERSTOOD, code_of, translate
from .settings import Settings, encrypted_or_local

_MODELS = create_loader()
"""The API models, read once: they are large, and every AWS account has clients of its own."""
_RAW = "ReconcilerRawAnswer"
_OK = 200


@dataclass(frozen=True, slots=True)
class Reach:
    """An AWS account and the role that opens it; ``role`` None: the caller's own credentials."""

    account_id: str
    role: str | None = None
    external_id: str | None = None


class Connection:
    """The caller's credentials, and a session per role assumed with them."""

    def __init__(self, settings: Settings, base: Path = Path()) -> None:
        """Open nothing yet; ``base`` is the folder that ``ca_file`` is relative to."""
        self.settings = settings
        self._verify = None if settings.ca_file is None else str(base / settings.ca_file)
        if self._verify is not None and not Path(self._verify).is_file():
            raise ConfigurationError(f"ca_file: there is no file {self._verify}", advice="Correct the path.")
        self._asking = threading.Lock()
        self._own: tuple[str, str] | None = None
        self._building = threading.RLock()
        """Held while sessions and clients are made, which botocore must do one at a time; never over a call."""
        self._callers: boto3.Session | None = None
        self._sessions: dict[Reach, boto3.Session] = {}
        self._assuming: dict[Reach, threading.Lock] = {}
        self._config = Config(
            connect_timeout=settings.connect_timeout_seconds,
            read_timeout=settings.read_timeout_seconds,
            retries={"mode": "adaptive", "total_max_attempts": settings.max_attempts},
            max_pool_connections=settings.parallel_calls,
        )

    def caller(self) -> tuple[str, str]:
        """Return the AWS account id and the ARN of whoever holds the credentials."""
        with self._asking:
            if self._own is None:
                sts = self._client(self._base(), "sts", self.settings.region)
                try:
                    answer = sts.get_caller_identity()
                    self._own = (str(answer["Account"]), str(answer["Arn"]))
                except UNDERSTOOD as error:
                    where = self.settings.endpoint_url or "STS"
                    raise translate(error, "sts", "GetCallerIdentity", f"at {where}") from error
                finally:
                    sts.close()
            return self._own

    def role_arn(self, account_id: str, role_name: str) -> str:
        """Return the ARN of a role in the AWS partition (``aws``, ``aws-cn``, ...) of the configured region."""
        with self._building:
            partition = self._base().get_partition_for_region(self.settings.region)
        return f"arn:{partition}:iam::{account_id}:role/{role_name.strip('/')}"

    def open(self, reach: Reach, service: str, region: str, stale: Any = None) -> tuple[Any, Any]:
        """Return a session of ``reach`` and a new client over it; a session that is ``stale`` is replaced."""
        with self._building:
            alone = self._assuming.setdefault(reach, threading.Lock())
        with alone:  # roles of other accounts are assumed meanwhile
            held = self._sessions.get(reach)
            if held is None or held is stale:
                held = self._sessions[reach] = self._assumed(reach)
        return held, self._client(held, service, region)

    def _assumed(self, reach: Reach) -> boto3.Session:
        session = self._base()
        if reach.role is None:
            return session
        wanted = {"RoleArn": reach.role, "RoleSessionName": self.settings.session_name}
        if reach.external_id is not None:
            wanted["ExternalId"] = reach.external_id
        sts = self._client(session, "sts", self.settings.region)
        try:
            keys = sts.assume_role(**wanted)["Credentials"]
            with self._building:
                return boto3.Session(
                    botocore_session=_core(),
                    aws_access_key_id=keys["AccessKeyId"],
                    aws_secret_access_key=conceal(keys["SecretAccessKey"]),
                    aws_session_token=conceal(keys["SessionToken"]),
                    region_name=self.settings.region,
                )
        except UNDERSTOOD as error:
            raise translate(error, "sts", "AssumeRole", f"account {reach.account_id}, role {reach.role}") from error
        finally:
            sts.close()

    def _base(self) -> boto3.Session:
        """Return the caller's own session, made once; botocore renews its credentials where they can be."""
        with self._building:
            if self._callers is None:
                self._callers = self._opened()
            return self._callers

    def _opened(self) -> boto3.Session:
        settings = self.settings
        try:
            session = boto3.Session(
                botocore_session=_core(),
                profile_name=settings.profile,
                region_name=settings.region,
                aws_access_key_id=_secret(settings.access_key_id),
                aws_secret_access_key=_secret(settings.secret_access_key),
                aws_session_token=_secret(settings.session_token),
            )
            found = session.get_credentials()
        except UNDERSTOOD as error:
            raise translate(error, "sts", "credentials", "on this machine") from error
        if found is None:
            raise Refused("no AWS credentials were found on this machine", advice=CREDENTIALS_ADVICE)
        return session

    def _client(self, session: boto3.Session, service: str, region: str) -> Any:
        try:
            with self._building:
                made = session.client(  # type: ignore[call-overload]  # the service is a variable
                    service,
                    region_name=region,
                    endpoint_url=self.settings.endpoint_url,
                    config=self._config,
                    verify=self._verify,
                )
        except UNDERSTOOD as error:
            raise translate(error, service, "client", "on this machine") from error
        if not encrypted_or_local(made.meta.endpoint_url):
            made.close()
            raise ConfigurationError(
                f"the environment or the AWS profile sends {service} to {made.meta.endpoint_url}, which is unencrypted",
                advice="Use https there; http is for this machine (loopback) only.",
            )
        return made


class Calls:
    """One AWS service in one region, as one role; may be called from several threads at once.

    Assumes the role anew, once a call, where its session has expired.
    """

    def __init__(self, connection: Connection, reach: Reach, service: str, region: str, *, raw: bool = False) -> None:
        """Open nothing yet; with ``raw``, answers are to be asked for by ``body`` only."""
        self.reach = reach
        self.region = region
        self.service = service
        self._connection = connection
        self._raw = raw
        self._lock = threading.Lock()
        self._session: Any = None
        self._client: Any = None

    def call(self, operation: str, *, absent: frozenset[str] = frozenset(), **params: Any) -> Mapping[str, Any] | None:
        """Make one call; None says that AWS answered with one of the codes in ``absent``: no such thing."""
        for renewed in (False, True):
            client = self.opened()
            try:
                answer: Mapping[str, Any] = getattr(client, xform_name(operation))(**params)
            except UNDERSTOOD as error:
                code = code_of(error)
                if code in absent:
                    return None
                if code in EXPIRED and self.reach.role is not None and not renewed:
                    self._renew(client)
                    continue
                raise translate(error, self.service, operation, f"account {self.reach.account_id}") from error
            else:
                return answer
        raise AssertionError(operation)  # pragma: no cover -- the second round returns or raises

    def body(self, operation: str, *, absent: frozenset[str] = frozenset(), **params: Any) -> bytes | None:
        """Make one call and return the bytes of its answer, unparsed; None as with ``call``."""
        answer = self.call(operation, absent=absent, **params)
        if answer is None:
            return None
        found = answer.get(_RAW)
        if not isinstance(found, bytes):
            raise Misbehaved(f"AWS account {self.reach.account_id}: {operation} gave an answer without a body")
        return found

    def opened(self) -> Any:
        """Return the boto3 client, opened at the first call."""
        with self._lock:
            if self._client is None:
                session, client = self._connection.open(self.reach, self.service, self.region, self._session)
                if self._raw:
                    client.meta.events.register("before-parse", _keep_raw)
                self._session, self._client = session, client
            return self._client

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = self._session = None

    def _renew(self, stale: Any) -> None:
        """Assume the role anew, once, whichever thread sees first that its session has expired."""
        with self._lock:
            if self._client is stale:
                self._client = None


ABSENT = frozenset({GONE})
"""IAM's code for a thing that does not exist."""


def _keep_raw(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Keep the bytes of a good answer from botocore's parser, which costs more than all the rest of a call."""
    if response_dict["status_code"] == _OK:
        customized_response_dict[_RAW] = response_dict["body"]
        response_dict["body"] = b"{}"


def _core() -> botocore.session.Session:
    """Return a session over the shared API models, with a parser of times that knows AWS's usual form at once."""
    core = botocore.session.Session()
    core.register_component("data_loader", _MODELS)
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=timestamp)
    return core


def timestamp(value: Any) -> datetime:
    """Return an instant that AWS sent; botocore's own parser is asked only for what is not ISO 8601 with a zone."""
    if isinstance(value, str):
        try:
            found = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if found.tzinfo is not None:
                return found.astimezone(UTC)
    return parse_timestamp(value)


def _secret(reference: SecretRef | None) -> str | None:
    return None if reference is None else reveal(reference)

"""A real AWS API server on loopback (moto), for tests and the demonstration.

The server runs in a thread of this process, so that dates which no AWS call can set (creation, last use) can be set
on moto's own objects.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import boto3

DEFAULT_ACCOUNT = "123456789012"
KEYS: tuple[str, str, str | None] = ("testing", "testing", None)


@dataclass(frozen=True, slots=True)
class MotoServer:
    """A running server; ``url`` is what ``endpoint_url`` takes."""

    url: str

    def client(self, service: str, account_id: str = DEFAULT_ACCOUNT) -> Any:
        """Return a boto3 client in ``account_id``; the caller closes it."""
        keys = KEYS
        if account_id != DEFAULT_ACCOUNT:
            sts = self.client("sts")
            role = f"arn:aws:iam::{account_id}:role/seed"
            given = sts.assume_role(RoleArn=role, RoleSessionName="seed")["Credentials"]
            sts.close()
            keys = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
        session = boto3.Session(*keys, region_name="us-east-1")
        return session.client(service, endpoint_url=self.url)  # type: ignore[call-overload]  # the service is a variable

    def reset(self) -> None:
        """Empty every account."""
        from moto.core.base_backend import BackendDict

        BackendDict.reset()

    def date_user(self, user: str, created: datetime, account_id: str = DEFAULT_ACCOUNT) -> None:
        """Set when a user was created."""
        _backend(account_id).get_user(user).create_date = created

    def date_password(self, user: str, used: datetime | None, account_id: str = DEFAULT_ACCOUNT) -> None:
        """Set when a user last signed in to the console."""
        _backend(account_id).get_user(user).password_last_used = used

    def date_key(
        self, user: str, key_id: str, created: datetime, used: datetime | None = None, account_id: str = DEFAULT_ACCOUNT
    ) -> None:
        """Set when an access key was created, and when it was last used (None: never)."""
        from moto.iam.models import AccessKeyLastUsed

        key = _backend(account_id).get_user(user).get_access_key_by_id(key_id)
        key.create_date = created
        key.last_used = None if used is None else AccessKeyLastUsed(used, "iam", "us-east-1")


def _backend(account_id: str) -> Any:
    from moto.iam.models import iam_backends

    return iam_backends[account_id]["aws"]


@contextmanager
def serve(*, aws_policies: bool = False) -> Iterator[MotoServer]:
    """Serve AWS on a free loopback port until the block ends; the server starts and ends empty.

    ``aws_policies`` loads AWS's own managed policies (some 1,600), so that they can be attached by ARN.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # moto's own imports
        from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    logger = logging.getLogger("werkzeug")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    before = os.environ.get("MOTO_IAM_LOAD_MANAGED_POLICIES")
    os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = "true" if aws_policies else "false"
    running = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    server = MotoServer(f"http://{host}:{port}")
    try:
        server.reset()
        yield server
    finally:
        server.reset()
        running.stop()
        if running._server is not None:
            running._server.server_close()
        logger.setLevel(level)
        if before is None:
            del os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"]
        else:
            os.environ["MOTO_IAM_LOAD_MANAGED_POLICIES"] = before

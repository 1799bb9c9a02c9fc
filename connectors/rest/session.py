"""A session: user and password are sent once, and what comes back goes with every request until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.sdk.errors import Misbehaved, Refused
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.secrets import SecretRef, conceal, reveal

from .expressions import Expression


class Session(BaseModel):
    """User and password for a session id, which stands in ``Authorization`` as it is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["session"]
    path: Annotated[str, Field(min_length=1, description="Path below url that opens a session, by POST of a form.")]
    user: Annotated[str, Field(min_length=1, description="User.")]
    password: Annotated[SecretRef, Field(description="env:NAME or file:/path of the password.")]
    user_field: Annotated[str, Field(min_length=1, description="Field of the form that takes the user.")] = "username"
    password_field: Annotated[str, Field(min_length=1, description="Field of the form that takes the password.")] = (
        "password"  # noqa: S105 - the name of a field
    )
    token: Annotated[Expression, Field(description="JMESPath of the session id in the answer.")]


class SessionKeeper:
    """Gives the header of a session, opening one where none is kept."""

    def __init__(
        self, auth: Session, url: str, ca_file: Path | None, judge: Callable[[Any, str], None] | None = None
    ) -> None:
        """Make it; ``judge`` raises for an answer that says, with HTTP 200, why there is no session."""
        self._auth = auth
        self._judge = judge
        self._client = HttpClient(url, secret=True, ca_file=ca_file, limits=Limits(attempts=2))
        self._turn = asyncio.Lock()
        self._header = ""

    async def __call__(self) -> str:
        """Return the session id; raise ``Refused`` where the service opens no session for these credentials."""
        async with self._turn:
            if not self._header:
                form = {self._auth.user_field: self._auth.user, self._auth.password_field: reveal(self._auth.password)}
                found, _ = await self._client.request("POST", f"./{self._auth.path}", form=form, again=True)
                if self._judge is not None:
                    self._judge(found, self._auth.path)
                token = self._auth.token.search(found)
                if token is None or token == "":
                    raise Refused(
                        f"{self._client.origin}: no session for {self._auth.user}",
                        advice="Check user and password: they are wrong, expired or locked.",
                    )
                if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                    raise Misbehaved(f"{self._client.origin}: the session id is none", advice="Correct auth.token.")
                self._header = conceal(token)
            return self._header

    def forget(self, header: str = "") -> None:
        """Drop the session, unless another has taken its place."""
        if header in {"", self._header}:
            self._header = ""

    async def close(self) -> None:
        """Close the connection; safe to call twice."""
        await self._client.close()

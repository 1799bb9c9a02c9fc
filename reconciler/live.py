"""Look at one person's accounts as they are now, outside any pull: find them, then re-read each by its immutable id."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

from reconciler.collect import ask, close
from reconciler.errors import ConfigurationError, ReconcilerError
from reconciler.log import explained
from reconciler.run import open_sources
from reconciler.sdk.connector import Found, LiveAccount, Lookup, PersonKeys, Presence
from reconciler.settings import Settings


def find(settings: Settings, names: Sequence[str], person: PersonKeys) -> dict[str, Found | ReconcilerError]:
    """Look for a person's accounts in the sources ``names`` (none: every one that can look), all at once.

    Returns by source what was found, or why it could not look: one that fails, whatever with, keeps no other from
    its answer. Raises ``ConfigurationError`` for a source that keeps no accounts, and for a person of whom nothing
    is known to look with.
    """
    if not (person.employee_id or person.emails or person.logins or person.account_ids):
        raise ConfigurationError(
            "nothing to look with", advice="Give an e-mail address, a login, an employee id or an account id."
        )

    async def look_everywhere() -> dict[str, Found | ReconcilerError]:
        sources = [pull.source for pull in open_sources(settings, names)]
        able = {source.name: source for source in sources if isinstance(source, Lookup)}
        if unable := [name for name in names if name not in able]:
            raise ConfigurationError(
                f"{', '.join(unable)} cannot be asked for one account",
                advice=f"Use some of: {', '.join(able) or 'no configured source can'}.",
            )
        try:
            answers = await asyncio.gather(*(ask(partial(source.find, person)) for source in able.values()))
        finally:
            for source in sources:
                await close(source)
        return dict(zip(able, answers, strict=True))

    return asyncio.run(look_everywhere())


def reread(settings: Settings, name: str, account_id: str) -> LiveAccount:
    """Re-read one account of the source ``name`` and its credentials, live; unknown is NOT_EVALUABLE."""

    async def look() -> LiveAccount | ReconcilerError:
        (pull,) = open_sources(settings, [name])
        source = pull.source
        if not isinstance(source, Lookup):
            raise ConfigurationError(
                f"{name} cannot be asked for one account",
                advice="Name a source of accounts: `reconciler sources list`.",
            )
        try:
            return await ask(partial(source.reread, account_id))
        finally:
            await close(source)

    answer = asyncio.run(look())
    if isinstance(answer, ConfigurationError):
        raise answer
    if isinstance(answer, ReconcilerError):
        return LiveAccount(account_id, Presence.NOT_EVALUABLE, reason=explained(answer))
    return answer

"""Referrals: what lies on other servers is not read, and said."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import unquote

from reconciler.sdk.connector import Gap

from .dn import normalise, under
from .profiles import ACTIVE_DIRECTORY, Profile
from .settings import Settings

_WITHOUT_PEOPLE = re.compile(r"(cn=configuration|dc=domaindnszones|dc=forestdnszones)(,dc=[^,]+)+")
"""Partitions of Active Directory that every domain refers to and that hold no account and no group of people."""


def referral_gaps(table: str, urls: Iterable[str], settings: Settings, profile: Profile | None) -> list[Gap]:
    """Return a gap for each referral, except to what ``leave_out`` names and to what holds no people."""
    left_out = [normalise(dn) for dn in settings.leave_out]
    gaps = []
    for url in urls:
        dn = normalise(unquote(url.partition("://")[2].partition("/")[2].partition("?")[0]))
        usual = profile is ACTIVE_DIRECTORY and _WITHOUT_PEOPLE.fullmatch(dn)
        if not usual and not any(dn and under(dn, subtree) for subtree in left_out):
            where = "lies on another server, to which the directory refers"
            gaps.append(Gap(table, url, f"{where}; read it as a source of its own and name it in leave_out here"))
    return gaps

"""Link accounts to people: ordered matchers, strongest first; whoever cannot be told apart stays unlinked.

The decision is SQL over the tables ``accounts`` and ``people``, run by whoever holds them; this module writes
the text and normalises the few values that SQL cannot. The order of trust:

- the first matcher that names exactly one person links, and a weaker one never changes that;
- a matcher that names several people makes the account ambiguous, a case for a person, whatever weaker ones say;
- an address or login that several accounts of one source carry, or that contradicts the personnel number the
  account itself carries, only proposes: a recycled address must not inherit another person's access.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_ADDRESS = re.compile(r"[^@]+@[^@]+")
_GUEST = "#ext#"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A way to match: the account's column, the person's, and how far a match is trusted (0 to 1)."""

    name: str
    account_column: str
    person_column: str
    confidence: float


MATCHERS = {
    matcher.name: matcher
    for matcher in (
        Matcher("employee_id", "employee_id", "employee_id", 1.0),
        Matcher("email", "email", "emails", 0.9),
        Matcher("login", "login", "logins", 0.8),
    )
}
DEFAULT = tuple(MATCHERS)
"""Every matcher, in order of trust."""

READS: dict[str, tuple[str, ...]] = {
    "accounts": ("source", "account_id", "employee_id", "email", "login", "status"),
    "people": ("person_id", "employee_id", "emails", "logins"),
}
"""Table -> the columns that the SQL reads."""


def normal_login(text: str) -> str | None:
    """Return a sign-in name in the form that is compared; None for one that is blank."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip() or None


def normal_email(text: str, *, plus_addressing: bool = False) -> str | None:
    """Return a mail address in the form that is compared; None for what is no address.

    A guest's name in a foreign tenant goes back to the home address (``ada_home.test#EXT#@host.test`` is
    ``ada@home.test``). With ``plus_addressing``, what follows a plus sign in the local part is dropped.
    """
    value = normal_login(text) or ""
    local, guest, _ = value.partition(_GUEST)
    if guest and "_" in local:
        value = "@".join(local.rsplit("_", 1))
    if plus_addressing and "@" in value:
        local, _, domain = value.rpartition("@")
        value = f"{local.split('+', 1)[0]}@{domain}"
    return value if _ADDRESS.fullmatch(value) else None


def odd_values_sql(*, plus_addressing: bool = False) -> str:
    """Return the query for every address and login that ``lower`` alone does not normalise.

    Its rows go through ``normal_email`` and ``normal_login`` into the table ``odd(raw, email, login)``.
    """
    values = ("SELECT email FROM accounts", "SELECT login FROM accounts")
    lists = ("SELECT unnest(emails) FROM people", "SELECT unnest(logins) FROM people")
    union = " UNION ALL ".join((*values, *lists))
    plain = _is_plain("raw", plus_addressing)
    return f"SELECT DISTINCT raw FROM ({union}) AS found(raw) WHERE NOT {plain}"  # noqa: S608  # all of it is our text


ODD_DDL = "CREATE TABLE odd (raw VARCHAR NOT NULL, email VARCHAR, login VARCHAR)"


def links_sql(matchers: Sequence[str] = DEFAULT) -> str:
    """Return the query for the table ``links``: a row for each account of which anything can be said.

    It needs the tables ``accounts``, ``people`` and ``odd``. Raises ``ValueError`` for an unknown matcher.
    """
    unknown = set(matchers) - set(MATCHERS)
    if unknown or not matchers:
        message = f"unknown matchers {sorted(unknown)}; use {', '.join(MATCHERS)}"
        raise ValueError(message)
    found = [_matches(MATCHERS[name], rank) for rank, name in enumerate(matchers, start=1)]
    number_rank = matchers.index("employee_id") + 1 if "employee_id" in matchers else 0
    confidence = " ".join(f"WHEN {rank} THEN {MATCHERS[name].confidence}" for rank, name in enumerate(matchers, 1))
    names = " ".join(f"WHEN {rank} THEN '{name}'" for rank, name in enumerate(matchers, 1))
    return f"""
WITH matches AS ({" UNION ALL ".join(found)}),
gathered AS (
  SELECT source, account_id,
         min(rank) FILTER (kind <> 'shared') AS decisive,
         min(rank) FILTER (kind = 'shared') AS weak,
         arg_min(kind, rank) FILTER (kind <> 'shared') AS kind,
         arg_min(persons, rank) FILTER (kind <> 'shared') AS persons,
         arg_min(persons, rank) FILTER (kind = 'shared') AS shared,
         list_sort(list_distinct(flatten(list(persons)))) AS everybody
  FROM matches GROUP BY source, account_id
),
judged AS (
  SELECT g.source, g.account_id, g.everybody,
         coalesce(g.decisive, g.weak) AS rank,
         CASE
           WHEN g.decisive IS NULL THEN 'proposed'
           WHEN g.kind = 'many' THEN 'ambiguous'
           WHEN g.weak < g.decisive AND g.shared[1] <> g.persons[1] THEN 'ambiguous'
           WHEN g.decisive > {number_rank} AND {number_rank} > 0
             AND nullif(trim(a.employee_id), '') <> nullif(trim(p.employee_id), '') THEN 'proposed'
           ELSE 'linked'
         END AS state,
         CASE
           WHEN g.decisive IS NULL THEN g.shared
           WHEN g.weak < g.decisive AND g.kind = 'sure' THEN list_sort(list_distinct(g.shared || g.persons))
           ELSE g.persons
         END AS fitting
  FROM gathered g
  JOIN accounts a ON a.source = g.source AND a.account_id = g.account_id
  LEFT JOIN people p ON g.kind = 'sure' AND p.person_id = g.persons[1]
)
SELECT source, account_id,
       CASE WHEN state = 'linked' THEN fitting[1] END AS person_id,
       CASE rank {names} END AS method,
       CAST(CASE rank {confidence} END AS DOUBLE) AS confidence,
       state,
       CAST(NULL AS TIMESTAMPTZ) AS since,
       CASE
         WHEN state <> 'linked' THEN fitting
         WHEN len(everybody) > 1 THEN everybody
       END AS candidates
FROM judged"""  # noqa: S608  # matchers are names of our own


def _matches(matcher: Matcher, rank: int) -> str:
    """Return the query for one matcher: per account the people that fit, and how sure that is."""
    kind = "CASE WHEN len(p.persons) > 1 THEN 'many' WHEN {alone} THEN 'sure' ELSE 'shared' END"
    if matcher.name == "employee_id":
        # Several accounts of one person may carry the number: an administrator has two. Several people may not.
        return f"""
SELECT a.source, a.account_id, {rank} AS rank, p.persons, {kind.format(alone="true")} AS kind
FROM accounts a
JOIN (
  SELECT value, list_sort(list(DISTINCT person_id)) AS persons
  FROM (SELECT person_id, coalesce(nullif(trim(employee_id), ''), person_id) AS value FROM people)
  GROUP BY value
) p ON p.value = nullif(trim(a.employee_id), '')"""  # noqa: S608  # the rank is a number""
    normal = matcher.name
    plain = "regexp_full_match(value, '[^@]+@[^@]+')" if normal == "email" else "value <> ''"
    # A deleted account that kept its address does not make its successor's any less unique.
    alone = "(a.status IS DISTINCT FROM 'deleted' AND a.living = 1) OR a.carriers = 1"
    return f"""
SELECT a.source, a.account_id, {rank} AS rank, p.persons, {kind.format(alone=alone)} AS kind
FROM (
  SELECT source, account_id, status, value,
         count(*) OVER same AS carriers,
         count(*) FILTER (status IS DISTINCT FROM 'deleted') OVER same AS living
  FROM (
    SELECT source, account_id, status,
           CASE WHEN o.raw IS NULL THEN lower(a.{matcher.account_column}) ELSE o.{normal} END AS value
    FROM accounts a LEFT JOIN odd o ON o.raw = a.{matcher.account_column}
  ) WHERE {plain}
  WINDOW same AS (PARTITION BY source, value)
) a
JOIN (
  SELECT value, list_sort(list(DISTINCT person_id)) AS persons
  FROM (
    SELECT person_id, CASE WHEN o.raw IS NULL THEN lower(u.raw) ELSE o.{normal} END AS value
    FROM (SELECT person_id, unnest({matcher.person_column}) AS raw FROM people) u LEFT JOIN odd o ON o.raw = u.raw
  ) WHERE {plain}
  GROUP BY value
) p ON p.value = a.value"""  # noqa: S608  # column names are our own


def _is_plain(column: str, plus_addressing: bool) -> str:
    """Return the test for texts of printable ASCII without a space or a number sign: lower() normalises them."""
    characters = '!-"$-*,-~' if plus_addressing else '!-"$-~'
    return f"regexp_full_match({column}, '[{characters}]*')"

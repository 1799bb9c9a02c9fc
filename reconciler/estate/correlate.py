"""Link accounts to people: ordered matchers, strongest first; whoever cannot be told apart stays unlinked.

The decision is SQL over the tables ``accounts``, ``people`` and ``remembered``, run by whoever holds them; this
module writes the text and normalises the few values that SQL cannot. The order of trust:

- what is remembered holds, by the account's immutable id, whatever addresses say later; a rejected pair is never made;
- the first matcher that names exactly one person links, and a weaker one never changes that;
- a matcher that names several people makes the account ambiguous, a case for a person, whatever weaker ones say;
- an address or login that several accounts of one source carry, that a service or shared account carries, or that
  contradicts a personnel number that the account itself carries, only proposes: a recycled address must not
  inherit another person's access.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

_ADDRESS = re.compile(r"[^@]+@[^@]+")
_GUEST = "#ext#"
_FILLERS = "0x-_./?#* "
"""Signs of which a personnel number that is none is made: ``0000``, ``-``, ``xxx``."""
_NO_NUMBERS = ("", "na", "nan", "nil", "none", "null", "tba", "tbd", "undefined", "unknown")
"""What is left, without fillers, of a personnel number that says only that there is none: ``N/A``."""

ATTRIBUTE = re.compile(r"attribute:([A-Za-z0-9_.-]+)")
"""How a matcher on an attribute of the account is written, for a declared immutable key."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """A way to match: the account's column, the person's, and how far a match is trusted (0 to 1).

    ``number`` says that it compares a personnel number, which several accounts of a person may carry.
    """

    name: str
    account_column: str
    person_column: str
    confidence: float
    number: bool = False

    @property
    def account_value(self) -> str:
        """The SQL of the account's value, as the source gave it."""
        found = ATTRIBUTE.fullmatch(self.name)
        if found:
            return f"CASE WHEN json_valid(a.attributes) THEN json_extract_string(a.attributes, '$.\"{found[1]}\"') END"
        if self.name == "email":
            # A guest without an address of its own has its home address in the sign-in name.
            return (
                f"coalesce(nullif(trim(a.email), ''), CASE WHEN contains(lower(a.login), '{_GUEST}') THEN a.login END)"
            )
        return f"a.{self.account_column}"


MATCHERS = {
    matcher.name: matcher
    for matcher in (
        Matcher("employee_id", "employee_id", "employee_id", 1.0, number=True),
        Matcher("email", "email", "emails", 0.9),
        Matcher("login", "login", "logins", 0.8),
    )
}
DEFAULT = tuple(MATCHERS)
"""Every matcher that needs no declaration, in order of trust."""

READS: dict[str, tuple[str, ...]] = {
    "accounts": (
        "source",
        "account_id",
        "login",
        "display_name",
        "email",
        "employee_id",
        "kind",
        "status",
        "department",
        "attributes",
        "created_at",
        "deleted_at",
    ),
    "people": ("person_id", "full_name", "emails", "logins", "employee_id", "department", "starts_on"),
}
"""Table -> the columns that the SQL and the comparison of names read."""

ODD_DDL = "CREATE TABLE odd (raw VARCHAR NOT NULL, email VARCHAR, login VARCHAR)"
REMEMBERED_DDL = (
    "CREATE TABLE remembered (source VARCHAR NOT NULL, account_id VARCHAR NOT NULL, person_id VARCHAR NOT NULL, "
    "state VARCHAR NOT NULL, method VARCHAR NOT NULL, confidence DOUBLE, since TIMESTAMPTZ)"
)
"""Links made or decided earlier: linked or manual, at most one an account, and rejected, any number."""


def matcher(name: str) -> Matcher:
    """Return the matcher of that name; ``attribute:NAME`` compares an attribute with the personnel number.

    Raises ``ValueError`` for an unknown one.
    """
    if name in MATCHERS:
        return MATCHERS[name]
    if ATTRIBUTE.fullmatch(name):
        return Matcher(name, "attributes", "employee_id", 1.0, number=True)
    raise ValueError(f"unknown matcher {name!r}; use {', '.join(MATCHERS)} or attribute:NAME")


def normal_login(text: str) -> str | None:
    """Return a sign-in name in the form that is compared; None for one that is blank."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).strip() or None


def normal_email(text: str, *, plus_addressing: bool = False) -> str | None:
    """Return a mail address in the form that is compared; None for what is no address.

    A guest's name in a foreign tenant goes back to the home address (``ada_home.test#EXT#@host.test`` is
    ``ada@home.test``). A domain loses its last dot and is written in ASCII (``xn--``). With ``plus_addressing``,
    what follows a plus sign in the local part is dropped.
    """
    value = normal_login(text) or ""
    local, guest, _ = value.partition(_GUEST)
    if guest and "_" in local:
        value = "@".join(local.rsplit("_", 1))
    if "@" in value:
        local, _, domain = value.rpartition("@")
        local = local.split("+", 1)[0] if plus_addressing else local
        value = f"{local}@{_ascii(domain.rstrip('.'))}"
    return value if _ADDRESS.fullmatch(value) else None


def _ascii(domain: str) -> str:
    if domain.isascii():
        return domain
    try:
        return domain.encode("idna").decode()
    except UnicodeError:
        return domain


def odd_values_sql(matchers: Sequence[str] = DEFAULT, *, plus_addressing: bool = False) -> str:
    """Return the query for every value to be compared that ``lower`` alone does not normalise.

    Its rows go through ``normal_email`` and ``normal_login`` into the table ``odd(raw, email, login)``.
    """
    used = [matcher(name) for name in matchers]
    parts = [f"SELECT {one.account_value} FROM accounts a" for one in used]  # noqa: S608  # our own names
    parts += [f"SELECT unnest({one.person_column}) FROM people" for one in used if not one.number]  # noqa: S608  # our own names
    if any(one.number for one in used):
        parts += ["SELECT employee_id FROM people", "SELECT person_id FROM people"]
    plain = _is_plain("raw", plus_addressing)
    return f"SELECT DISTINCT raw FROM ({' UNION ALL '.join(parts)}) AS found(raw) WHERE NOT {plain}"  # noqa: S608  # all of it is our text


_GATHERING = """rejections AS (
  SELECT source, account_id, list(person_id) AS rejected FROM remembered WHERE state = 'rejected' GROUP BY ALL
),
allowed AS (
  SELECT m.source, m.account_id, m.rank,
         CASE WHEN r.rejected IS NULL THEN m.persons
              ELSE list_filter(m.persons, lambda person: NOT list_contains(r.rejected, person)) END AS persons,
         -- That it is not the one does not make it the other: who is left over of several is only proposed.
         CASE WHEN m.kind = 'many' AND r.rejected IS NOT NULL
                AND len(m.persons) = 1 + len(list_intersect(m.persons, r.rejected)) THEN 'shared'
              ELSE m.kind END AS kind
  FROM matches m LEFT JOIN rejections r ON r.source = m.source AND r.account_id = m.account_id
),
gathered AS (
  SELECT source, account_id,
         min(rank) FILTER (kind <> 'shared') AS decisive,
         min(rank) FILTER (kind = 'shared') AS weak,
         arg_min(kind, rank) FILTER (kind <> 'shared') AS kind,
         arg_min(persons, rank) FILTER (kind <> 'shared') AS persons,
         arg_min(persons, rank) FILTER (kind = 'shared') AS shared,
         list_sort(list_distinct(flatten(list(persons)))) AS everybody
  FROM allowed WHERE len(persons) > 0 GROUP BY source, account_id
),
held AS (SELECT * FROM remembered WHERE state <> 'rejected'),"""
"""CTEs: what the matchers found without what was rejected, gathered by account; and what is held to."""


def links_sql(matchers: Sequence[str] = DEFAULT, since: datetime | None = None) -> str:
    """Return the query for the table ``links``: a row for each account of which anything can be said.

    It needs the tables ``accounts``, ``people``, ``odd`` and ``remembered``. What is linked now is linked since
    ``since``. Raises ``ValueError`` for an unknown matcher, and where none is given.
    """
    used = [matcher(name) for name in matchers]
    confidence = " ".join(f"WHEN {rank} THEN {one.confidence}" for rank, one in enumerate(used, 1))
    names = " ".join(f"WHEN {rank} THEN '{one.name}'" for rank, one in enumerate(used, 1))
    now = f"TIMESTAMPTZ '{since.isoformat()}'" if since else "NULL"
    return f"""
WITH {_matching(used)},
{_GATHERING}
judged AS (
  SELECT g.source, g.account_id, g.everybody,
         coalesce(g.decisive, g.weak) AS rank,
         CASE
           WHEN g.decisive IS NULL THEN 'proposed'
           WHEN g.kind = 'many' THEN 'ambiguous'
           WHEN g.weak < g.decisive AND g.shared <> g.persons THEN 'ambiguous'
           WHEN EXISTS (
             SELECT 1 FROM carried c
             WHERE c.source = g.source AND c.account_id = g.account_id AND c.rank < g.decisive
               AND p.known AND c.value <> p.value
           ) THEN 'proposed'
           ELSE 'linked'
         END AS state,
         CASE
           WHEN g.decisive IS NULL THEN g.shared
           WHEN g.weak < g.decisive AND g.kind = 'sure' THEN list_sort(list_distinct(g.shared || g.persons))
           ELSE g.persons
         END AS fitting
  FROM gathered g
  ANTI JOIN held h ON h.source = g.source AND h.account_id = g.account_id
  LEFT JOIN numbered p ON g.kind = 'sure' AND p.person_id = g.persons[1]
)
SELECT source, account_id,
       CASE WHEN state = 'linked' THEN fitting[1] END AS person_id,
       CASE rank {names} END AS method,
       CAST(CASE rank {confidence} END AS DOUBLE) AS confidence,
       state,
       CASE WHEN state = 'linked' THEN CAST({now} AS TIMESTAMPTZ) END AS since,
       CASE
         WHEN state <> 'linked' THEN fitting
         WHEN len(everybody) > 1 THEN everybody
       END AS candidates
FROM judged
UNION ALL
SELECT h.source, h.account_id, h.person_id, h.method, h.confidence, h.state, h.since,
       CASE WHEN g.everybody <> [h.person_id] THEN g.everybody END
FROM held h
SEMI JOIN accounts a ON a.source = h.source AND a.account_id = h.account_id
LEFT JOIN gathered g ON g.source = h.source AND g.account_id = h.account_id
UNION ALL
SELECT r.source, r.account_id, NULL, 'manual', NULL, 'rejected', NULL, NULL
FROM rejections r
SEMI JOIN accounts a ON a.source = r.source AND a.account_id = r.account_id
ANTI JOIN gathered g ON g.source = r.source AND g.account_id = r.account_id
ANTI JOIN held h ON h.source = r.source AND h.account_id = r.account_id"""  # noqa: S608  # matchers are names of our own


def matches_sql(matchers: Sequence[str] = DEFAULT) -> str:
    """Return the query for what each matcher finds: rank from 1, value compared, persons that fit, and kind.

    The kind is ``sure``, ``many`` (several people fit) or ``shared`` (no sign of one person alone). Its one
    parameter list ``$source, $account_id`` limits it to an account.
    """
    return f"""
WITH {_matching([matcher(name) for name in matchers])}
SELECT rank, value, persons, kind FROM matches WHERE source = $source AND account_id = $account_id ORDER BY rank"""  # noqa: S608  # matchers are names of our own


def _matching(used: Sequence[Matcher]) -> str:
    """Return the CTEs ``numbered`` and ``carried`` (people's and accounts' numbers) and ``matches``."""
    if not used:
        raise ValueError("no matcher is given")
    ranked = list(enumerate(used, 1))
    carried = [
        f"SELECT v.source, v.account_id, {rank}, {_number('v.raw')} "  # noqa: S608  # names of our own
        f"FROM (SELECT source, account_id, {one.account_value} AS raw FROM accounts a) v "
        "LEFT JOIN odd o ON o.raw = v.raw"
        for rank, one in ranked
        if one.number
    ] or ["SELECT NULL::VARCHAR, NULL::VARCHAR, 0, NULL::VARCHAR WHERE false"]
    return f"""
numbers AS (
  SELECT person_id, {_number("u.raw")} AS own, u.fallback
  FROM (SELECT person_id, employee_id AS raw, person_id AS fallback FROM people) u LEFT JOIN odd o ON o.raw = u.raw
),
numbered AS (
  -- The person_id stands for a missing number. Where others have one, it is this person's own, and may contradict.
  SELECT u.person_id, coalesce(u.own, {_normal("u.fallback", "login")}) AS value,
         u.own IS NOT NULL OR (SELECT bool_or(own IS NOT NULL) FROM numbers) AS known
  FROM numbers u LEFT JOIN odd o ON o.raw = u.fallback
),
carried(source, account_id, rank, value) AS ({" UNION ALL ".join(carried)}),
matches AS ({" UNION ALL ".join(_matches(one, rank) for rank, one in ranked)})"""  # noqa: S608  # names of our own


def _normal(column: str, form: str) -> str:
    """Return the SQL of a value in the form that is compared; ``o`` is its row of ``odd``, if there is one."""
    return f"CASE WHEN o.raw IS NULL THEN lower({column}) ELSE o.{form} END"


def _number(column: str) -> str:
    """Return the SQL of a personnel number in the form that is compared; null where it says that there is none."""
    value = _normal(column, "login")
    none = ", ".join(f"'{word}'" for word in _NO_NUMBERS)
    return f"CASE WHEN translate({value}, '{_FILLERS}', '') NOT IN ({none}) THEN {value} END"


def _matches(matcher: Matcher, rank: int) -> str:
    """Return the query for one matcher: per account the people that fit, and how sure that is."""
    kind = "CASE WHEN len(p.persons) > 1 THEN 'many' WHEN {alone} THEN 'sure' ELSE 'shared' END"
    if matcher.number:
        # Several accounts of one person may carry the number: an administrator has two. Several people may not.
        return f"""
SELECT a.source, a.account_id, a.rank, a.value, p.persons, {kind.format(alone="true")} AS kind
FROM carried a
JOIN (SELECT value, list_sort(list(DISTINCT person_id)) AS persons FROM numbered GROUP BY value) p ON p.value = a.value
WHERE a.rank = {rank}"""  # noqa: S608  # the rank is a number
    normal = matcher.name
    plain = "regexp_full_match(value, '[^@]+@[^@]+')" if normal == "email" else "value <> ''"
    # A deleted account that kept its address does not make its successor's any less unique. What is known to be no
    # one person's account is not linked because somebody's address is given as its contact.
    alone = (
        "coalesce(a.kind, '') NOT IN ('service', 'shared', 'agent') AND "
        "((a.status IS DISTINCT FROM 'deleted' AND a.living = 1) OR a.carriers = 1)"
    )
    return f"""
SELECT a.source, a.account_id, {rank} AS rank, a.value, p.persons, {kind.format(alone=alone)} AS kind
FROM (
  SELECT source, account_id, kind, status, value,
         count(*) OVER same AS carriers,
         count(*) FILTER (status IS DISTINCT FROM 'deleted') OVER same AS living
  FROM (
    SELECT v.source, v.account_id, v.kind, v.status, {_normal("v.raw", normal)} AS value
    FROM (SELECT source, account_id, kind, status, {matcher.account_value} AS raw FROM accounts a) v
    LEFT JOIN odd o ON o.raw = v.raw
  ) WHERE {plain}
  WINDOW same AS (PARTITION BY source, value)
) a
JOIN (
  SELECT value, list_sort(list(DISTINCT person_id)) AS persons
  FROM (
    SELECT person_id, {_normal("u.raw", normal)} AS value
    FROM (SELECT person_id, unnest({matcher.person_column}) AS raw FROM people) u LEFT JOIN odd o ON o.raw = u.raw
  ) WHERE {plain}
  GROUP BY value
) p ON p.value = a.value"""  # noqa: S608  # column names are our own


def _is_plain(column: str, plus_addressing: bool) -> str:
    """Return the test for printable ASCII without space or number sign, no dot last: lower() normalises it."""
    inner, last = ('!-"$-*,-~', '!-"$-*,\\-/-~') if plus_addressing else ('!-"$-~', '!-"$-\\-/-~')
    return f"regexp_full_match({column}, '([{inner}]*[{last}])?')"

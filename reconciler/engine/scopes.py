"""Decide where a rule may be judged: source by source, from what the snapshot read whole.

Nothing here looks at rows. A scope is blocked by whatever the rule depends on and could not be read; a
blocked scope has no verdicts and no counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from reconciler.engine.built import made_of, needed
from reconciler.engine.rule import Rule
from reconciler.estate.correlate import matcher
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Status

_SHOWN_GAPS = 3


class Coverage(Protocol):
    """What of a snapshot decides where rules may be judged."""

    def sources_of(self, table: str) -> list[str]:
        """Name the sources that report a table."""
        ...

    def columns_of(self, source: str, table: str) -> Sequence[str]:
        """Name the columns that a source can fill."""
        ...

    def why_unknown(self, source: str, table: str, column: str) -> str:
        """Say why a column could not be filled this time; empty where nothing is known of it."""
        ...

    def status(self, source: str, table: str) -> Status:
        """Say how much of a table was read."""
        ...

    def gaps(self, source: str, table: str) -> Sequence[str]:
        """Say in words what was not."""
        ...


class Scoping:
    """Says per rule and source what blocks it.

    ``faults`` are tables whose rows contradict one another, ``declared`` what the configuration declares, by table.
    """

    def __init__(
        self,
        coverage: Coverage,
        matchers: Sequence[str],
        faults: Mapping[str, Sequence[str]],
        declared: Mapping[str, Sequence[object]],
    ) -> None:
        self.coverage = coverage
        self.matchers = matchers
        self.faults = faults
        self.declared = declared

    def scopes(self, rule: Rule, named: Iterable[str] = ()) -> dict[str | None, tuple[str, ...]]:
        """Return scope -> what blocks it (empty: it may be judged).

        ``named`` are the sources that the rows of a governance population name. The scope None is the whole
        estate: where no source is in play, and for the rows of a governance population that name none.
        """
        identity = self._identity_tables(rule)
        population = tables()[rule.info.population]
        reporting = {source for table in identity for source in self.coverage.sources_of(table)}
        if population.group == "identity":
            sources = self.coverage.sources_of(population.name)
            if not sources:
                return {None: (f"no source reports {population.name}",)}
        else:
            sources = sorted(reporting | set(named))
        everywhere = tuple(dict.fromkeys(self._everywhere(rule)))
        found: dict[str | None, tuple[str, ...]] = {
            source: tuple(dict.fromkeys((*everywhere, *self._source(rule, source, identity)))) for source in sources
        }
        if population.group != "identity":
            unread = [
                f"no source reports {table}"
                for table in identity
                if table not in rule.optional and not self.coverage.sources_of(table)
            ]
            others = [words for source in sources if source in reporting for words in found[source]]
            found[None] = tuple(dict.fromkeys((*everywhere, *unread, *others)))
        return found

    def _reads(self, rule: Rule) -> list[str]:
        """Return what the rule depends on: the tables it reads, and those that built ones are made of."""
        return list(dict.fromkeys(name for table in rule.reads for name in made_of(table)))

    def _identity_tables(self, rule: Rule) -> list[str]:
        return [name for name in self._reads(rule) if tables()[name].group == "identity"]

    def _everywhere(self, rule: Rule) -> Iterator[str]:
        for name, _ in rule.needs:
            if tables()[name].group == "declared" and not self.declared.get(name):
                yield f"the configuration declares no {name}"
        for name in rule.across:
            for source in self.coverage.sources_of(name):
                yield from self._incomplete(source, name)
        for name in self._reads(rule):
            if tables()[name].group != "governance":
                continue
            sources = self.coverage.sources_of(name)
            # A register of special accounts may stand in the configuration alone, or there may be none to register.
            if not sources and name not in rule.optional and (name != "special_accounts" or name in rule.reads):
                yield f"no source reports {name}"
            for source in sources:
                yield from self._incomplete(source, name)
                yield from self._missing(rule, source, name)
            yield from self.faults.get(name, ())

    def _source(self, rule: Rule, source: str, identity: Sequence[str]) -> Iterator[str]:
        for name in identity:
            if source not in self.coverage.sources_of(name):
                if name not in rule.optional:
                    yield f"{source} does not report {name}"
                continue
            yield from self._incomplete(source, name)
            yield from self._missing(rule, source, name)
        linked = any("links" in (name, *needed(name)) for name in rule.reads)
        if linked and source in self.coverage.sources_of("accounts") and not self._linkable(source):
            yield f"accounts of {source} cannot be linked to people: it reports none of the columns that match"

    def _incomplete(self, source: str, table: str) -> Iterator[str]:
        status = self.coverage.status(source, table)
        if status != Status.COMPLETE:
            gaps = list(self.coverage.gaps(source, table))
            more = [f"and {len(gaps) - _SHOWN_GAPS} more"] if len(gaps) > _SHOWN_GAPS else []
            told = "; ".join([*gaps[:_SHOWN_GAPS], *more]) or "no reason was given"
            yield f"{source}: {table} is {status.value}: {told}"

    def _missing(self, rule: Rule, source: str, table: str) -> Iterator[str]:
        reported = set(self.coverage.columns_of(source, table))
        for name, columns in rule.needs:
            if name == table and not reported & set(columns):
                why = [self.coverage.why_unknown(source, table, column) for column in columns]
                told = "; ".join(dict.fromkeys(reason for reason in why if reason))
                said = f"{source} does not report {' or '.join(f'{table}.{column}' for column in columns)}"
                yield f"{said}: {told}" if told else said

    def _linkable(self, source: str) -> bool:
        people = {
            column for s in self.coverage.sources_of("people") for column in self.coverage.columns_of(s, "people")
        }
        columns = set(self.coverage.columns_of(source, "accounts"))
        # A personnel number needs no column of its own: person_id is always there.
        return any(
            found.account_column in columns and (found.number or found.person_column in people)
            for found in map(matcher, self.matchers)
        )

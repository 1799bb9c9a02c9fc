"""The configuration: one TOML file, every key typed and described, every error with its file and line."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from reconciler import clock, connectors, toml
from reconciler.errors import ConfigurationError
from reconciler.log import hide
from reconciler.sdk.secrets import SecretRef, reveal
from reconciler.sdk.settings import SourceSettings
from reconciler.sdk.tickets import TicketSettings
from reconciler.sections.filing import Filing
from reconciler.sections.inbound import Inbound
from reconciler.sections.nonconformities import Nonconformities
from reconciler.sections.notices import Notices
from reconciler.sections.section import Section

DEFAULT_FILE = "reconciler.toml"


def _zone(name: str) -> str:
    if name not in clock.zones():
        close = difflib.get_close_matches(name, clock.zones(), n=1)
        raise ValueError(f"is no IANA time zone{f'; did you mean {close[0]}?' if close else ''}")
    return str(ZoneInfo(name))


def _database(url: str) -> str:
    if not re.match(r"(sqlite|postgresql\+psycopg)://|env:.|file:/.", url):
        raise ValueError(
            "must be sqlite:///FILE, postgresql+psycopg://..., or a reference env:NAME or file:/path to it"
        )
    return url


def _printable(name: str) -> str:
    if not name.isprintable() or not name.strip():
        raise ValueError("must be words that can be printed")
    return name


class Estate(Section):
    """``[estate]``: whose access is reconciled."""

    name: Annotated[
        str,
        AfterValidator(_printable),
        Field(min_length=1, description="Name of the organisation, printed on every report."),
    ]
    time_zone: Annotated[
        str, AfterValidator(_zone), Field(description="IANA zone of business dates that carry none of their own.")
    ] = "UTC"


class Store(Section):
    """``[store]``: where state lives; relative paths start at the configuration file's folder."""

    database: Annotated[
        str,
        AfterValidator(_database),
        Field(
            description="sqlite:///FILE, postgresql+psycopg://..., or env:NAME or file:/path where the URL is a secret."
        ),
    ] = "sqlite:///reconciler.db"
    snapshots: Annotated[str, Field(min_length=1, description="Folder of the sealed snapshots.")] = "snapshots"


class RuleLimit(Section):
    """``[limits.rules.ID]``: another limit for the new violations of one rule."""

    new_findings: Annotated[
        int | None, Field(ge=0, description="New violations a night in one source; alone it counts whatever the size.")
    ] = None
    new_findings_percent: Annotated[
        float | None, Field(ge=0, le=100, description="Percent of the rule's population in the source.")
    ] = None


class Limits(Section):
    """``[limits]``: what changes by more than this is held until a named person accepts it.

    A table that shrank by more is held, and so are the new violations of a rule that finds more in a source than the
    lesser of a count and a share of its population there; the first night holds none.
    """

    drop_count: Annotated[int, Field(ge=0, description="Rows that a table may lose, whatever its size.")] = 50
    drop_percent: Annotated[
        float, Field(ge=0, le=100, description="Percent that a table may lose; held only past both.")
    ] = 10.0
    small_population: Annotated[
        int, Field(ge=0, description="Tables below this many rows are held when they lose more than half instead.")
    ] = 100
    new_findings: Annotated[
        int, Field(ge=0, description="New violations of a rule in one source that open in one night, at most.")
    ] = 500
    new_findings_percent: Annotated[
        float, Field(ge=0, le=100, description="Percent of the rule's population there that may, if that is less.")
    ] = 10.0
    new_findings_small: Annotated[
        int, Field(ge=0, description="New violations that the percentage always allows, however small the population.")
    ] = 20
    rules: Annotated[dict[str, RuleLimit], Field(description="Rule id -> its own limits on new violations.")] = {}

    def allowed(self, rule_id: str, population: int) -> int:
        """Return how many violations of a rule may be new in one source of that population in one night."""
        own = self.rules.get(rule_id, RuleLimit())
        count = self.new_findings if own.new_findings is None else own.new_findings
        percent = own.new_findings_percent
        if percent is None:
            percent = self.new_findings_percent if own.new_findings is None else None
        if percent is None:
            return count
        return min(count, max(self.new_findings_small, math.floor(population * percent / 100)))


class Correlation(Section):
    """``[correlation]``: how accounts are linked to people, strongest matcher first."""

    matchers: Annotated[
        list[Annotated[str, Field(pattern=r"^(employee_id|email|login|attribute:[A-Za-z0-9_.-]+)$")]],
        Field(
            min_length=1,
            description="Matchers in order of trust: employee_id, email, login, or attribute:NAME, an attribute of "
            "the account that holds the personnel number and never changes.",
        ),
    ] = ["employee_id", "email", "login"]
    plus_addressing: Annotated[
        bool,
        Field(description="Whether ada+aws@acme.test is the mailbox of ada@acme.test, as some mail systems have it."),
    ] = False


class Held(Section):
    """An entitlement, or all that fit a pattern, of one source or of any."""

    source: Annotated[str | None, Field(description="Name of the source; left out: any.")] = None
    entitlement: Annotated[str, Field(min_length=1, description="Entitlement id, name or pattern (* and ?).")]


class ToxicCombination(Section):
    """``[[rules.conflicts]]``: nobody may hold something of both sides."""

    name: Annotated[str, Field(min_length=1, description="Name of the combination, printed in findings.")]
    why: Annotated[str, Field(min_length=1, description="Why nobody may hold both.")]
    left: Annotated[list[Held], Field(min_length=1, description="One side.")]
    right: Annotated[list[Held], Field(min_length=1, description="The other side.")]


class ScopeEntry(Held):
    """``[[rules.approval_scope]]``: whether an entitlement needs an approval; the first entry that fits decides."""

    approval: Annotated[Literal["required", "not_required"], Field(description="Whether an approval is needed.")]


class RoleMapEntry(Held):
    """``[[rules.role_maps]]``: what a department's people hold by their position."""

    department: Annotated[str, Field(min_length=1, description="people.department, whatever its case.")]


class RegisteredAccount(Section):
    """``[[special_accounts]]``: an account that is nobody's own, beside those that sources report."""

    source: Annotated[str, Field(description="Name of the source.")]
    account_id: Annotated[str, Field(min_length=1, description="Id, login, DN or ARN of the account.")]
    kind: Annotated[Literal["break_glass", "service", "shared", "agent"], Field(description="What it is.")]
    owner_role: Annotated[str | None, Field(description="Governance role that answers for it.")] = None
    steward: Annotated[str | None, Field(description="person_id of who looks after it.")] = None
    purpose: Annotated[str | None, Field(description="What it is for.")] = None
    reviewed_on: Annotated[date | None, Field(description="Last review.")] = None
    review_due_on: Annotated[date | None, Field(description="Next review.")] = None


class Rules(Section):
    """``[rules]``: an organisation's own rules and parameters."""

    conflicts: Annotated[list[ToxicCombination], Field(description="Combinations that nobody may hold.")] = []
    approval_scope: Annotated[list[ScopeEntry], Field(description="Which entitlements need an approval.")] = []
    role_maps: Annotated[list[RoleMapEntry], Field(description="What departments hold without one.")] = []

    folders: Annotated[list[str], Field(description="Folders of own rules, beside the bundled ones.")] = []
    controls: Annotated[
        str | None, Field(min_length=1, description="File of own controls, beside the bundled ones.")
    ] = None
    params: Annotated[
        dict[str, dict[str, Any]], Field(description="Rule id -> parameter -> value, in place of the rule's default.")
    ] = {}


def _hide_token(url: str) -> None:
    if found := re.search(r"token=([^;\s]+)", url):
        hide(found[1])


def _engine(url: str) -> str:
    _hide_token(url)  # before anything can be said of it
    if not re.fullmatch(r"duckdb|sc://[^/\s:;]+(:\d+)?(/.*)?|env:.+|file:/.+", url):
        raise ValueError("must be duckdb, sc://host:port of a Spark Connect server, or env:NAME or file:/path to it")
    return url


class Engine(Section):
    """``[engine]``: where rules run, and what one evaluation may use."""

    engine: Annotated[
        str,
        AfterValidator(_engine),
        Field(description="duckdb, or sc://host:port of a Spark Connect server (env:NAME where it holds a token)."),
    ] = "duckdb"
    threads: Annotated[int, Field(ge=1, le=256, description="Threads of one evaluation.")] = 2
    memory_mb: Annotated[int, Field(ge=256, description="Memory of one evaluation in MiB; more spills to disk.")] = 2048


class Report(Section):
    """``[report]``: what ``run`` writes."""

    folder: Annotated[str, Field(min_length=1, description="Folder of the reports.")] = "reports"
    formats: Annotated[
        list[Literal["html", "xlsx", "csv", "json"]], Field(description="Formats that a run writes.")
    ] = ["html"]


class Config(Section):
    """The whole file. ``sources`` is checked again, each section by its own connector."""

    estate: Estate
    store: Store = Store()
    sources: Annotated[
        dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")], dict[str, Any]],
        Field(min_length=1, description="Name -> source; the name fills the source column."),
    ]
    limits: Limits = Limits()
    correlation: Correlation = Correlation()
    rules: Rules = Rules()
    engine: Engine = Engine()
    report: Report = Report()
    nonconformities: Nonconformities = Nonconformities()
    filing: Filing = Filing()
    notices: Notices = Notices()
    inbound: Annotated[
        dict[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")], Inbound],
        Field(description="Name -> webhooks that may reach us."),
    ] = {}
    special_accounts: Annotated[
        list[RegisteredAccount], Field(description="Special accounts, beside those that sources report.")
    ] = []


@dataclass(frozen=True, slots=True)
class Settings:
    """A checked configuration: the file, its sections, and each source's and ticket system's settings."""

    path: Path
    config: Config
    sources: Mapping[str, SourceSettings]
    systems: Mapping[str, TicketSettings]

    @property
    def base(self) -> Path:
        """The folder that relative paths start at."""
        return self.path.parent

    def at(self, *keys: toml.Key) -> str:
        """Return ``file:line`` of a key, or of the nearest table around one that is left out."""
        return toml.read(self.path).at(*keys)

    @property
    def database_url(self) -> str:
        """The database URL, a relative SQLite file made absolute; its password is kept out of everything printed."""
        url = self.config.store.database
        if url.startswith(("env:", "file:")):
            url = reveal(SecretRef(url))
        hide(urlsplit(url).password or "")
        prefix = "sqlite:///"
        if url.startswith(prefix) and url != prefix and not url.startswith(prefix + ":memory:"):
            return prefix + str((self.base / url.removeprefix(prefix)).resolve())
        return url

    @property
    def engine_url(self) -> str:
        """``duckdb``, or the URL of the Spark Connect server; its token is kept out of everything printed."""
        url = self.config.engine.engine
        if url.startswith(("env:", "file:")):
            url = reveal(SecretRef(url))
        _hide_token(url)
        return url

    @property
    def snapshots(self) -> Path:
        """The snapshot folder."""
        return (self.base / self.config.store.snapshots).resolve()

    @property
    def reports(self) -> Path:
        """The report folder."""
        return (self.base / self.config.report.folder).resolve()

    @property
    def rule_folders(self) -> list[Path]:
        """The organisation's own rule folders."""
        return [(self.base / folder).resolve() for folder in self.config.rules.folders]

    @property
    def controls(self) -> Path | None:
        """The organisation's own file of controls, None where it has none."""
        return (self.base / self.config.rules.controls).resolve() if self.config.rules.controls else None


def _problem(file: toml.Document, prefix: tuple[str, ...], model: type[BaseModel], error: Mapping[str, Any]) -> str:
    """Say one validation error as ``file:line: key: what``, with the nearest known key for an unknown one."""
    parts: tuple[toml.Key, ...] = tuple(part for part in error["loc"] if part != "[key]")
    location = (*prefix, *parts)
    said = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        known = _keys(model, parts[:-1])
        close = difflib.get_close_matches(str(parts[-1]), known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        said = f"unknown key; {hint}" if known else "unknown key"
    elif error["type"] == "missing":
        said = "is missing"
    elif error["type"] in {"dict_type", "model_type"}:
        said = "must be a section of keys and values"
    # A check of a whole section names the key at fault in front: "paging.in_body: needs ...".
    named = re.match(r"([A-Za-z_][\w.-]*):? ", said)
    where = file.at(*location, *(named[1].rstrip(".").split(".") if named else ()))
    return f"{where}: {'.'.join(map(str, location))}: {said}"


def _keys(model: type[BaseModel], parents: tuple[toml.Key, ...]) -> list[str]:
    """Return the keys of the section below ``parents``; none where that may be one of several."""
    found: list[Any] = [model]
    for part in parents:
        found = [inner for kind in found for inner in _inside(kind, part)]
    return sorted(found[0].model_fields) if len(found) == 1 and _is_section(found[0]) else []


def _inside(kind: Any, part: toml.Key) -> list[Any]:
    """Return what the value at a key, a name or a number within a value of that type may be, but for none."""
    if _is_section(kind):
        field = kind.model_fields.get(str(part))
        return _kinds(field.annotation) if field else []
    return _kinds(get_args(kind)[-1]) if get_origin(kind) in {dict, list} else []


def _kinds(annotation: Any) -> list[Any]:
    if get_origin(annotation) in {Union, UnionType}:
        return [kind for each in get_args(annotation) if each is not NoneType for kind in _kinds(each)]
    return _kinds(get_args(annotation)[0]) if get_origin(annotation) is Annotated else [annotation]


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _sources(file: toml.Document, config: Config) -> tuple[dict[str, SourceSettings], list[str]]:
    found: dict[str, SourceSettings] = {}
    problems: list[str] = []
    for name, section in config.sources.items():
        where = f"{file.at('sources', name)}: sources.{name}"
        connector = section.get("connector")
        if not isinstance(connector, str):
            problems.append(f"{where}: connector is missing; use one of: {', '.join(connectors.readers())}")
            continue
        try:
            model = connectors.load(connector).Settings
        except ConfigurationError as error:
            problems.append(f"{where}: {error.message}; {error.advice}")
            continue
        try:
            found[name] = model.model_validate(section)
        except ValidationError as error:
            problems += [_problem(file, ("sources", name), model, e) for e in error.errors()]
    return found, problems


def _systems(file: toml.Document, config: Config) -> tuple[dict[str, TicketSettings], list[str]]:
    found: dict[str, TicketSettings] = {}
    problems: list[str] = []
    if config.filing.enabled and not config.filing.systems:
        problems.append(f"{file.at('filing', 'enabled')}: filing.enabled: files nowhere; write [filing.systems.NAME]")
    for name, section in config.filing.systems.items():
        where = f"{file.at('filing', 'systems', name)}: filing.systems.{name}"
        connector = section.get("connector")
        if not isinstance(connector, str):
            problems.append(f"{where}: connector is missing; use one of: {', '.join(connectors.filers())}")
            continue
        try:
            model = connectors.load_tickets(connector).TicketSettings
        except ConfigurationError as error:
            problems.append(f"{where}: {error.message}; {error.advice}")
            continue
        try:
            found[name] = model.model_validate(section)
        except ValidationError as error:
            problems += [_problem(file, ("filing", "systems", name), model, e) for e in error.errors()]
    return found, problems


def _templates(file: toml.Document, config: Config, systems: Mapping[str, TicketSettings]) -> list[str]:
    """Say what is wrong with the templates of tickets; Jinja is not loaded where nothing is filed."""
    if not systems and "filing" not in file.data:
        return []
    from reconciler.sections import templates  # noqa: PLC0415 - most configurations are read without it

    texts: list[tuple[tuple[toml.Key, ...], object]] = [
        (("filing", "title"), config.filing.title),
        (("filing", "body"), config.filing.body),
    ]
    for name, section in systems.items():
        own = ("filing", "systems", name)
        texts += [((*own, "title"), section.title), ((*own, "body"), section.body), ((*own, "fields"), section.fields)]
    problems = []
    for keys, text in texts:
        for at, template in _texts(keys, text):
            if (wrong := templates.problem(template, personal_data=config.filing.personal_data)) is not None:
                line, said = wrong
                problems.append(f"{file.path}:{_line(file, at, template, line)}: {'.'.join(map(str, at))}: {said}")
    return problems


def _texts(keys: tuple[toml.Key, ...], value: object) -> Iterator[tuple[tuple[toml.Key, ...], str]]:
    """Yield each text at or below a key."""
    if isinstance(value, str):
        yield keys, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _texts((*keys, name), part)
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _texts((*keys, number), part)


def _line(file: toml.Document, keys: tuple[toml.Key, ...], text: str, line: int) -> int:
    """Return the line of the file that a line of a text stands on; a long text may begin below its key."""
    first = file.line(*keys)
    begins = file.text.splitlines()[first - 1].rstrip()
    return first + line - 1 + begins.endswith(('"""', "'''")) if "\n" in text else first


def _idle(file: toml.Document, config: Config) -> list[str]:
    """Say which declared entries can have no effect, whatever the sources hold."""
    rules = config.rules
    named: list[tuple[tuple[toml.Key, ...], str | None]] = [
        (("special_accounts", n), entry.source) for n, entry in enumerate(config.special_accounts)
    ]
    for key, scoped in (("approval_scope", rules.approval_scope), ("role_maps", rules.role_maps)):
        named += [(("rules", key, n), entry.source) for n, entry in enumerate(scoped)]
    for n, conflict in enumerate(rules.conflicts):
        for side, held in (("left", conflict.left), ("right", conflict.right)):
            named += [(("rules", "conflicts", n, side, m), entry.source) for m, entry in enumerate(held)]
    problems = [
        f"{file.at(*keys)}: {'.'.join(map(str, keys))}.source: there is no source {source}"
        for keys, source in named
        if source is not None and source not in config.sources
    ]
    names = [conflict.name for conflict in rules.conflicts]
    problems += [
        f"{file.at('rules', 'conflicts', n)}: rules.conflicts.{n}.name: {name} is declared before"
        for n, name in enumerate(names)
        if name in names[:n]
    ]
    freed = [n for n, entry in enumerate(rules.approval_scope) if entry.approval == "not_required"]
    problems += [
        f"{file.at('rules', 'approval_scope', n)}: rules.approval_scope.{n}: an approval is needed anyway: "
        "no entry after it says not_required"
        for n in range(max(freed, default=-1) + 1, len(rules.approval_scope))
    ]
    problems += [
        f"{file.at('limits', 'rules', rule_id)}: limits.rules.{rule_id}: no limit is given"
        for rule_id, own in config.limits.rules.items()
        if own == RuleLimit()
    ]
    lists: list[tuple[tuple[toml.Key, ...], Sequence[Section], set[str]]] = [
        (("rules", "approval_scope"), rules.approval_scope, {"source", "entitlement"}),
        (("rules", "role_maps"), rules.role_maps, {"source", "entitlement", "department"}),
        (("special_accounts",), config.special_accounts, {"source", "account_id"}),
    ]
    for at, entries, told in lists:
        said = [
            [str(text or "").strip().lower() for text in entry.model_dump(include=told).values()] for entry in entries
        ]
        problems += [
            f"{file.at(*at, n)}: {'.'.join(map(str, (*at, n)))}: an entry before it says the same"
            for n, one in enumerate(said)
            if one in said[:n]
        ]
    return problems


def load(path: Path) -> Settings:
    """Read and check the configuration at ``path``.

    Raises ``ConfigurationError`` that lists every problem found, each as ``file:line: key: what``.
    """
    path = path.absolute()
    file = toml.read(path)
    try:
        config = Config.model_validate(file.data)
    except ValidationError as error:
        raise _refusal([_problem(file, (), Config, e) for e in error.errors()]) from error
    sources, problems = _sources(file, config)
    systems, more = _systems(file, config)
    problems += [*more, *_templates(file, config, systems), *_idle(file, config)]
    if problems:
        raise _refusal(problems)
    return Settings(path, config, sources, systems)


def _refusal(problems: list[str]) -> ConfigurationError:
    advice = "`reconciler config schema` lists every key; `reconciler init` writes an example."
    return ConfigurationError("\n".join(problems), advice=advice)


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, each bundled connector's own keys included."""
    whole = Config.model_json_schema()
    definitions = whole.setdefault("$defs", {})
    variants = []
    for name in connectors.readers():
        model = connectors.load(name).Settings
        part = model.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= part.pop("$defs", {})
        part["properties"]["connector"] = {"const": name}
        part["title"] = f"Source read by {name}"
        definitions[f"source_{name}"] = part
        variants.append({"$ref": f"#/$defs/source_{name}"})
    whole["properties"]["sources"]["additionalProperties"] = {"oneOf": variants}
    whole["properties"]["sources"].pop("patternProperties", None)
    definitions["Filing"]["properties"]["systems"]["additionalProperties"] = {"oneOf": _filing(definitions)}
    definitions["Filing"]["properties"]["systems"].pop("patternProperties", None)
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["title"] = "reconciler configuration"
    return whole


def _filing(definitions: dict[str, Any]) -> list[dict[str, str]]:
    """Describe the sections of each connector that files, among ``definitions``; return references to them."""
    names = connectors.filers()
    for name in names:
        part = connectors.load_tickets(name).TicketSettings.model_json_schema(ref_template="#/$defs/{model}")
        definitions.update(part.pop("$defs", {}))
        part["properties"]["connector"] = {"const": name}
        part["title"] = f"System that {name} files in"
        definitions[f"system_{name}"] = part
    return [{"$ref": f"#/$defs/system_{name}"} for name in names]

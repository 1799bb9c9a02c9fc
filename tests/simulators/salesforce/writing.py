"""Writing records: create, change by id, upsert by external id (201, 200, 300), validation rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.simulators.salesforce.org import Field, Org, Row, User

USER = web.RequestKey("user", User)
"""The running user of a request."""
_WRITTEN = {"date": r"\d{4}-\d\d-\d\d", "datetime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)"}
"""How an instant or a day is written in JSON."""
Rule = Callable[[Row], dict[str, Any] | None]
"""A validation rule of an object: the problem with a record as the service words it, None where there is none."""


class WriteError(Exception):
    """A write that is refused: status, and the list of problems."""

    def __init__(self, status: int, code: str, message: str, fields: list[str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.problems: list[Any] = [{"message": message, "errorCode": code, "fields": fields or []}]


@dataclass
class Written:
    """What was written, and under which rules."""

    rules: dict[str, list[Rule]] = field(default_factory=dict)
    """Object -> rules that each record of it must meet."""
    old_answers: bool = False
    """Whether an upsert that changes a record answers 204 without a body, as versions before 46.0 do."""
    created: int = 0
    updated: int = 0
    bodies: list[Row] = field(default_factory=list)


def needs(name: str, when: str = "", value: str = "") -> Rule:
    """Make the rule that a field must be set, where another has a value."""

    def rule(row: Row) -> dict[str, Any] | None:
        if (when and row.get(when) != value) or row.get(name):
            return None
        return {
            "message": f"{name.removesuffix('__c').rpartition('__')[2]} is required",
            "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
            "fields": [name],
        }

    return rule


def _fits(field: Field, value: Any) -> None:
    """Raise for a value that the field does not take, in the service's words; null is taken."""
    kinds: dict[str, type | tuple[type, ...]] = {"boolean": bool, "double": (int, float), "int": int}
    if value is None:
        return
    if not isinstance(value, kinds.get(field.type, str)):
        raise WriteError(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of {field.type} from value {value!r}")
    if field.type in _WRITTEN and re.fullmatch(_WRITTEN[field.type], str(value)) is None:
        raise WriteError(400, "JSON_PARSER_ERROR", f"Cannot deserialize instance of {field.type} from VALUE_STRING")
    if isinstance(value, str) and field.length and len(value) > field.length:
        said = f"{field.name}: data value too large: {value[:20]}... (max length={field.length})"
        raise WriteError(400, "STRING_TOO_LONG", said, [field.name])


@dataclass
class Writing:
    """The handlers that write to an org."""

    org: Org
    done: Written
    data: str

    def add_to(self, app: web.Application) -> None:
        """Route the requests."""
        app.router.add_post(self.data + "/sobjects/{entity}", self._insert)
        app.router.add_patch(self.data + "/sobjects/{entity}/{id}", self._update)
        app.router.add_patch(self.data + "/sobjects/{entity}/{field}/{value}", self._upsert)

    async def _insert(self, request: web.Request) -> web.Response:
        entity, values = await self._asked(request)
        return self._made(self._create(entity, values, request[USER]))

    async def _update(self, request: web.Request) -> web.Response:
        entity, values = await self._asked(request)
        self._change(entity, request.match_info["id"], values)
        return web.Response(status=204)

    async def _upsert(self, request: web.Request) -> web.Response:
        entity, values = await self._asked(request)
        name, value = request.match_info["field"], request.match_info["value"]
        known = self.org.entities[entity].fields.get(name)
        if known is None or not known.external_id:
            raise WriteError(404, "NOT_FOUND", "Provided external ID field does not exist or is not accessible")
        if {"id", name.lower()} & {one.lower() for one in values}:
            raise WriteError(400, "INVALID_FIELD", f"The {name} field should not be specified in the sobject data.")
        rows = [row for row in self.org.entities[entity].rows.values() if not row["IsDeleted"]]
        found = [row for row in rows if str(row.get(name) or "").casefold() == value.casefold()]
        if len(found) > 1:
            links = [f"{self.data}/sobjects/{entity}/{row['Id']}" for row in found]
            return web.json_response(links, status=300)
        if not found:
            return self._made(self._create(entity, values | {name: value}, request[USER]))
        record = str(found[0]["Id"])
        self._change(entity, record, values)
        if self.done.old_answers:
            return web.Response(status=204)
        return web.json_response({"id": record, "success": True, "errors": [], "created": False})

    async def _asked(self, request: web.Request) -> tuple[str, Row]:
        entity, user = request.match_info["entity"], request[USER]
        if entity not in user.reads or entity not in self.org.entities:
            raise WriteError(404, "NOT_FOUND", "The requested resource does not exist")
        if entity not in user.edits:
            raise WriteError(403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        sent: Row = await request.json()
        self.done.bodies.append(sent)
        values: Row = {}
        for name, value in sent.items():
            values |= self._looked_up(entity, name, value) if name.endswith("__r") else {name: value}
        for name, value in values.items():
            known = self.org.entities[entity].fields
            if name not in known or f"{entity}.{name}" in user.locked:
                raise WriteError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {entity}")
            _fits(known[name], value)
        return entity, values

    def _looked_up(self, entity: str, name: str, given: Row) -> Row:
        """Return a lookup that was given by an external id of the record that it leads to."""
        known = next((one for one in self.org.entities[entity].fields.values() if one.relationship == name), None)
        if known is None:
            raise WriteError(400, "INVALID_FIELD", f"No such column '{name}' on sobject of type {entity}")
        ((path, key),) = given.items()
        target = known.reference_to[0]
        for row in self.org.entities[target].rows.values():
            if row.get(path) == key:
                return {known.name: row["Id"]}
        said = f"Foreign key external ID: {key} not found for field {path} in entity {target}"
        raise WriteError(400, "INVALID_FIELD", said)

    def _create(self, entity: str, values: Row, user: User) -> str:
        owned = {name: user.id for name in ("OwnerId", "CreatedById") if name in self.org.entities[entity].fields}
        self._check(entity, values)
        self.done.created += 1
        return self.org.insert(entity, **owned, **values)

    def _change(self, entity: str, record: str, values: Row) -> None:
        row = self.org.entities[entity].rows.get(record)
        if row is None or row["IsDeleted"]:
            raise WriteError(404, "ENTITY_IS_DELETED", "entity is deleted")
        self._check(entity, row | values)
        self.done.updated += 1
        self.org.update(entity, record, **values)

    def _check(self, entity: str, row: Row) -> None:
        problems = [problem for rule in self.done.rules.get(entity, []) if (problem := rule(row)) is not None]
        if problems:
            error = WriteError(400, "", "")
            error.problems = problems
            raise error

    @staticmethod
    def _made(record: str) -> web.Response:
        return web.json_response({"id": record, "success": True, "errors": [], "created": True}, status=201)

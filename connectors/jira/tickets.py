"""Jira Cloud as a system that tickets are filed in: which requests, in which order, and what each answer proves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Unreachable
from reconciler.sdk.tickets import Change, Request, Status, Ticket, TicketRef, TicketView

from .client import Client, NotThere, Sending
from .connector import (
    checked,
    creation,
    fields_of,
    issue_id,
    keys_of,
    query,
    ref_of,
    remark,
    status_of,
    transition,
    values,
    view,
)
from .settings import SETTLE_SECONDS, TicketSettings

_NEEDED = ("BROWSE_PROJECTS", "CREATE_ISSUES")
_USED = {
    "EDIT_ISSUES": "fields of tickets cannot be changed",
    "ADD_COMMENTS": "nothing can be remarked on tickets",
    "TRANSITION_ISSUES": "tickets can be neither ended nor reopened",
}


class Jira:
    """Files issues, or requests, in one project of one site. A label carries the key; nothing keeps it unique."""

    version = "1"
    idempotent = False
    readable = True

    def __init__(self, name: str, settings: TicketSettings, base: Path) -> None:
        """Make it; no network yet."""
        self.name = name
        self.settle_seconds = SETTLE_SECONDS if settings.settle_seconds is None else settings.settle_seconds
        self._settings = settings
        self._client = Client(settings, base)
        self.endpoint = self._client.origin
        self._fields = ["summary", "status", "assignee", "resolution", "updated", settings.key_field]

    async def check(self) -> Sequence[Gap]:
        """Ask for permissions and for the fields of the form; raise where no ticket could be made or found."""
        used = _USED | ({"SCHEDULE_ISSUES": "the due date cannot be set"} if self._settings.due == "duedate" else {})
        granted = await self._granted((*_NEEDED, *used))
        gaps = [
            Gap(self._settings.project, "", f"not granted: {lacks}", missing_permission=name)
            for name, lacks in used.items()
            if name not in granted
        ]
        form = await self._form()
        sent = set(self._settings.fields) | {"summary", "description", self._settings.key_field, self._settings.due}
        sent |= {"priority"} if self._settings.priorities else set()
        for field in sorted(sent - {""} - set(form)):
            reason = "not on the form of the issue or request type: every creation that fills it is refused"
            if field == self._settings.key_field:
                raise Refused(
                    f"{self._settings.project}: {field} is {reason}, and it carries the key",
                    advice="Put the field on the form, or set key_field to a text field that is.",
                )
            gaps.append(Gap(self._settings.project, field, reason))
        gaps += [
            Gap(self._settings.project, field, "asked for by the form, and not filled: give it under fields")
            for field, asked in form.items()
            if asked and field not in sent | {"project", "issuetype", "reporter"}
        ]
        return gaps

    def preview(self, ticket: Ticket) -> Request:
        """Return the request that ``create`` sends."""
        return self._client.shown(creation(self._settings, ticket))

    async def find(self, key: str) -> Sequence[TicketRef]:
        """Return every issue that carries ``key``, in any project, oldest first, as far as the search has come."""
        found = await self._client.search(query(self._settings, checked(key)), [self._settings.key_field])
        refs = [ref_of(self._settings, issue) for issue in found if key in keys_of(self._settings, issue)]
        if not refs:
            await self._granted(_NEEDED)
        return refs

    async def create(self, ticket: Ticket) -> TicketRef:
        """Make the issue or request; its key is part of it from the first moment."""
        answer = await self._client.send(creation(self._settings, ticket))
        try:
            return ref_of(self._settings, answer)
        except Misbehaved as error:
            raise Unreachable(error.message, advice="It was made, as it seems: look for its key.") from None

    async def read(self, ref: TicketRef) -> TicketView:
        """Return the issue with its comments. GONE: Jira shows none by its id, and still shows the project."""
        path = f"rest/api/3/issue/{issue_id(ref.id)}"
        try:
            issue = await self._client.read(path, {"fields": ",".join(self._fields)})
            comments = await self._client.listed(f"{path}/comment", "comments", {"orderBy": "created"})
        except NotThere:
            await self._granted(_NEEDED)
            return TicketView(ref, Status.GONE, "")
        return view(self._settings, issue, comments)

    async def change(self, ref: TicketRef, change: Change) -> None:
        """Set the fields, move it where it does not stand yet, and remark last: a mark that shows means all is done."""
        path = f"rest/api/3/issue/{issue_id(ref.id)}"
        fields = values(self._settings, change.fields)
        body = remark(self._settings, change)
        if "labels" in fields:
            # Set as they are given, labels would take the key away: they are added.
            update = {"labels": [{"add": label} for label in fields.pop("labels")]}
            await self._client.send(Sending("PUT", path, {"fields": fields, "update": update}))
        elif fields:
            await self._client.send(Sending("PUT", path, {"fields": fields}))
        if change.status is not None:
            await self._move(path, ref, change.status)
        if change.comment:
            await self._client.send(Sending("POST", f"{path}/comment", body))

    async def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        """Yield each issue whose key starts with ``prefix``, of all that carry the marker: no query knows prefixes."""
        least = checked(prefix, r"[a-z0-9-]{1,64}")
        await self._granted(_NEEDED)
        for issue in await self._client.search(query(self._settings), [self._settings.key_field]):
            for key in keys_of(self._settings, issue):
                if key.startswith(least):
                    yield key, ref_of(self._settings, issue)

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    async def _move(self, path: str, ref: TicketRef, wanted: Status) -> None:
        issue = await self._client.read(path, {"fields": "status"})
        if status_of(self._settings, fields_of(issue).get("status")) is wanted:
            return
        offered = await self._client.read(f"{path}/transitions", {"expand": "transitions.fields"})
        found = offered.get("transitions")
        those = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
        body = transition(self._settings, wanted, those, ref.number or ref.id)
        await self._client.send(Sending("POST", f"{path}/transitions", body))

    async def _granted(self, names: Sequence[str]) -> set[str]:
        """Return which project permissions are held; raise ``Refused`` without those to see and to make issues.

        An account that may not see the project is told that nothing is there, and so is one whose token has expired.
        """
        project = self._settings.project
        asked = {"projectKey": project, "permissions": ",".join(names)}
        answer = (await self._client.read("rest/api/3/mypermissions", asked)).get("permissions")
        known: Mapping[str, Any] = answer if isinstance(answer, Mapping) else {}
        held = {name for name in names if isinstance(known.get(name), Mapping) and known[name].get("havePermission")}
        for name in _NEEDED:
            if name not in held:
                raise Refused(
                    f"{project}: these credentials lack {name}: what they do not find may be there all the same",
                    advice="Check that the token is valid, and grant the permission in the project.",
                    missing_permission=name,
                )
        return held

    async def _form(self) -> dict[str, bool]:
        """Return the fields of the form by id, and whether each must be filled."""
        request, project = self._settings.request, self._settings.project
        if request is not None:
            path = f"rest/servicedeskapi/servicedesk/{request.service_desk}/requesttype/{request.request_type}/field"
            found = (await self._client.read(path)).get("requestTypeFields")
            fields = [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []
            filled = ("defaultValues", "presetValues")
            return {
                str(one.get("fieldId")): bool(one.get("required")) and not any(one.get(name) for name in filled)
                for one in fields
            }
        path = f"rest/api/3/issue/createmeta/{project}/issuetypes"
        kinds = await self._client.listed(path, "issueTypes", {})
        wanted = self._settings.issue_type
        for kind in kinds:
            if wanted in {kind.get("id"), kind.get("name")}:
                fields = await self._client.listed(f"{path}/{kind.get('id')}", "fields", {})
                return {
                    str(one.get("fieldId")): bool(one.get("required")) and not one.get("hasDefaultValue")
                    for one in fields
                }
        raise ConfigurationError(
            f"{project} has no issue type {wanted!r} that may be created",
            advice=f"Set issue_type to one of: {', '.join(str(kind.get('name')) for kind in kinds)}.",
        )

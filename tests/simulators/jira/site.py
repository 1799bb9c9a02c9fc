"""The issues of a Jira Cloud site: projects, forms, a workflow, comments, permissions, and an index that lags.

As documented: a search answers from an index that comes after the writes; nothing is unique; who may not see an issue
is told that there is none; a field that is not on the form refuses the whole creation.
"""

from __future__ import annotations

import copy
import json
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

Issue = dict[str, Any]

CATEGORIES = {"To Do": "new", "In Progress": "indeterminate", "Done": "done", "Resolved": "done", "Cancelled": "done"}
PERMISSIONS = (
    "BROWSE_PROJECTS",
    "CREATE_ISSUES",
    "EDIT_ISSUES",
    "ADD_COMMENTS",
    "TRANSITION_ISSUES",
    "SCHEDULE_ISSUES",
)
FORM = {"summary": True, "issuetype": True, "project": True, "reporter": True} | dict.fromkeys(
    ["description", "labels", "priority", "duedate", "components", "customfield_10050"], False
)
REQUEST_FORM = {"summary": True, "description": False, "labels": False}
LONGEST = 32_767
PRIORITIES = ("Highest", "High", "Medium", "Low", "Lowest")
BLOCKS = {"paragraph", "bulletList"}
NODES = {"doc": BLOCKS, "bulletList": {"listItem"}, "listItem": BLOCKS, "paragraph": {"text", "hardBreak"}}
"""Node of a document -> what it may hold, of what is needed here."""


class RefusedError(Exception):
    """What the site says no with: status, general words, words by field."""

    def __init__(self, status: int, *words: str, **errors: str) -> None:
        super().__init__(status)
        self.status, self.words, self.errors = status, list(words), errors


@dataclass
class Site:
    """The state; change its attributes to change what the site does from then on."""

    form: dict[str, bool] = field(default_factory=lambda: dict(FORM))
    """Fields of the create screen -> whether each must be filled."""
    request_form: dict[str, bool] = field(default_factory=lambda: dict(REQUEST_FORM))
    presets: set[str] = field(default_factory=set)
    """Fields of the request form that have a value of their own, and are not shown."""
    transitions: dict[str, str] = field(
        default_factory=lambda: {"11": "To Do", "21": "In Progress", "31": "Done", "41": "Resolved"}
    )
    """Id of a transition -> the status that it leads to, from anywhere; its name is the status's."""
    names: dict[str, str] = field(default_factory=dict)
    """Id of a transition -> a name of its own."""
    screens: dict[str, tuple[str, ...]] = field(default_factory=lambda: {"31": ("resolution",)})
    """Id of a transition -> fields of its screen, each of which must be filled."""
    granted: set[str] = field(default_factory=lambda: set(PERMISSIONS))
    hidden_projects: set[str] = field(default_factory=set)
    lag: float = 0.0
    """Seconds until a search shows a write."""
    frozen: bool = False
    """Whether the index stands still."""
    behind: int = 0
    """Searches that did not see every write."""
    issues: dict[str, Issue] = field(default_factory=dict)
    comments: dict[str, list[Issue]] = field(default_factory=dict)
    now: datetime = datetime(2026, 3, 1, 8, tzinfo=UTC)
    _index: list[tuple[float, str, Issue | None]] = field(default_factory=list)
    _indexed: dict[str, Issue] = field(default_factory=dict)
    _numbers: int = 10_000
    _last: int = 0

    def create(self, fields: dict[str, Any], form: dict[str, bool], kind: str = "Task") -> Issue:
        """Make an issue from what a form was sent."""
        if "CREATE_ISSUES" not in self.granted:
            raise RefusedError(403, "You do not have permission to create issues in this project.")
        errors = {
            name: f"Field '{name}' cannot be set. It is not on the appropriate screen, or unknown."
            for name in fields
            if name not in form or (name == "duedate" and "SCHEDULE_ISSUES" not in self.granted)
        }
        errors |= {
            name: f"{name} is required."
            for name, asked in form.items()
            if asked and name != "reporter" and not fields.get(name)
        }
        if "\n" in fields.get("summary", "") or len(fields.get("summary", "")) > 255:
            errors["summary"] = "Summary must be one line of at most 255 characters."
        errors |= {name: why for name, value in fields.items() if (why := wrong(name, value))}
        if errors:
            raise RefusedError(400, **errors)
        self._numbers, self._last = self._numbers + 1, self._last + 1
        issue: Issue = {
            "id": str(self._numbers),
            "key": f"GRC-{self._last}",
            "fields": {"labels": [], "assignee": None, "resolution": None, "customfield_10050": None} | fields,
        }
        issue["fields"] |= {"status": status("To Do"), "issuetype": {"name": kind}, "created": self.tick()}
        issue["fields"]["updated"] = issue["fields"]["created"]
        self.issues[issue["id"]] = issue
        self.comments[issue["id"]] = []
        self.write(issue["id"])
        return issue

    def find(self, number_or_key: str) -> Issue:
        """Return an issue by id or key; raise where there is none, or none to be seen."""
        for issue in self.issues.values():
            if number_or_key in {issue["id"], issue["key"]} and self.shows(issue):
                return issue
        raise RefusedError(404, "Issue does not exist or you do not have permission to see it.")

    def edit(self, number: str, fields: dict[str, Any], update: dict[str, Any] | None = None) -> None:
        """Change fields of an issue, as the interface or a person does."""
        issue = self.find(number)
        for name, steps in (update or {}).items():
            for step in steps:
                (verb, value), *_ = step.items()
                held = issue["fields"].setdefault(name, [])
                if verb == "add" and value not in held:
                    held.append(value)
                elif verb == "remove" and value in held:
                    held.remove(value)
        issue["fields"] |= fields
        self.touch(issue)

    def move(self, number: str, transition: str, fields: dict[str, Any] | None = None) -> None:
        """Take an issue through a transition."""
        issue = self.find(number)
        if transition not in self.transitions or "TRANSITION_ISSUES" not in self.granted:
            raise RefusedError(400, f"Transition id '{transition}' is not valid for this issue.")
        screen, fields = self.screens.get(transition, ()), fields or {}
        if strange := [name for name in fields if name not in screen]:
            raise RefusedError(
                400, **dict.fromkeys(strange, "Field cannot be set. It is not on the appropriate screen")
            )
        if missing := [name for name in screen if not fields.get(name)]:
            raise RefusedError(400, **{name: f"{name} is required." for name in missing})
        to = self.transitions[transition]
        issue["fields"]["status"] = status(to)
        issue["fields"]["resolution"] = fields.get("resolution") if CATEGORIES[to] == "done" else None
        self.touch(issue)

    def comment(self, number: str, body: Any, author: str = "Reconciler", properties: Any = None) -> Issue:
        """Remark on an issue."""
        issue = self.find(number)
        if "ADD_COMMENTS" not in self.granted:
            raise RefusedError(403, "You do not have the permission to comment on this issue.")
        said = {"id": str(20_000 + self._numbers), "author": {"displayName": author, "accountId": "5b10"}}
        said |= {"body": body, "created": self.tick(), "properties": properties or []}
        self._numbers += 1
        self.comments[issue["id"]].append(said)
        self.touch(issue)
        return said

    def rehome(self, number: str, key: str) -> None:
        """Move an issue to another project: its key changes, its id does not."""
        self.issues[number]["key"] = key
        self.touch(self.issues[number])

    def clone(self, number: str) -> Issue:
        """Clone an issue as people do: labels and all."""
        fields = copy.deepcopy(self.issues[number]["fields"])
        kept = {name: fields[name] for name in ("summary", "description", "labels", "customfield_10050")}
        return self.create(kept, dict.fromkeys(kept, False))

    def delete(self, number: str) -> None:
        """Delete an issue."""
        del self.issues[number]
        self._index.append((time.monotonic(), number, None))

    def search(self, jql: str) -> list[Issue]:
        """Return what the index holds for the little JQL that is understood; raise for any other."""
        found = re.fullmatch(r'(labels =|summary ~|cf\[10050\] ~) "(.+?)" ORDER BY created ASC, key ASC', jql)
        if found is None:
            raise RefusedError(400, f"Error in the JQL Query: {jql}")
        self._catch_up()
        self.behind += bool(self._index)
        word = found[2].replace('\\"', "")
        field_name = {"labels =": "labels", "summary ~": "summary"}.get(found[1], "customfield_10050")
        hits = [one for one in self._indexed.values() if self.shows(one) and _hits(one["fields"][field_name], word)]
        return sorted(hits, key=lambda one: (one["fields"]["created"], one["key"]))

    def shows(self, issue: Issue) -> bool:
        """Say whether the account may see an issue."""
        return "BROWSE_PROJECTS" in self.granted and issue["key"].partition("-")[0] not in self.hidden_projects

    def touch(self, issue: Issue) -> None:
        """Note that an issue was changed."""
        issue["fields"]["updated"] = self.tick()
        self.write(issue["id"])

    def write(self, number: str) -> None:
        """Hand an issue to the index, which takes its time."""
        self._index.append((time.monotonic() + self.lag, number, copy.deepcopy(self.issues[number])))

    def tick(self) -> str:
        self.now += timedelta(seconds=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def _catch_up(self) -> None:
        if self.frozen:
            return
        later = []
        for due, number, issue in self._index:
            if due > time.monotonic():
                later.append((due, number, issue))
            elif issue is None:
                self._indexed.pop(number, None)
            else:
                self._indexed[number] = issue
        self._index = later


def wrong(name: str, value: Any) -> str:
    """Return why a field cannot have a value, empty where it can; None empties it."""
    well, said = True, ""
    match name:
        case "description":
            said = "" if value is None else document_error(value)
            well = not said
        case "labels":
            texts = isinstance(value, list) and all(isinstance(one, str) and 0 < len(one) <= 255 for one in value)
            well, said = texts and not any(" " in one for one in value), "The label contains spaces which is invalid."
        case "duedate":
            well = isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value) is not None
            said = "Error parsing date string. Expected format is yyyy-MM-dd"
        case "priority":
            well = isinstance(value, dict) and value.get("name") in PRIORITIES
            said = "Specify the Priority (id or name) in the string format"
        case "components":
            well = isinstance(value, list) and all(isinstance(one, dict) for one in value)
            said = "data was not an array"
    return "" if well or value is None else said


def document_error(value: Any) -> str:
    """Return why a value is no document that Jira takes, empty where it is one."""
    if not isinstance(value, dict) or (value.get("type"), value.get("version")) != ("doc", 1) or not _holds(value):
        return "Operation value must be an Atlassian Document (see the Atlassian Document Format)"
    if len(json.dumps(value, ensure_ascii=False, separators=(",", ":"))) > LONGEST:
        return f"The entered text is too long. It exceeds the allowed limit of {LONGEST:,} characters."
    return ""


def _holds(node: dict[str, Any]) -> bool:
    """Say whether a node holds what it may, and every text something."""
    if node["type"] == "text":
        return isinstance(node.get("text"), str) and bool(node["text"])
    inside = node.get("content", [])
    return all(one.get("type") in NODES.get(node["type"], ()) and _holds(one) for one in inside)


def status(name: str) -> dict[str, Any]:
    """Return a status as Jira writes it."""
    return {"name": name, "id": str(10_000 + len(name)), "statusCategory": {"key": CATEGORIES[name], "name": name}}


def _hits(value: Any, word: str) -> bool:
    """Search as the index does: labels whole, text by its words, in which a hyphen parts two."""
    if isinstance(value, list):
        return word in value
    words, wanted = (re.findall(r"[a-z0-9]+", str(text or "").lower()) for text in (value, word))
    return any(words[place : place + len(wanted)] == wanted for place in range(len(words)))

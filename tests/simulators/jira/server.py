"""Jira Cloud over HTTP: issues, search by token, transitions, comments, forms, and requests of the service desk."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tests.simulators.http_injection import Injector
from tests.simulators.http_server import LoopbackServer
from tests.simulators.jira.site import PERMISSIONS, RefusedError, Site, document_error, wrong
from tests.simulators.jira.site import status as status_named

USER = "svc-reconciler@acme.test"
TOKEN = "planted-ATATT3xFf=token"
CLIENT = ("planted-client", "planted-cl1ent+secret")
_API = "/rest/api/3"
_STRANGER = web.RequestKey("stranger", bool)


@dataclass
class Jira:
    """A simulated site on a loopback port."""

    site: Site = field(default_factory=Site)
    faults: Injector = field(default_factory=Injector)
    most: int = 100
    """Issues that a page of a search has at most, and items of any other list."""
    strangers: bool = True
    """Whether wrong credentials are answered as an anonymous visitor is, with 200, where the address allows it."""
    named: bool = True
    """Whether such an answer says so in X-Seraph-LoginReason."""
    repeat_token: bool = False
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    _issued: int = 0
    _server: LoopbackServer | None = None

    def __enter__(self) -> Self:
        self._server = LoopbackServer(self._application, tls=False)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.stop()

    @property
    def url(self) -> str:
        """The address of the site."""
        assert self._server is not None
        return self._server.url

    def held(self) -> Counter[str]:
        """Return how many issues carry each key label."""
        labels = [label for issue in self.site.issues.values() for label in issue["fields"]["labels"]]
        return Counter(label for label in labels if label.startswith("rec-"))

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(_refusal), self._guard])
        app.router.add_post("/oauth/token", self._token)
        app.router.add_get(f"{_API}/mypermissions", self._permissions)
        app.router.add_get(f"{_API}/search/jql", self._search)
        app.router.add_get(f"{_API}/issue/createmeta/{{project}}/issuetypes", self._kinds)
        app.router.add_get(f"{_API}/issue/createmeta/{{project}}/issuetypes/{{id}}", self._form)
        app.router.add_post(f"{_API}/issue", self._create)
        app.router.add_get(f"{_API}/issue/{{id}}", self._issue)
        app.router.add_put(f"{_API}/issue/{{id}}", self._edit)
        app.router.add_get(f"{_API}/issue/{{id}}/comment", self._comments)
        app.router.add_post(f"{_API}/issue/{{id}}/comment", self._comment)
        app.router.add_get(f"{_API}/issue/{{id}}/transitions", self._transitions)
        app.router.add_post(f"{_API}/issue/{{id}}/transitions", self._move)
        app.router.add_post("/rest/servicedeskapi/request", self._request)
        app.router.add_get("/rest/servicedeskapi/servicedesk/3/requesttype/25/field", self._request_form)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        said = request.headers.get("Authorization", "")
        word = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        known = said == f"Basic {word}" or said.removeprefix("Bearer ") in self.tokens
        headers = {}
        if not known and request.path != "/oauth/token":
            open_to_all = request.method == "GET" and request.path.endswith(("/search/jql", "/mypermissions"))
            if not (self.strangers and open_to_all):
                return _error(401, ["Client must be authenticated to access this resource."])
            request[_STRANGER] = True
            headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"} if self.named else {}
        try:
            answer: web.StreamResponse = await handler(request)
        except RefusedError as error:
            if request.path.startswith("/rest/servicedeskapi"):
                words = "; ".join([*error.words, *error.errors.values()])
                return web.json_response({"errorMessage": words, "i18nErrorMessage": {}}, status=error.status)
            return _error(error.status, error.words, error.errors)
        answer.headers.update(headers)
        return answer

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form.get("client_id"), form.get("client_secret")) != CLIENT:
            return web.json_response({"error": "access_denied", "error_description": "Unauthorized"}, status=401)
        self._issued += 1
        self.tokens = {f"planted-token-{self._issued}"}
        return web.json_response({"access_token": next(iter(self.tokens)), "token_type": "Bearer", "expires_in": 3600})

    async def _permissions(self, request: web.Request) -> web.Response:
        if request.query.get("projectKey") != "GRC":
            raise RefusedError(404, f"No project could be found with key '{request.query.get('projectKey')}'.")
        asked = request.query.get("permissions", "").split(",")
        if not set(asked) <= set(PERMISSIONS):
            raise RefusedError(400, "Unrecognized permission.")
        held = set() if request.get(_STRANGER) else self.site.granted
        found = {name: {"key": name, "type": "PROJECT", "havePermission": name in held} for name in asked}
        return web.json_response({"permissions": found})

    async def _search(self, request: web.Request) -> web.Response:
        found = [] if request.get(_STRANGER) else self.site.search(request.query["jql"])
        begin = int(request.query.get("nextPageToken", "0"))
        size = min(int(request.query.get("maxResults", "50")), self.most)
        names = request.query.get("fields", "id").split(",")
        page = [_shape(issue, names) for issue in found[begin : begin + size]]
        content: dict[str, Any] = {"issues": page, "isLast": begin + size >= len(found)}
        if not content["isLast"]:
            content["nextPageToken"] = "1" if self.repeat_token else str(begin + size)
        return web.json_response(content)

    async def _kinds(self, request: web.Request) -> web.Response:
        kinds = [{"id": "10001", "name": "Bug"}, {"id": "10002", "name": "Task"}]
        return self._paged(request, "issueTypes", kinds)

    async def _form(self, request: web.Request) -> web.Response:
        fields = [
            {"fieldId": name, "required": asked, "hasDefaultValue": False} for name, asked in self.site.form.items()
        ]
        return self._paged(request, "fields", fields)

    async def _create(self, request: web.Request) -> web.Response:
        fields = (await self._body(request))["fields"]
        if fields.get("project") != {"key": "GRC"}:
            raise RefusedError(400, project="valid project is required")
        if fields.get("issuetype") not in ({"name": "Task"}, {"id": "10002"}):
            raise RefusedError(400, issuetype="Specify a valid issue type")
        issue = self.site.create(fields, self.site.form)
        there = f"{self.url}{_API}/issue/{issue['id']}"
        return web.json_response({"id": issue["id"], "key": issue["key"], "self": there}, status=201)

    async def _request(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if (body.get("serviceDeskId"), body.get("requestTypeId"), body.get("isAdfRequest")) != ("3", "25", True):
            raise RefusedError(400, "The service desk or request type does not exist.")
        issue = self.site.create(body["requestFieldValues"], self.site.request_form)
        return web.json_response({"issueId": issue["id"], "issueKey": issue["key"], "requestTypeId": "25"}, status=201)

    async def _request_form(self, _: web.Request) -> web.Response:
        fields = [
            {"fieldId": name, "required": asked, "presetValues": ["1"] if name in self.site.presets else []}
            for name, asked in self.site.request_form.items()
        ]
        return web.json_response({"requestTypeFields": fields, "canRaiseOnBehalfOf": False})

    async def _issue(self, request: web.Request) -> web.Response:
        issue = self.site.find(request.match_info["id"])
        return web.json_response(_shape(issue, request.query.get("fields", "").split(",")))

    async def _edit(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if "EDIT_ISSUES" not in self.site.granted:
            raise RefusedError(403, "You do not have permission to edit issues in this project.")
        unknown = [name for name in {**body.get("fields", {}), **body.get("update", {})} if name not in self.site.form]
        if unknown:
            raise RefusedError(400, **{unknown[0]: f"Field '{unknown[0]}' cannot be set."})
        if errors := {name: why for name, value in body.get("fields", {}).items() if (why := wrong(name, value))}:
            raise RefusedError(400, **errors)
        self.site.edit(request.match_info["id"], body.get("fields", {}), body.get("update"))
        return web.Response(status=204)

    async def _comments(self, request: web.Request) -> web.Response:
        issue = self.site.find(request.match_info["id"])
        return self._paged(request, "comments", self.site.comments[issue["id"]])

    async def _comment(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if problem := document_error(body.get("body")):
            raise RefusedError(400, comment=problem)
        made = self.site.comment(request.match_info["id"], body["body"], properties=body.get("properties"))
        return web.json_response(made, status=201)

    async def _transitions(self, request: web.Request) -> web.Response:
        self.site.find(request.match_info["id"])
        offered = self.site.transitions if "TRANSITION_ISSUES" in self.site.granted else {}
        found = []
        for number, to in offered.items():
            screen = self.site.screens.get(number, ())
            fields = {name: {"required": True, "hasDefaultValue": False} for name in screen}
            shown = {"id": number, "name": self.site.names.get(number, to), "to": status_named(to)}
            found.append(shown | ({"fields": fields} if "fields" in request.query.get("expand", "") else {}))
        return web.json_response({"transitions": found})

    async def _move(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        self.site.move(request.match_info["id"], body["transition"]["id"], body.get("fields"))
        return web.Response(status=204)

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.requests.append((request.method, str(request.url), body))
        return body

    def _paged(self, request: web.Request, name: str, items: list[dict[str, Any]]) -> web.Response:
        begin = int(request.query.get("startAt", "0"))
        size = min(int(request.query.get("maxResults", "50")), self.most)
        page = items[begin : begin + size]
        return web.json_response({name: page, "startAt": begin, "maxResults": size, "total": len(items)})


def _shape(issue: dict[str, Any], names: list[str]) -> dict[str, Any]:
    return {
        "id": issue["id"],
        "key": issue["key"],
        "fields": {name: issue["fields"][name] for name in names if name in issue["fields"]},
    }


def _refusal(status: int, *, announced: bool) -> web.Response:
    headers = {"Retry-After": "0"} if announced and status in {429, 503} else {}
    return _error(status, [f"injected {status}"], headers=headers)


def _error(
    status: int, words: list[str], errors: dict[str, str] | None = None, headers: dict[str, str] | None = None
) -> web.Response:
    return web.json_response({"errorMessages": words, "errors": errors or {}}, status=status, headers=headers)


__all__ = ["CLIENT", "TOKEN", "USER", "Jira"]

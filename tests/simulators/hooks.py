"""A receiver of webhooks that keeps to Standard Webhooks: checks signature and time, takes each id once."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal, Self

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tests.simulators.http_injection import Injector
from tests.simulators.http_server import LoopbackServer

SECRET = "whsec_cGxhbnRlZC1zZWNyZXQtb2YtdGhlLXJlY2VpdmVyLTEyMw=="


@dataclass
class Receiver:
    """The running receiver; ``taken`` are the events by id, each once."""

    secret: str = SECRET
    speaks: Literal["json", "text", "nothing"] = "json"
    disabled: bool = False
    taken: dict[str, dict[str, Any]] = field(default_factory=dict)
    deliveries: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    faults: Injector = field(default_factory=Injector)
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
        """Scheme, host and port."""
        assert self._server is not None
        return self._server.url

    def held(self) -> Counter[str]:
        """Return how many tickets there are of each key."""
        return Counter(event["subject"] for event in self.taken.values() if event["type"].endswith(".filed"))

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(_refusal)])
        app.router.add_post("/hooks", self._take)
        return app

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.deliveries.append((dict(request.headers), body))
        if self.disabled:
            return web.json_response({"message": "endpoint disabled"}, status=410)
        try:
            Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError as error:
            return web.json_response({"message": str(error)}, status=401)
        event = json.loads(body)
        assert request.content_type == "application/cloudevents+json"
        number = request.headers["webhook-id"]
        place = list(self.taken).index(number) if number in self.taken else len(self.taken)
        assert self.taken.setdefault(number, event) == event
        if self.speaks == "nothing":
            return web.Response(status=202)
        if self.speaks == "text":
            return web.Response(text="ok")
        return web.json_response({"id": f"T{place + 1}", "number": place + 1, "url": f"https://desk.test/T{place + 1}"})


def _refusal(status: int, *, announced: bool) -> web.Response:
    headers = {"Retry-After": "0"} if announced and status in {429, 503} else {}
    return web.json_response({"message": f"fault {status}"}, status=status, headers=headers)

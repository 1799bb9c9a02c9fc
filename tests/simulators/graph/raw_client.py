"""A bare HTTP client for tests of the simulator: no retries, no SDK, every answer as it came."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from tests.simulators.graph.server import GraphSimulator

EVENTUAL = {"ConsistencyLevel": "eventual"}


class RawClient:
    """Asks one simulator with one token."""

    def __init__(self, graph: GraphSimulator, http: httpx.Client) -> None:
        self.graph, self.http = graph, http
        self.token = graph.token()

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Ask for a path below /v1.0, or for a whole URL."""
        url = path if "://" in path else f"{self.graph.url}/v1.0/{path}"
        return self.http.get(url, headers={"Authorization": f"Bearer {self.token}", **(headers or {})})

    def value(self, path: str, headers: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the rows of one page that must be there."""
        answer = self.get(path, headers)
        assert answer.status_code == 200, answer.text
        rows: list[dict[str, Any]] = answer.json()["value"]
        return rows

    def error(self, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Return status and code of an answer that is an error."""
        answer = self.get(path, headers)
        return answer.status_code, answer.json()["error"]["code"]

    def pages(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Follow the next links to the end."""
        link: str | None = path
        while link is not None:
            answer = self.get(link, headers)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            yield page
            link = page.get("@odata.nextLink")

    def ids(self, path: str, headers: Mapping[str, str] | None = None) -> list[str]:
        """Return the ids of the rows of every page."""
        return [row["id"] for page in self.pages(path, headers) for row in page["value"]]

    def batch(self, *items: Mapping[str, Any]) -> httpx.Response:
        """Send a $batch."""
        url = f"{self.graph.url}/v1.0/$batch"
        return self.http.post(url, json={"requests": list(items)}, headers={"Authorization": f"Bearer {self.token}"})


@contextmanager
def asking(graph: GraphSimulator, timeout: float = 30.0) -> Iterator[RawClient]:
    """Start the simulator and a client of it."""
    with graph:
        trust: ssl.SSLContext | bool = True
        if graph.ca_file is not None:
            trust = ssl.create_default_context(cafile=str(graph.ca_file))
        with httpx.Client(verify=trust, timeout=timeout, trust_env=False) as http:
            yield RawClient(graph, http)

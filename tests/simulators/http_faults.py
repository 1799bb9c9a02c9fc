"""An HTTP server on loopback that gives each fault on request: what breaks between a source and its connector."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]
"""Write an answer, or part of one, or none; the server closes the connection afterwards."""

_JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Request:
    """What reached the server."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass
class FaultServer:
    """Serve scripts: the answers of a path in order, the last one for ever."""

    tls: ssl.SSLContext | None = None
    requests: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    _scripts: dict[str, list[Behaviour]] = field(default_factory=dict)
    _server: asyncio.Server | None = None
    _open: int = 0

    @property
    def url(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return f"http{'s' if self.tls else ''}://{'localhost' if self.tls else '127.0.0.1'}:{port}"

    def script(self, path: str, *answers: Behaviour) -> None:
        self._scripts[path] = list(answers)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, target, _ = head[0].split(" ", 2)
            pairs = (line.split(": ", 1) for line in head[1:] if line)
            headers = {name.lower(): value for name, value in pairs}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            self.requests.append(Request(method, target, headers, body))
            answers = self._scripts[target.partition("?")[0]]
            self._open += 1
            self.most_at_once = max(self.most_at_once, self._open)
            try:
                await (answers.pop(0) if len(answers) > 1 else answers[0])(writer)
            finally:
                self._open -= 1
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass  # the client went away, as several tests want it to
        finally:
            writer.close()


def raw(data: bytes) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()

    return behave


def answer(status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Behaviour:
    lines = [f"HTTP/1.1 {status} Status", "Connection: close", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return raw("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


def in_json(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Behaviour:
    return answer(status, json.dumps(content).encode(), {**_JSON, **(headers or {})})


def text(body: bytes, content_type: str = "application/json", status: int = 200) -> Behaviour:
    return answer(status, body, {"Content-Type": content_type})


def truncated() -> Behaviour:
    """Announce more bytes than come."""
    return raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 500\r\n\r\n{"value": [1,')


def truncated_chunks() -> Behaviour:
    """Leave out the chunk that ends the body."""
    return raw(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n')


def closed() -> Behaviour:
    """Take the request and say nothing."""
    return raw(b"")


def reset() -> Behaviour:
    """Answer with a TCP reset."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return behave


def after(seconds: float, then: Behaviour) -> Behaviour:
    async def behave(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(writer)

    return behave


def dripping() -> Behaviour:
    """Send a byte now and then, so that no single read takes long and the answer never ends."""

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    return behave


def broken_compression() -> Behaviour:
    return answer(200, b"\x1f\x8b\x08\x00 not gzip at all", {**_JSON, "Content-Encoding": "gzip"})

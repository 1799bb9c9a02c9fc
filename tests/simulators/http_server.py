"""Run an aiohttp.web application on a thread of its own: a free loopback port, TLS with a certificate of our own."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Self

from aiohttp import web

from tests.servers.certificates import Authority


class LoopbackServer:
    """Serve the application that ``make`` returns until ``stop``; the certificate authority is ``ca_file``.

    ``make`` is called on the server's own loop. Use as a context manager, or ``start`` and ``stop``.
    """

    def __init__(self, make: Callable[[], web.Application], *, tls: bool = True, port: int = 0) -> None:
        self._make = make
        self._tls = tls
        self._port = port
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port; no slash at the end."""
        return f"https://localhost:{self._port}" if self._tls else f"http://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path | None:
        """The authority to trust, None without TLS."""
        return Path(self._folder.name) / "ca.pem" if self._folder is not None else None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; returns when connections are accepted, raises what kept it from that."""
        context = self._trust() if self._tls else None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(context), self._loop).result(30)

    def stop(self) -> None:
        """Drop every connection and stop listening; safe to call twice."""
        if self._loop is not None and self._thread is not None:
            asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result(30)
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._loop = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _trust(self) -> ssl.SSLContext:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        Authority("Simulators").write(folder, ["localhost"], ["127.0.0.1"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem", folder / "server.key")
        return context

    async def _listen(self, context: ssl.SSLContext | None) -> None:
        # Requests that hang on purpose are cancelled with their client, and at the end.
        self._runner = web.AppRunner(self._make(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=context)
        await site.start()
        assert site._server is not None
        self._port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined] # asyncio's, not abstract

    async def _shut(self) -> None:
        if self._runner is not None:
            if self._runner.server is not None:
                for connection in self._runner.server.connections:
                    # Closing TLS waits for the other side, and this loop ends at once: the socket would stay open.
                    if connection.transport is not None:
                        connection.transport.abort()
            await self._runner.cleanup()
            self._runner = None
            await asyncio.sleep(0.01)

"""``reconciler serve``: listen for webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.command()
@options.config
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="Port; 0: any free one.")
def command(settings: Settings, *, host: str, port: int) -> None:
    """Listen for the webhooks of [inbound], keep each as evidence, and look at what it hints at.

    A delivery is answered once it is kept; what it says is asked of its system afterwards, and `reconciler inbound
    list` tells what came of it. GET /healthz answers 200 while deliveries can be kept and looked at. It speaks plain
    HTTP: for other machines put a server that speaks TLS in front; deploy/README.md shows one.
    """
    import logging
    import signal
    import socket

    from reconciler.errors import ConfigurationError
    from reconciler.sdk.hosts import is_loopback
    from reconciler.web.api import app, server

    application = app(settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {why}", advice="Give another --host or --port."
        ) from error
    if logging.getLogger().level > logging.INFO:
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if not is_loopback(host):
        click.secho(f"{host} is for other machines too: put a server that speaks TLS in front.", fg="yellow", err=True)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"listening on http://{shown}:{listener.getsockname()[1]}")
    for name in settings.config.inbound:
        click.echo(f"  POST /hooks/{name}")
    # The server stops in order, then raises the signal anew: there is nothing more to end.
    before = {asked: signal.signal(asked, lambda *_: None) for asked in (signal.SIGINT, signal.SIGTERM)}
    try:
        with listener:
            server(application).run(sockets=[listener])
    finally:
        for asked, handler in before.items():
            signal.signal(asked, handler)
    click.echo("stopped; what was kept and not looked at waits for the next start")

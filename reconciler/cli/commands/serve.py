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
    list` tells what came of it. It speaks plain HTTP: for other machines put a server that speaks TLS in front.
    """
    import logging
    import socket

    import uvicorn

    from reconciler.errors import ConfigurationError
    from reconciler.sdk.hosts import is_loopback
    from reconciler.web.api import app

    application = app(settings)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=128)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror or error}", advice="Give another --host or --port."
        ) from error
    if logging.getLogger().level > logging.INFO:
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
    if not is_loopback(host):
        click.secho(f"{host} is for other machines too: put a server that speaks TLS in front.", fg="yellow", err=True)
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"listening on http://{shown}:{listener.getsockname()[1]}")
    for name in settings.config.inbound:
        click.echo(f"  POST /hooks/{name}")
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            http="h11",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            limit_concurrency=200,
            timeout_graceful_shutdown=10,
        )
    )
    with listener:
        server.run(sockets=[listener])

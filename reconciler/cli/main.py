"""The entry point: find the commands, run one, and end with the exit code its outcome has."""

from __future__ import annotations

import asyncio
import importlib
import os
import pkgutil
import signal
import sys
import threading
from typing import NoReturn

import click

from reconciler import __version__
from reconciler.cli import commands
from reconciler.errors import ReconcilerError, StoreError

EXIT_DEFECT = 70
EXIT_STOPPED = 130
PATIENCE = 3.0
"""Seconds after Ctrl-C that clearing up may take: a thread that waits for a silent server cannot be called back."""


class Commands(click.Group):
    """Every module of ``reconciler.cli.commands`` is a command; the folder is the registry."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands."""
        del ctx
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        found: click.Command = importlib.import_module(f"{commands.__name__}.{cmd_name}").command
        return found


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="reconciler")
def reconciler() -> None:
    """Compare who was approved with who has access, and never mistake unreadable for absent.

    \b
    Exit codes: 0 nothing at or above --fail-on · 1 findings at or above it · 2 configuration or rule error
    3 a source could not be read whole, or new findings wait for acceptance · 4 store · 5 filing
    """


def main() -> NoReturn:
    """Run the command line; an expected failure prints what happened and what to do, never a traceback."""
    os.umask(os.umask(0o077) | 0o027)  # what is written names people: not for everybody on the machine
    signal.signal(signal.SIGINT, _interrupt)
    try:
        code = reconciler.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(_stop())
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ReconcilerError as error:
        sys.exit(_fail(error))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        advice = "Check the path, its permissions and the free space, then run the command again."
        sys.exit(_fail(StoreError(str(error), advice=advice)))
    except Exception as error:  # noqa: BLE001 - a defect must not end with 1, which says that findings exist
        # DuckDB answers Ctrl-C in the middle of a query with an error of its own.
        sys.exit(_stop() if "interrupted" in str(error).lower() else _defect(error))
    sys.exit(code if isinstance(code, int) else 0)


def _interrupt(*_: object) -> None:
    """Stop in order, and after a while without: nothing counts that was not sealed or committed."""
    leave = threading.Timer(PATIENCE, lambda: os._exit(_stop()))
    leave.daemon = True
    leave.start()
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise KeyboardInterrupt from None
    # Raised here it would end whatever task is at work, and leave the loop's others pending: each is told to end.
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.call_soon_threadsafe(lambda: None)  # wakes a loop that waits for a server


def _stop() -> int:
    _say("stopped; nothing that was not sealed or committed before counts")
    return EXIT_STOPPED


def _defect(error: Exception) -> int:
    import traceback

    from reconciler.log import redact

    if os.environ.get("RECONCILER_LOG", "").lower() == "debug":
        _say(redact("".join(traceback.format_exception(error))))
    _say(redact(f"defect: {type(error).__name__}: {error}"))
    _say(
        "  Nothing that was not sealed or committed before counts. Please report it; RECONCILER_LOG=debug shows where."
    )
    return EXIT_DEFECT


def _fail(error: ReconcilerError) -> int:
    from reconciler.log import redact

    _say("error: " + redact(error.message))
    if error.advice:
        _say("  " + redact(error.advice))
    return error.exit_code


def _say(text: str) -> None:
    click.echo(text, err=True)

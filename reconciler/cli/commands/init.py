"""``reconciler init``: write an example configuration."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", type=click.Path(path_type=Path, dir_okay=False), default="reconciler.toml")
def command(path: Path) -> None:
    """Write an example configuration to PATH (default: reconciler.toml); an existing file is never replaced."""
    from reconciler.bundled import root
    from reconciler.errors import ConfigurationError

    text = (root("config") / "reconciler.toml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigurationError(
            f"{path} exists already", advice="Name another file, or move that one away."
        ) from error
    click.echo(f"Wrote {path}. Edit it, then try `reconciler config check --config {path}`.")

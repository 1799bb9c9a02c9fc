"""Snapshots are sealed as the engine's tests do it."""

from tests.engine.conftest import seal

__all__ = ["seal"]

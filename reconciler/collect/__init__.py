"""The page loop with its guards, coverage, canaries, the mass-change stop, and sealing."""

from reconciler.collect.acceptance import held_drop, held_tables
from reconciler.collect.asking import ask, close
from reconciler.collect.mass_change import Acceptance, Limits
from reconciler.collect.night import pull
from reconciler.collect.outcome import Progress
from reconciler.collect.source import Pull

__all__ = ["Acceptance", "Limits", "Progress", "Pull", "ask", "close", "held_drop", "held_tables", "pull"]

"""Controls: what the organisation promises, which rules show whether it holds, and the matrix that says so."""

from reconciler.controls.control import Catalogue, Control
from reconciler.controls.loading import load, read
from reconciler.controls.matrix import ControlRow, Matrix, RuleRow, build

__all__ = ["Catalogue", "Control", "ControlRow", "Matrix", "RuleRow", "build", "load", "read"]

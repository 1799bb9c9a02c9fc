"""Everything that the modules ``plant_*`` plant, in one world: each has ``plant(world, firm)``."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from tests.truth.company import company, staff, supplier_staff
from tests.truth.world import World

CLEAN = 40
"""People of each kind in whom nothing is wrong."""


def world(seed: int = 1) -> World:
    """Return a world with every plant in it, among people in order; ``seed`` decides what comes before what."""
    made = World(seed)
    firm = company(made)
    modules = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]))
    made.random.shuffle(modules)
    for module in modules:
        if module.startswith("plant_"):
            importlib.import_module(f"tests.truth.{module}").plant(made, firm)
            for _ in range(made.random.randrange(3)):
                staff(made, firm)
    for _ in range(CLEAN):
        staff(made, firm)
        supplier_staff(made, firm)
    return made

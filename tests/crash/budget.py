"""How much the crash tests try: the environment variable PERDIEM_CRASH says it.

`test` (default): a short run of the same code, with the same choices every time. `soak`: all of it, with other choices every
time; PERDIEM_SEED, which a run prints, repeats the choices (though not the moments at which processes get their turns).
"""

from __future__ import annotations

import os
from random import Random
from typing import Final

SOAKING: Final = os.environ.get("PERDIEM_CRASH") == "soak"
SEED: Final = int(os.environ.get("PERDIEM_SEED", "1"))


def either(test: int, soak: int) -> int:
    """A count: of the short run, or of the soak."""
    return soak if SOAKING else test


def chance(purpose: str) -> Random:
    """The choices of one test, by the seed and by nothing that another test does."""
    print(f"PERDIEM_SEED={SEED} repeats the choices of {purpose}")
    return Random(f"{SEED} {purpose}")

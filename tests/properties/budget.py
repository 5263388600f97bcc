"""How much the properties try: the environment variable PERDIEM_PROPERTIES says it.

`test` (default): 500 histories of 50 steps, the same ones every time, so that a run is never red by luck. `soak`: 2,000 of
100, other ones every time (the seed is printed; `--hypothesis-seed` repeats a run). `quick`: 40 of 50, the same ones.
"""

from __future__ import annotations

import os
from typing import Final

from hypothesis import HealthCheck, Phase, settings

QUICK: Final = "quick"
TEST: Final = "test"
SOAK: Final = "soak"

_HISTORIES: Final = {QUICK: (40, 50), TEST: (500, 50), SOAK: (2000, 100)}
"""Number of histories, steps of each."""

BUDGET: Final = os.environ.get("PERDIEM_PROPERTIES", TEST)


def histories() -> settings:
    """Settings of the tests that walk through histories."""
    count, steps = _HISTORIES[BUDGET]
    return _settings(count, steps)


def examples(per_history: float = 1) -> settings:
    """Settings of a test whose examples are not histories of their own, relative to the number of histories."""
    count, steps = _HISTORIES[BUDGET]
    return _settings(max(1, int(count * per_history)), steps)


def tries(count: int) -> settings:
    """Settings of a test that tries `count` examples, and ten times as many in a soak."""
    return _settings(count * (10 if BUDGET == SOAK else 1), _HISTORIES[BUDGET][1])


def _settings(count: int, steps: int) -> settings:
    repeatable = BUDGET != SOAK
    # a mutation shows by failing, not by the smallest history that fails
    phases = [Phase.explicit, Phase.generate] if BUDGET == QUICK else [Phase.explicit, Phase.generate, Phase.shrink]
    return settings(
        max_examples=count,
        stateful_step_count=steps,
        derandomize=repeatable,
        database=None,
        deadline=None,
        print_blob=not repeatable,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )

"""`?expand=borrower,schedule`: which related entities an answer carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Query

from domain.errors import InvalidInput


def expand_of(*allowed: str) -> Callable[..., frozenset[str]]:
    """A dependency that reads `expand`, a list of some of `allowed` separated by commas.

    It raises InvalidInput at /expand for anything else.
    """
    names = ", ".join(allowed)
    parameter = Query(max_length=200, description=f"separated by commas: {names}")

    def dependency(expand: str | None = None) -> frozenset[str]:
        wanted = frozenset(name.strip() for name in (expand or "").split(",") if name.strip())
        if not wanted <= set(allowed):
            raise InvalidInput.at("/expand", f"must be some of {names}")
        return wanted

    # not a string: what it names is not global, so FastAPI could not look it up
    dependency.__annotations__["expand"] = Annotated[str | None, parameter]
    return dependency

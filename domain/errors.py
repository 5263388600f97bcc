"""Refusals of the domain: what was wrong, where, and what would be allowed.

    Refusal
    ├── InvalidInput            a value is not acceptable (the field is named by a JSON pointer)
    │   └── InvalidTerms        the terms of a loan or program contradict each other
    ├── NotFound                no such object for this tenant (or this borrower)
    ├── WrongState              the object's state forbids the action; says the state and what is allowed
    ├── Conflict                a unique business key is taken by something else
    │   └── InFlight            the same request is being carried out right now
    ├── Forbidden               the actor may not do this
    └── Unauthenticated         nobody is logged in, or the credentials are wrong

No HTTP here: `code` is stable and machine readable, and api/errors.py alone maps classes to statuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One unacceptable value: `pointer` is a JSON pointer into the request body ("/amount")."""

    pointer: str
    message: str
    code: str = "invalid"


class Refusal(Exception):
    """A request that is understood and refused. `code` is stable; `detail` is for a person."""

    code = "refused"

    def __init__(self, detail: str, *, code: str | None = None, errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = tuple(errors)


class InvalidInput(Refusal):
    code = "invalid_input"

    @classmethod
    def at(cls, pointer: str, message: str, *, code: str = "invalid_input") -> InvalidInput:
        """A refusal of exactly one field. `pointer` is a JSON pointer such as "/effective_date"."""
        return cls(f"{pointer.lstrip('/') or 'body'}: {message}", code=code, errors=[FieldError(pointer, message, code)])


class InvalidTerms(InvalidInput):
    code = "invalid_terms"


class NotFound(Refusal):
    code = "not_found"

    def __init__(self, what: str) -> None:
        super().__init__(f"No such {what}.")


class WrongState(Refusal):
    """`state` is the current state, `allowed` the states or actions that would be accepted instead."""

    code = "wrong_state"

    def __init__(self, detail: str, *, state: str, allowed: Sequence[str] = (), code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.state = state
        self.allowed = tuple(allowed)


class Conflict(Refusal):
    code = "conflict"


class InFlight(Conflict):
    code = "request_in_flight"


class Forbidden(Refusal):
    code = "forbidden"


class Unauthenticated(Refusal):
    code = "unauthenticated"

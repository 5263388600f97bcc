"""What pays a loan off. How it is computed is the interest method's matter."""

from __future__ import annotations

from domain.errors import WrongState
from domain.loan import LoanState, LoanStatus, PayoffQuote


def payoff_quote(state: LoanState) -> PayoffQuote:
    """What pays the loan off at the state's date, all amounts in minor units.

    A quote for a later day is the quote of a state replayed to that day: instalments that fall due and late fees that
    would be assessed until then are in it. Raises WrongState unless the loan is active.
    """
    if state.payoff is None:
        raise WrongState(
            f"The loan is {state.status}: there is nothing to pay off.",
            state=str(state.status),
            allowed=[str(LoanStatus.ACTIVE)],
        )
    return state.payoff

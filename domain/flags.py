"""Flags of a loan: what people have found out about it that changes how it is serviced, whatever it owes."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final


class LoanFlag(StrEnum):
    """`bankruptcy`: the borrower has filed for it. `deceased`: the borrower has died. `fraud`: the loan, or the
    account it is paid from, is suspected of it."""

    BANKRUPTCY = "bankruptcy"
    DECEASED = "deceased"
    FRAUD = "fraud"


STOP_DRAFTING: Final = frozenset({LoanFlag.BANKRUPTCY, LoanFlag.DECEASED, LoanFlag.FRAUD})
"""While one of these is set nothing is drafted. Money that the borrower sends is taken all the same."""


UNTOLD: Final = frozenset({LoanFlag.FRAUD})
"""What the borrower is not told: a suspicion is looked into first."""


def told_to_borrower(flags: Iterable[LoanFlag]) -> list[LoanFlag]:
    """Those of a loan's flags which its borrower may read, by name."""
    return sorted(set(flags) - UNTOLD)


def why_no_draft(flags: Iterable[LoanFlag]) -> str | None:
    """Why nothing is drafted of a loan with these flags, in words that the borrower reads too; None when they do not forbid
    it. Staff see the flags themselves."""
    stopping = STOP_DRAFTING.intersection(flags)
    if told := told_to_borrower(stopping):
        return f"the loan is flagged {', '.join(told)}"
    return "the loan is under review" if stopping else None

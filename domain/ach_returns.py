"""What a return of an ACH entry means: for the draft itself, and for the drafts that would come after it.

Source: Nacha Operating Rules, Appendix Four (return reason codes and their time frames), 2.12.4 (reinitiation: R01 and R09,
at most twice, within 180 days of the settlement of the original entry, for the same amount), 2.13.6 (dishonored returns)
and 3.8 (returns by the RDFI).
Stricter than the rules in one thing: after R11 (an entry that departs from its authorization) the rules would allow a
corrected entry; here the borrower authorizes anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from domain.calendars import add_banking_days, next_banking_day
from domain.nacha import Direction

MAX_RETRIES: Final = 2
RETRY_DAYS: Final = 180
"""From the settlement of the first attempt to that of the last."""
_UNAUTHORIZED_DAYS: Final = 60
DISHONOR_DAYS: Final = 5
"""Banking days from the settlement of a late return."""


class Action(StrEnum):
    """What follows from a return.

    `retry`: draft the same amount again, labelled RETRY PYMT. `stop_item`: this draft is over, the next period goes on.
    `correct_instrument`: nothing more from this account until it is corrected or replaced. `new_authorization`: nothing
    more until the borrower authorizes it anew. `deceased`: nothing more until a person has looked into it. `review`: this
    draft is over and a person looks why; the next period goes on.
    """

    RETRY = "retry"
    STOP_ITEM = "stop_item"
    CORRECT_INSTRUMENT = "correct_instrument"
    NEW_AUTHORIZATION = "new_authorization"
    DECEASED = "deceased"
    REVIEW = "review"


SUSPENDING: Final = frozenset({Action.CORRECT_INSTRUMENT, Action.NEW_AUTHORIZATION, Action.DECEASED})
"""After these, nothing more is drafted from the account."""


class TimeFrame(StrEnum):
    """How long a bank may take: until the opening of the second banking day after settlement; of the banking day after the
    sixtieth calendar day (what a consumer did not authorize); `unbound` where the rules count from something else."""

    TWO_BANKING_DAYS = "two_banking_days"
    SIXTY_DAYS = "sixty_days"
    UNBOUND = "unbound"


@dataclass(frozen=True, slots=True)
class ReturnCode:
    """A return reason code: its title in the rules, what follows, and until when a bank may use it."""

    code: str
    title: str
    action: Action
    time_frame: TimeFrame


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a return. `reason` is for people, and names no one. `retry_by`: with `retry`, the last day on which
    the next attempt may settle, and `retries_left` counts it. `suspends`: nothing more is drafted from the account."""

    action: Action
    reason: str
    retry_by: date | None = None
    retries_left: int = 0

    @property
    def suspends(self) -> bool:
        return self.action in SUSPENDING


@dataclass(frozen=True, slots=True)
class Late:
    """A return that came after its `deadline`, by so many calendar `days`: it is posted all the same, and the lender's bank
    may dishonor it (R68) until `dishonor_by`."""

    deadline: date
    days: int
    dishonor_by: date


_TWO, _SIXTY, _UNBOUND = TimeFrame.TWO_BANKING_DAYS, TimeFrame.SIXTY_DAYS, TimeFrame.UNBOUND
_RETRY, _STOP, _CORRECT = Action.RETRY, Action.STOP_ITEM, Action.CORRECT_INSTRUMENT
_AUTHORIZE, _DECEASED, _REVIEW = Action.NEW_AUTHORIZATION, Action.DECEASED, Action.REVIEW

RETURN_CODES: Final[dict[str, ReturnCode]] = {
    code: ReturnCode(code, title, action, frame)
    for code, title, action, frame in (
        ("R01", "Insufficient Funds", _RETRY, _TWO),
        ("R02", "Account Closed", _CORRECT, _TWO),
        ("R03", "No Account/Unable to Locate Account", _CORRECT, _TWO),
        ("R04", "Invalid Account Number Structure", _CORRECT, _TWO),
        ("R05", "Unauthorized Debit to Consumer Account Using Corporate SEC Code", _AUTHORIZE, _SIXTY),
        ("R06", "Returned per ODFI's Request", _STOP, _UNBOUND),
        ("R07", "Authorization Revoked by Customer", _AUTHORIZE, _SIXTY),
        ("R08", "Payment Stopped", _STOP, _TWO),
        ("R09", "Uncollected Funds", _RETRY, _TWO),
        (
            "R10",
            "Customer Advises Originator is Not Known to Receiver and/or Originator is Not Authorized by Receiver to "
            "Debit Receiver's Account",
            _AUTHORIZE,
            _SIXTY,
        ),
        ("R11", "Customer Advises Entry Not in Accordance with the Terms of the Authorization", _AUTHORIZE, _SIXTY),
        ("R12", "Account Sold to Another DFI", _CORRECT, _TWO),
        ("R13", "Invalid ACH Routing Number", _CORRECT, _UNBOUND),
        ("R14", "Representative Payee Deceased or Unable to Continue in That Capacity", _DECEASED, _TWO),
        ("R15", "Beneficiary or Account Holder (Other Than a Representative Payee) Deceased", _DECEASED, _TWO),
        ("R16", "Account Frozen/Entry Returned Per OFAC Instruction", _CORRECT, _TWO),
        (
            "R17",
            "File Record Edit Criteria/Entry with Invalid Account Number Initiated Under Questionable Circumstances/"
            "Return of Improperly-Initiated Reversal",
            _CORRECT,
            _TWO,
        ),
        ("R18", "Improper Effective Entry Date", _REVIEW, _UNBOUND),
        ("R19", "Amount Field Error", _REVIEW, _UNBOUND),
        ("R20", "Non-Transaction Account", _CORRECT, _TWO),
        ("R21", "Invalid Company Identification", _REVIEW, _TWO),
        ("R22", "Invalid Individual ID Number", _REVIEW, _TWO),
        ("R23", "Credit Entry Refused by Receiver", _REVIEW, _UNBOUND),
        ("R24", "Duplicate Entry", _REVIEW, _TWO),
        ("R25", "Addenda Error", _REVIEW, _UNBOUND),
        ("R26", "Mandatory Field Error", _REVIEW, _UNBOUND),
        ("R27", "Trace Number Error", _REVIEW, _UNBOUND),
        ("R28", "Routing Number Check Digit Error", _CORRECT, _UNBOUND),
        ("R29", "Corporate Customer Advises Not Authorized", _AUTHORIZE, _TWO),
        ("R30", "RDFI Not Participant in Check Truncation Program", _REVIEW, _UNBOUND),
        ("R31", "Permissible Return Entry (CCD and CTX only)", _STOP, _UNBOUND),
        ("R32", "RDFI Non-Settlement", _REVIEW, _UNBOUND),
        ("R33", "Return of XCK Entry", _REVIEW, _SIXTY),
        ("R34", "Limited Participation DFI", _CORRECT, _UNBOUND),
        ("R35", "Return of Improper Debit Entry", _REVIEW, _UNBOUND),
        ("R36", "Return of Improper Credit Entry", _REVIEW, _UNBOUND),
        ("R37", "Source Document Presented for Payment", _REVIEW, _SIXTY),
        ("R38", "Stop Payment on Source Document", _REVIEW, _SIXTY),
        ("R39", "Improper Source Document/Source Document Presented for Payment", _REVIEW, _TWO),
        ("R50", "State Law Affecting RCK Acceptance", _REVIEW, _TWO),
        ("R51", "Item Related to RCK Entry is Ineligible or RCK Entry is Improper", _REVIEW, _SIXTY),
        ("R52", "Stop Payment on Item Related to RCK Entry", _REVIEW, _SIXTY),
        ("R53", "Item and RCK Entry Presented for Payment", _REVIEW, _SIXTY),
    )
}
"""The codes of domestic entries. Dishonored (R61-R70) and contested (R71-R77) returns are between banks, R80-R85 are of
international entries: none of them comes for an entry of ours, and one that does is for a person to look at."""


def return_code(code: str) -> ReturnCode:
    """What is known of a code; of one that is not in the table, that a person has to look at it."""
    return RETURN_CODES.get(code) or ReturnCode(code, f"Unknown return reason {code}", Action.REVIEW, TimeFrame.UNBOUND)


def after_return(
    code: str,
    attempts: Sequence[date],
    *,
    earliest: date | None = None,
    max_retries: int = MAX_RETRIES,
    direction: Direction = Direction.DEBIT,
) -> Decision:
    """What follows from the return of the last attempt.

    Arguments: `attempts`: the settlement dates of the original entry and of every retry so far, this one included.
        `earliest`: the first day on which a retry could settle, if that is known. `max_retries`: the lender's own limit,
        which counts only below that of the rules. `direction` of the entry: money sent to a borrower is not sent again by
        itself.
    Raises: ValueError when no attempt is given: what was never sent cannot come back.
    """
    if not attempts:
        raise ValueError("an entry that comes back was attempted")
    known = return_code(code)
    named = f"{known.code} {known.title}"
    if known.action is Action.RETRY and direction is Direction.CREDIT:
        return Decision(Action.REVIEW, f"{named}: not a reason to return a credit")
    if known.action is not Action.RETRY:
        return Decision(known.action, named)
    left = min(max_retries, MAX_RETRIES) - (len(attempts) - 1)
    retry_by = min(attempts) + timedelta(days=RETRY_DAYS)
    if left <= 0:
        return Decision(Action.STOP_ITEM, f"{named}: attempted {len(attempts)} times, no retry is left")
    if earliest is not None and earliest > retry_by:
        return Decision(Action.STOP_ITEM, f"{named}: a retry had to settle by {retry_by}, {RETRY_DAYS} days after the first")
    return Decision(Action.RETRY, named, retry_by, left)


def deadline(code: str, settled_on: date, holidays: frozenset[date]) -> date | None:
    """The day by whose opening a return had to be there; None where the rules count from something we do not see."""
    frame = return_code(code).time_frame
    if frame is TimeFrame.TWO_BANKING_DAYS:
        return add_banking_days(settled_on, 2, holidays)
    if frame is TimeFrame.SIXTY_DAYS:
        return next_banking_day(settled_on + timedelta(days=_UNAUTHORIZED_DAYS + 1), holidays)
    return None


def lateness(code: str, settled_on: date, returned_on: date, holidays: frozenset[date]) -> Late | None:
    """How late a return of an entry came; None when it came in time, or its code knows no deadline. `settled_on` and
    `returned_on`: the settlement dates of the entry and of its return."""
    last = deadline(code, settled_on, holidays)
    if last is None or returned_on <= last:
        return None
    return Late(last, (returned_on - last).days, add_banking_days(returned_on, DISHONOR_DAYS, holidays))

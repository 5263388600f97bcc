"""An autopay in words, for the people whose money it is."""

from __future__ import annotations

from typing import Final

from domain.cadence import Cadence, DateAnchor, DraftFrequency, Scheduling
from domain.calendars import semimonthly_days
from domain.draft_amounts import AmountTerms, AmountType, PayoffRule
from domain.drafting import Drafting
from domain.money import format_amount

_OFTEN: Final = {
    DraftFrequency.WEEKLY: "every week",
    DraftFrequency.BIWEEKLY: "every two weeks",
    DraftFrequency.MONTHLY: "every month",
    DraftFrequency.QUARTERLY: "every three months",
    DraftFrequency.SEMIANNUAL: "every six months",
    DraftFrequency.ANNUAL: "every year",
}
_WHAT: Final = {
    AmountType.NEXT_DUE: "what is due",
    AmountType.NEXT_PERIOD: "the instalment of the period",
    AmountType.PAST_DUE: "what is past due, with fees",
    AmountType.PRINCIPAL_INTEREST_PAST_DUE: "the principal and interest that are past due",
    AmountType.INTEREST_ONLY_PAST_DUE: "the interest that is past due",
    AmountType.FEES_DUE: "the fees that are due",
}
_LAST_DAY: Final = 31


def terms_in_words(cadence: Cadence, amounts: AmountTerms) -> str:
    """What is drafted and when, such as "297.47 every month on the 9th, until 2021-03-09"."""
    said = [f"{_amount(amounts)} {_when(cadence)}"]
    if cadence.end is not None:
        said.append(f"until {cadence.end}")
    if cadence.periods is not None:
        said.append("once" if cadence.periods == 1 else f"{cadence.periods} times")
    if cadence.days_after:
        days = "banking day" if cadence.scheduling is Scheduling.BUSINESS_DAY else "day"
        apart = f"{cadence.days_after} {days}{'s' if cadence.days_after > 1 else ''}"
        by_process = cadence.anchor is DateAnchor.PROCESS_DATE
        said.append(
            f"counting {apart} before it goes out" if by_process else f"going out {apart} after the date it counts on"
        )
    if amounts.payoff_rule is PayoffRule.DO_NOT_PROCESS:
        said.append("and not at all when it is more than pays the loan off")
    return ", ".join(said)


def draft_in_words(draft: Drafting, account: str) -> str:
    """A draft to come, such as "297.47 on 2020-10-13 from the checking account ending in 6789, counting on 2020-10-10"."""
    if draft.reason is not None:
        return f"nothing on {draft.process_date}: {draft.reason}"
    counting = "" if draft.effective_date == draft.process_date else f", counting on {draft.effective_date}"
    return f"{format_amount(draft.amount)} on {draft.process_date} from {account}{counting}"


def account_in_words(instrument_type: str, account_type: str | None, last_four: str) -> str:
    """An account as its owner knows it: "the checking account ending in 6789"."""
    name = f"{account_type} account" if account_type else instrument_type.replace("_", " ")
    return f"the {name} ending in {last_four}"


def _amount(amounts: AmountTerms) -> str:
    return format_amount(amounts.amount or 0) if amounts.kind is AmountType.STATIC else _WHAT[amounts.kind]


def _when(cadence: Cadence) -> str:
    start = cadence.start
    match cadence.frequency:
        case DraftFrequency.DUE_DATES:
            return "on each due date of the loan"
        case DraftFrequency.SINGLE:
            return f"once, on {start}"
        case DraftFrequency.CUSTOM:
            return f"on {', '.join(map(str, cadence.dates))}"
        case DraftFrequency.SEMIMONTHLY:
            early, late = semimonthly_days(start)
            return f"twice a month, on the {_ordinal(early)} and {_day_of_month(late)}"
        case DraftFrequency.WEEKLY | DraftFrequency.BIWEEKLY as frequency:
            return f"{_OFTEN[frequency]} on {start:%A}, from {start} on"
        case frequency:
            day = _day_of_month(_LAST_DAY if cadence.last_day_of_month else start.day)
            return f"{_OFTEN[frequency]} on {day}, from {start} on"


def _day_of_month(day: int) -> str:
    return "the last day" if day == _LAST_DAY else f"the {_ordinal(day)}"


def _ordinal(day: int) -> str:
    ending = "th" if day in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return f"{day}{ending}"

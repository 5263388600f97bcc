"""Fees that are charged, the instalment fee of a program, penalties in the waterfall, and waivers."""

from __future__ import annotations

from datetime import date

import pytest

from domain.errors import InvalidInput, WrongState
from domain.events import ChargedFee, ChargedOff, Event, EventBody, FeeCharged, PaymentReceived, Waived, WaiverTarget
from domain.loan import AllocationLine, FeeKind, InstalmentStatus, LoanStatus
from domain.payoff import payoff_quote
from domain.program import AllocationScope, Component, ExtraMoney
from domain.replay import Replay, preview_event, replay
from domain.terms import LoanTerms
from tests.domain.loans import EXAMPLE, LEVEL, assert_books_agree, boarded, history, moves, run, under

FEES, INTEREST, PRINCIPAL, PENALTIES = Component.FEES, Component.INTEREST, Component.PRINCIPAL, Component.PENALTIES
DUE = date(2020, 10, 9)
LATE = date(2020, 10, 20)
"""The day on which the first instalment bears its late fee of 30.00."""
NSF, OTHER = FeeCharged("p1", ChargedFee.NSF, 2500), FeeCharged("copy", ChargedFee.OTHER, 500)
WITH_FEE = under(instalment_fee=1000)
INTEREST_1 = 3699


def after(on: date, *happened: tuple[date, EventBody], terms: LoanTerms = EXAMPLE) -> Replay:
    result = replay(terms, history(*happened, terms=terms), on)
    assert_books_agree(result)
    return result


def fee_waiver(key: str, amount: int | None = None) -> Waived:
    return Waived("w", WaiverTarget.FEE, key, amount)


def interest_waiver(amount: int | None = None) -> Waived:
    return Waived("w", WaiverTarget.INTEREST, None, amount)


# fees that are charged


@pytest.mark.parametrize(
    ("charged", "key", "posted"),
    [(NSF, "nsf_fee:p1", [(1125, 4020, 2500)]), (OTHER, "other_fee:copy", [(1126, 4025, 500)])],
)
def test_a_charged_fee_is_owed_from_its_day_on_and_posted(
    charged: FeeCharged, key: str, posted: list[tuple[int, int, int]]
) -> None:
    result = after(date(2020, 10, 10), (date(2020, 10, 10), charged))
    (fee,) = result.state.fees
    assert (fee.key, fee.kind, fee.amount, fee.unpaid) == (key, FeeKind(charged.kind), charged.amount, charged.amount)
    assert (fee.instalment_number, fee.due_date, fee.assessed_on) == (2, date(2020, 11, 9), date(2020, 10, 10))
    assert (moves(result.entries[-1]), result.entries[-1].key) == (posted, key)
    assert result.state.fees_balance == result.state.nsf_fees + result.state.other_fees == charged.amount


@pytest.mark.parametrize(("day", "number"), [(DUE, 1), (date(2020, 10, 10), 2), (date(2023, 12, 1), 36)])
def test_a_charged_fee_belongs_to_the_instalment_whose_period_holds_its_day(day: date, number: int) -> None:
    assert after(day, (day, NSF)).state.fees[-1].instalment_number == number


def test_a_payment_credits_the_account_of_each_kind() -> None:
    result = after(LATE, (DUE, NSF), (DUE, OTHER), (LATE, PaymentReceived(7000, "p")))
    allocation = result.allocations["p"]
    assert (allocation.fees, allocation.late_fees, allocation.nsf_fees, allocation.other_fees) == (6000, 3000, 2500, 500)
    assert moves(result.entries[-1]) == [(1010, 1120, 3000), (1010, 1125, 2500), (1010, 1126, 500), (1010, 1110, 1000)]


def test_money_of_the_day_meets_a_fee_of_that_day_whichever_was_recorded_first() -> None:
    money = (LATE, PaymentReceived(2500 + 3000, "p"))
    results = [after(LATE, money, (LATE, NSF)), after(LATE, (LATE, NSF), money)]
    assert results[0].allocations == results[1].allocations
    assert results[0].allocations["p"].nsf_fees == 2500


def test_one_nsf_fee_per_return_and_a_fee_is_positive() -> None:
    with pytest.raises(InvalidInput, match="p1 is a fee already"):
        after(LATE, (DUE, NSF), (LATE, NSF))
    with pytest.raises(InvalidInput, match="must be above"):
        after(LATE, (DUE, FeeCharged("x", ChargedFee.OTHER, 0)))


@pytest.mark.parametrize("ended", [PaymentReceived(1_001_850, "p"), ChargedOff("fraud")])
def test_only_an_active_loan_is_charged_fees(ended: EventBody) -> None:
    with pytest.raises(WrongState, match="only an active loan"):
        after(date(2020, 9, 25), (date(2020, 9, 24), ended), (date(2020, 9, 25), NSF))


# penalties


@pytest.mark.parametrize(
    ("order", "components"),
    [
        ((PENALTIES, INTEREST, PRINCIPAL, FEES), [PENALTIES, PENALTIES, INTEREST, PRINCIPAL]),
        ((FEES, PENALTIES, INTEREST, PRINCIPAL), [FEES, PENALTIES, PENALTIES, INTEREST, PRINCIPAL]),
        ((FEES, INTEREST, PRINCIPAL), [FEES, FEES, FEES, INTEREST, PRINCIPAL]),
        ((INTEREST, PRINCIPAL, FEES, PENALTIES), [INTEREST, PRINCIPAL]),
    ],
)
@pytest.mark.parametrize("scope", AllocationScope)
def test_late_and_nsf_fees_are_penalties_where_the_program_separates_them(
    order: tuple[Component, ...], components: list[Component], scope: AllocationScope
) -> None:
    terms = under(allocation_order=order, allocation_scope=scope)
    happened = ((DUE, NSF), (DUE, OTHER), (LATE, PaymentReceived(20_000, "p")))
    lines = after(LATE, *happened, terms=terms).allocations["p"].lines
    assert [line.component for line in lines] == components


# the instalment fee


def test_the_instalment_fee_is_known_from_the_start_and_owed_from_the_due_date_on() -> None:
    before, on = (after(day, terms=WITH_FEE) for day in (date(2020, 10, 8), DUE))
    assert [(row.fees, row.fees_paid) for row in before.state.instalments] == [(1000, 0)] * 36
    assert (before.state.fees_balance, on.state.fees_balance, on.state.other_fees) == (0, 1000, 1000)
    assert (moves(on.entries[-1]), on.entries[-1].key) == ([(1126, 4025, 1000)], "instalment_fee:2020-10-09")
    assert before.state.next_due_amount == on.state.next_due_amount == LEVEL + 1000


def test_paid_early_it_is_assessed_then() -> None:
    result = after(DUE, (date(2020, 9, 20), PaymentReceived(LEVEL + 1000, "p")), terms=WITH_FEE)
    assert [entry.key for entry in result.entries] == ["disbursed", "instalment_fee:2020-10-09", "payment:p"]
    row = result.state.instalments[0]
    assert (row.status, row.fees_paid, row.paid_on) == (InstalmentStatus.PAID, 1000, date(2020, 9, 20))
    assert (result.state.fees_balance, result.state.next_due_date) == (0, date(2020, 11, 9))


def test_money_in_advance_pays_the_fee_of_each_instalment_it_reaches() -> None:
    terms = under(instalment_fee=1000, extra_money=ExtraMoney.ADVANCE_DUE)
    loan = after(date(2020, 9, 20), (date(2020, 9, 20), PaymentReceived(2 * LEVEL + 2500, "p")), terms=terms).state
    assert [row.fees_paid for row in loan.instalments[:4]] == [1000, 1000, 500, 0]
    assert loan.other_fees == 500


def test_an_instalment_of_which_only_its_fee_is_unpaid_is_partial_and_not_late() -> None:
    terms = under(instalment_fee=1000, allocation_order=(INTEREST, PRINCIPAL, FEES))
    paid = (DUE, PaymentReceived(LEVEL, "p"))
    loan = after(date(2020, 10, 25), paid, terms=terms).state
    row = loan.instalments[0]
    assert (row.status, row.paid_on, row.fees_paid) == (InstalmentStatus.PARTIAL, None, 0)
    assert (loan.days_past_due, loan.past_due_amount, [fee.kind for fee in loan.fees]) == (0, 0, [FeeKind.INSTALMENT])
    assert loan.next_due_amount == LEVEL + 1000 + 1000
    later = after(date(2020, 10, 26), paid, (date(2020, 10, 26), PaymentReceived(1000, "q")), terms=terms).state
    assert (later.instalments[0].status, later.instalments[0].paid_on) == (InstalmentStatus.PAID, date(2020, 10, 26))


def test_the_next_draft_leaves_nothing_of_the_instalment_unpaid() -> None:
    for order in ((FEES, INTEREST, PRINCIPAL), (INTEREST, PRINCIPAL, FEES), (PENALTIES, INTEREST, PRINCIPAL, FEES)):
        terms = under(instalment_fee=1000, allocation_order=order, allocation_scope=AllocationScope.INSTALMENT)
        amount = after(date(2020, 10, 25), terms=terms).state.next_due_amount
        loan = after(date(2020, 11, 9), (date(2020, 11, 9), PaymentReceived(amount, "p")), terms=terms).state
        assert (loan.next_due_date, loan.fees_balance, loan.days_past_due) == (date(2020, 12, 9), 0, 0)


def test_a_payoff_owes_the_fees_of_the_instalments_due_and_of_no_later_one() -> None:
    day = date(2020, 10, 19)
    quote = payoff_quote(after(day, terms=WITH_FEE).state)
    assert quote.fees == 1000
    loan = after(day, (day, PaymentReceived(quote.total, "p")), terms=WITH_FEE).state
    assert (loan.status, loan.unapplied) == (LoanStatus.PAID_OFF, 0)
    assert [row.fees for row in loan.instalments] == [1000] + [0] * 35


def test_fees_of_instalments_due_before_boarding_were_the_prior_servicer_s() -> None:
    day = date(2020, 11, 9)
    loan = run(day, terms=WITH_FEE, first=Event(1, day, boarded(principal=900_000, oldest=DUE))).state
    assert [fee.key for fee in loan.fees] == ["instalment_fee:2020-11-09"]


# waivers


@pytest.mark.parametrize(
    ("charged", "key", "amount", "account"),
    [
        (None, "late_fee:2020-10-09", 3000, 1120),
        (NSF, "nsf_fee:p1", 2500, 1125),
        (OTHER, "other_fee:copy", 500, 1126),
    ],
)
def test_a_fee_is_waived(charged: FeeCharged | None, key: str, amount: int, account: int) -> None:
    happened = [(DUE, charged)] if charged else []
    result = after(LATE, *happened, (LATE, fee_waiver(key)))
    (fee,) = [fee for fee in result.state.fees if fee.key == key]
    assert (fee.waived, fee.paid, fee.unpaid, fee.paid_on) == (amount, 0, 0, LATE)
    assert (moves(result.entries[-1]), result.entries[-1].key) == ([(5010, account, amount)], "waiver:w")
    assert result.waivers == {"w": amount}


def test_a_waiver_gives_up_no_more_than_is_unpaid() -> None:
    paid = (LATE, PaymentReceived(1000, "p"))
    result = after(LATE, paid, (LATE, fee_waiver("late_fee:2020-10-09", 2500)))
    assert (result.waivers["w"], result.state.fees[0].paid, result.state.fees[0].waived) == (2000, 1000, 2000)
    part = after(LATE, (LATE, fee_waiver("late_fee:2020-10-09", 700)))
    assert (part.state.late_fees, part.waivers["w"]) == (2300, 700)


def test_a_waived_fee_that_no_longer_arises_leaves_a_waiver_of_nothing() -> None:
    waiver = (LATE, fee_waiver("late_fee:2020-10-09"))
    assert after(LATE, waiver).waivers == {"w": 3000}
    backdated = after(LATE, waiver, (DUE, PaymentReceived(LEVEL, "p")))
    assert (backdated.waivers, backdated.state.fees) == ({"w": 0}, ())
    assert "waiver:w" not in [entry.key for entry in backdated.entries]


def test_interest_earned_is_waived_and_the_rest_of_the_instalment_is_owed() -> None:
    result = after(LATE, (DUE, interest_waiver()))
    row = result.state.instalments[0]
    assert (row.interest_waived, row.interest_paid, row.status) == (INTEREST_1, 0, InstalmentStatus.PAST_DUE)
    assert result.state.past_due_amount == LEVEL - INTEREST_1
    assert moves(next(entry for entry in result.entries if entry.key == "waiver:w")) == [(5010, 1110, INTEREST_1)]
    assert sum(result.accruals.values()) == INTEREST_1 + round(3652 * 11 / 31)


def test_no_more_interest_is_waived_than_is_earned() -> None:
    day = date(2020, 9, 24)
    result = after(day, (day, interest_waiver(5000)))
    assert (result.waivers["w"], result.state.accrued_interest) == (1850, 0)
    assert result.state.instalments[0].interest_waived == 1850


def test_an_instalment_settled_in_part_by_a_waiver_is_waived() -> None:
    result = after(LATE, (DUE, interest_waiver()), (DUE, PaymentReceived(LEVEL - INTEREST_1, "p")))
    row = result.state.instalments[0]
    assert (row.status, row.principal_paid, row.paid_on) == (InstalmentStatus.WAIVED, row.principal, DUE)
    assert result.state.days_past_due == 0


def test_waived_interest_does_not_come_back_at_a_payoff() -> None:
    day = date(2020, 9, 24)
    for payoff_day in (day, date(2020, 9, 25)):
        quote = payoff_quote(after(payoff_day, (day, interest_waiver())).state)
        assert quote.interest == (0 if payoff_day == day else 123)


def test_a_loan_whose_last_debt_is_waived_is_paid_off() -> None:
    terms = under(allocation_order=(PRINCIPAL, INTEREST, FEES))
    end = date(2023, 9, 30)
    everything = (end, PaymentReceived(1_000_000, "p"))
    owed = after(end, everything, terms=terms).state
    assert (owed.status, owed.principal_balance) == (LoanStatus.ACTIVE, 0)
    waivers = [(end, Waived(f"w{number}", WaiverTarget.FEE, fee.key)) for number, fee in enumerate(owed.fees) if fee.unpaid]
    result = after(end, everything, *waivers, (end, interest_waiver()), terms=terms)
    assert (result.state.status, result.state.paid_off_on) == (LoanStatus.PAID_OFF, end)
    assert {row.status for row in result.state.instalments} == {InstalmentStatus.WAIVED}


@pytest.mark.parametrize(
    ("waiver", "pointer"),
    [
        (Waived("w", WaiverTarget.FEE), "/fee_key"),
        (interest_waiver(0), "/amount"),
        (fee_waiver("late_fee:2020-10-09", -1), "/amount"),
    ],
)
def test_a_waiver_that_cannot_be_is_refused(waiver: Waived, pointer: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        after(LATE, (LATE, waiver))
    assert refusal.value.errors[0].pointer == pointer


def test_a_waiver_has_an_id_of_its_own() -> None:
    with pytest.raises(InvalidInput, match="w is a waiver already"):
        after(LATE, (LATE, interest_waiver(5)), (LATE, interest_waiver(5)))


def test_a_preview_of_any_event_is_what_is_then_done() -> None:
    known = history((LATE, PaymentReceived(1000, "p")))
    seen = preview_event(EXAMPLE, known, fee_waiver("late_fee:2020-10-09"), LATE, date(2020, 11, 1))
    done = after(date(2020, 11, 1), (LATE, PaymentReceived(1000, "p")), (LATE, fee_waiver("late_fee:2020-10-09")))
    assert seen == done
    with pytest.raises(InvalidInput, match="must not be after 2020-10-20"):
        preview_event(EXAMPLE, known, NSF, date(2020, 10, 21), LATE)


def test_the_lines_name_the_fee() -> None:
    allocation = after(LATE, (DUE, NSF), (LATE, PaymentReceived(2600, "p"))).allocations["p"]
    assert allocation.lines[0] == AllocationLine(FEES, 2500, 1, "nsf_fee:p1")

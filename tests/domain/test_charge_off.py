"""Charge-off, recovery, and money taken back from the lender."""

from __future__ import annotations

from datetime import date

import pytest

from domain.errors import InvalidInput, WrongState
from domain.events import (
    Chargeback,
    ChargedFee,
    ChargedOff,
    Event,
    EventBody,
    FeeCharged,
    NonAccrualSet,
    PaymentReceived,
    PaymentSettled,
    UnappliedApplied,
    Waived,
    WaiverTarget,
)
from domain.journal import EntryKind, corrections
from domain.loan import AllocationLine, InstalmentStatus, LoanStatus
from domain.program import ChargeOffInterest, Component, ExtraMoney
from domain.replay import Replay, check_payment, replay
from domain.terms import LoanTerms
from tests.domain.loans import EXAMPLE, LEVEL, assert_books_agree, boarded, history, moves, run, under

CHARGED_OFF = date(2021, 2, 14)
"""Five instalments are past due, four with a late fee of 30.00; the sixth period has run 5 of 28 days."""
NSF = (date(2020, 12, 1), FeeCharged("p0", ChargedFee.NSF, 2500))
OFF = (CHARGED_OFF, ChargedOff("120 days past due"))
PRINCIPAL, FEES = 1_000_000, 4 * 3000 + 2500
INTEREST = 3699 + 3652 + 3554 + 3456 + 3358 + round(3259 * 5 / 28)
OWED = PRINCIPAL + INTEREST + FEES
CONTINUE = under(charge_off_interest=ChargeOffInterest.CONTINUE)


def after(on: date, *happened: tuple[date, EventBody], terms: LoanTerms = EXAMPLE) -> Replay:
    result = replay(terms, history(*happened, terms=terms), on)
    assert_books_agree(result)
    return result


def paid(on: date, amount: int, payment_id: str = "p") -> tuple[date, EventBody]:
    return on, PaymentReceived(amount, payment_id)


def test_figures_of_the_story() -> None:
    loan = after(CHARGED_OFF, NSF).state
    assert (loan.principal_balance, loan.fees_balance) == (PRINCIPAL, FEES)
    assert loan.accrued_interest == INTEREST


def test_a_charge_off_moves_all_that_is_owed_to_memo() -> None:
    result = after(CHARGED_OFF, NSF, OFF)
    entry = result.entries[-1]
    assert (entry.key, entry.kind, entry.effective_date) == ("charged_off", EntryKind.CHARGE_OFF, CHARGED_OFF)
    late = [(4010, 1120, 3000)] * 4
    late.insert(2, (4020, 1125, 2500))
    assert moves(entry) == [
        (5000, 1190, PRINCIPAL),
        (1190, 1100, PRINCIPAL),
        (4000, 1110, INTEREST),
        *late,
        (9100, 9900, OWED),
    ]
    loan = result.state
    assert (loan.status, loan.charged_off_on) == (LoanStatus.CHARGED_OFF, CHARGED_OFF)
    assert (loan.charged_off_principal, loan.charged_off_balance, loan.recovered) == (PRINCIPAL, OWED, 0)
    assert (loan.principal_balance, loan.accrued_interest, loan.fees_balance) == (PRINCIPAL, INTEREST, FEES)
    assert (loan.payoff, loan.next_due_date, loan.next_due_amount) == (None, None, 0)


def test_nothing_falls_due_after_it_and_interest_stops() -> None:
    loan = after(date(2022, 1, 1), NSF, OFF).state
    assert (loan.charged_off_balance, len(loan.fees)) == (OWED, 5)
    assert [row.status for row in loan.instalments[4:7]] == [InstalmentStatus.PAST_DUE, *2 * [InstalmentStatus.SCHEDULED]]


def test_where_the_program_says_so_interest_goes_on_as_memo() -> None:
    result = after(date(2022, 2, 14), NSF, OFF, terms=CONTINUE)
    year = round(PRINCIPAL * 0.045)
    assert result.state.accrued_interest == INTEREST + year
    assert sum(result.charged_off_accruals.values()) == year
    assert sum(result.accruals.values()) == INTEREST
    assert result.charged_off_accruals[date(2021, 3, 1)] == 3822  # 31 days of 123.29 cents


@pytest.mark.parametrize("ended", [paid(date(2020, 9, 24), 1_001_850), (date(2020, 9, 24), ChargedOff("fraud"))])
def test_only_an_active_loan_is_charged_off(ended: tuple[date, EventBody]) -> None:
    with pytest.raises(WrongState, match="only an active loan is charged off") as refusal:
        after(CHARGED_OFF, ended, OFF)
    assert refusal.value.allowed == ("active",)


# recovery


def test_a_recovery_pays_the_principal_charged_off_first_then_interest_then_fees() -> None:
    everything = (CHARGED_OFF, OFF[1]), paid(date(2021, 3, 1), PRINCIPAL + 100), paid(date(2021, 4, 1), INTEREST, "q")
    result = after(date(2021, 4, 1), NSF, *everything)
    first, second = result.allocations["p"], result.allocations["q"]
    assert (first.recovery, first.principal, first.interest, first.fees) == (True, PRINCIPAL, 100, 0)
    assert first.lines == (AllocationLine(Component.PRINCIPAL, PRINCIPAL), AllocationLine(Component.INTEREST, 100))
    assert (second.principal, second.interest, second.fees) == (0, INTEREST - 100, 100)
    entries = {entry.key: entry for entry in result.entries}
    assert entries["payment:p"].kind is EntryKind.RECOVERY
    assert sorted(moves(entries["payment:p"])) == sorted(
        [(1010, 1190, PRINCIPAL), (1010, 4000, 100), (9900, 9100, PRINCIPAL + 100)]
    )
    assert sorted(moves(entries["payment:q"])) == sorted(
        [(1010, 4000, INTEREST - 100), (1010, 4010, 100), (9900, 9100, INTEREST)]
    )
    assert (result.state.recovered, result.state.charged_off_balance) == (PRINCIPAL + INTEREST + 100, FEES - 100)
    assert result.state.instalments == after(CHARGED_OFF, NSF, OFF).state.instalments


def test_when_everything_is_recovered_the_loan_is_paid_off_and_the_rest_is_unapplied() -> None:
    day = date(2021, 5, 5)
    result = after(date(2021, 8, 1), NSF, OFF, paid(day, OWED + 77))
    loan = result.state
    assert (loan.status, loan.paid_off_on, loan.unapplied, loan.recovered) == (LoanStatus.PAID_OFF, day, 77, OWED)
    assert result.allocations["p"].nsf_fees == 2500
    short = after(date(2021, 8, 1), NSF, OFF, paid(day, OWED - 1)).state
    assert (short.status, short.charged_off_balance) == (LoanStatus.CHARGED_OFF, 1)


def test_interest_that_goes_on_is_recovered_too() -> None:
    day = date(2021, 8, 13)  # 180 days after
    borne = round(PRINCIPAL * 0.045 * 180 / 365)
    assert after(day, NSF, OFF, paid(day, OWED + borne), terms=CONTINUE).state.status is LoanStatus.PAID_OFF
    half = paid(date(2021, 5, 15), PRINCIPAL // 2)  # 90 days on all of it, 90 on half
    loan = after(day, NSF, OFF, half, terms=CONTINUE).state
    assert loan.accrued_interest == INTEREST + round(PRINCIPAL * 0.045 * (90 + 45) / 365)


def test_a_returned_recovery_takes_back_what_it_posted() -> None:
    """The payment drops out of the history, and the journal mirrors what it had posted: 1190 and memo, not 1100."""
    with_it = after(date(2021, 4, 1), NSF, OFF, paid(date(2021, 3, 1), 50_000))
    without = after(date(2021, 4, 1), NSF, OFF)
    (back,) = corrections(without.entries, with_it.entries)
    assert sorted(moves(back)) == [(1190, 1010, 50_000), (9100, 9900, 50_000)]


def test_a_charge_off_that_is_reversed_leaves_the_loan_as_if_it_had_never_been() -> None:
    recovered = paid(date(2021, 3, 1), 50_000)
    reversed_ = after(date(2021, 4, 1), NSF, recovered)
    posted = after(date(2021, 4, 1), NSF, OFF, recovered).entries
    keys = [entry.key for entry in corrections(reversed_.entries, posted)]
    assert keys[0] == "charged_off"
    assert reversed_.state.status is LoanStatus.ACTIVE
    assert reversed_.allocations["p"].recovery is False


def test_a_loan_boarded_charged_off_takes_recoveries() -> None:
    day = date(2021, 3, 1)
    first = Event(1, day, boarded(status=LoanStatus.CHARGED_OFF, principal=5000, interest=300, late_fees=30))
    result = run(date(2021, 4, 1), (date(2021, 4, 1), 5310), first=first)
    assert_books_agree(result)
    assert sorted(moves(result.entries[-1])) == [
        (1010, 1190, 5000),
        (1010, 4000, 300),
        (1010, 4010, 10),
        (9900, 9100, 5310),
    ]
    assert (result.state.status, result.state.charged_off_balance) == (LoanStatus.CHARGED_OFF, 20)
    assert run(date(2021, 4, 1), (date(2021, 4, 1), 5330), first=first).state.status is LoanStatus.PAID_OFF


def test_a_charged_off_loan_takes_payments() -> None:
    loan = after(date(2021, 3, 1), NSF, OFF).state
    check_payment(loan, 500, date(2021, 3, 1), date(2021, 3, 1))


def test_what_is_waived_of_a_charged_off_loan_was_memo() -> None:
    day = date(2021, 3, 1)
    result = after(day, NSF, OFF, (day, Waived("w", WaiverTarget.INTEREST)))
    assert moves(result.entries[-1]) == [(9900, 9100, INTEREST)]
    settled = after(day, NSF, OFF, (day, Waived("w", WaiverTarget.INTEREST)), paid(day, PRINCIPAL + FEES))
    assert settled.state.status is LoanStatus.PAID_OFF


def test_non_accrual_interest_is_memo_already() -> None:
    on = (date(2021, 2, 1), NonAccrualSet(True, "bankruptcy"))
    result = after(CHARGED_OFF, NSF, on, OFF)
    assert (9900, 9110, INTEREST) in moves(result.entries[-1])
    assert (9100, 9900, OWED) in moves(result.entries[-1])
    assert not any(debit == 4000 for debit, _, _ in moves(result.entries[-1]))
    assert (result.state.non_accrual, result.state.non_accrual_interest) == (False, 0)


# chargebacks

DUE = date(2020, 10, 9)
DISPUTED = date(2020, 10, 14)


@pytest.mark.parametrize(("settled", "source"), [([], 1010), ([(date(2020, 10, 13), PaymentSettled("p"))], 1000)])
def test_what_a_payment_paid_is_owed_again_with_the_current_instalment(
    settled: list[tuple[date, EventBody]], source: int
) -> None:
    before = after(DISPUTED, paid(DUE, LEVEL), *settled).state
    result = after(DISPUTED, paid(DUE, LEVEL), *settled, (DISPUTED, Chargeback("c", "p", LEVEL)))
    assert moves(result.entries[-1]) == [(1110, source, 3699), (1100, source, LEVEL - 3699)]
    loan = result.state
    assert loan.principal_balance == PRINCIPAL
    assert loan.accrued_interest == before.accrued_interest + 3699
    row, was = loan.instalments[1], before.instalments[1]
    assert (row.principal, row.interest) == (was.principal + LEVEL - 3699, was.interest + 3699)
    assert loan.instalments[0].status is InstalmentStatus.PAID
    assert (loan.next_due_amount, loan.days_past_due) == (2 * LEVEL, 0)


def test_components_come_back_in_the_program_s_order_and_no_more_than_was_paid_of_each() -> None:
    day = date(2020, 10, 20)
    happened = (paid(day, LEVEL + 3000), (DISPUTED.replace(day=25), Chargeback("c", "p", 5000)))
    back = after(date(2020, 10, 25), *happened).chargebacks["c"]
    assert (back.interest, back.fees, back.principal) == (3699, 1301, 0)
    terms = under(chargeback_order=(Component.PRINCIPAL, Component.INTEREST, Component.FEES))
    back = after(date(2020, 10, 25), *happened, terms=terms).chargebacks["c"]
    assert (back.interest, back.fees, back.principal) == (0, 0, 5000)


def test_a_fee_taken_back_is_owed_again() -> None:
    day = date(2020, 10, 25)
    happened = (paid(date(2020, 10, 20), LEVEL + 3000), (day, Chargeback("c", "p", LEVEL + 3000)))
    result = after(day, *happened)
    assert (result.state.late_fees, result.state.fees[0].unpaid, result.state.fees[0].paid_on) == (3000, 3000, None)
    assert (1120, 1010, 3000) in moves(result.entries[-1])


def test_two_chargebacks_take_no_more_than_the_payment() -> None:
    day = DISPUTED
    first = (day, Chargeback("c1", "p", 5000))
    result = after(day, paid(DUE, LEVEL), first, (day, Chargeback("c2", "p", LEVEL - 5000)))
    assert (result.chargebacks["c1"].interest, result.chargebacks["c2"].interest) == (3699, 0)
    for refused, pointer in (
        (Chargeback("c2", "p", LEVEL - 4999), "/amount"),
        (Chargeback("c1", "p", 1), "/chargeback_id"),
        (Chargeback("c2", "q", 1), "/payment_id"),
        (Chargeback("c2", "p", 0), "/amount"),
    ):
        with pytest.raises(InvalidInput) as refusal:
            after(day, paid(DUE, LEVEL), first, (day, refused))
        assert refusal.value.errors[0].pointer == pointer


def test_what_stayed_unapplied_comes_from_there() -> None:
    terms = under(extra_money=ExtraMoney.UNAPPLIED)
    day = date(2020, 10, 1)
    result = after(day, paid(day, LEVEL + 5000), (day, Chargeback("c", "p", LEVEL + 4000)), terms=terms)
    assert (result.state.unapplied, result.chargebacks["c"].unapplied) == (1000, 4000)
    assert moves(result.entries[-1])[-1] == (2000, 1010, 4000)


def test_a_chargeback_of_the_payoff_makes_the_loan_active_again() -> None:
    day = date(2020, 9, 24)
    payoff = paid(day, 1_001_850)
    result = after(date(2020, 10, 5), payoff, (date(2020, 10, 5), Chargeback("c", "p", 1_001_850)))
    loan = result.state
    assert (loan.status, loan.paid_off_on, loan.principal_balance) == (LoanStatus.ACTIVE, None, PRINCIPAL)
    assert (loan.accrued_interest, loan.next_due_date) == (1850, DUE)
    assert sum(result.accruals.values()) == 1850


def test_while_it_was_paid_off_no_fee_arose_and_it_was_not_late() -> None:
    terms = under(instalment_fee=1000)
    payoff, day = paid(date(2020, 9, 24), 1_001_850), date(2021, 4, 20)
    before = after(date(2021, 4, 19), payoff, terms=terms)
    result = after(date(2021, 5, 8), payoff, (day, Chargeback("c", "p", 5000)), terms=terms)
    assert result.entries[: len(before.entries)] == before.entries
    assert (result.state.fees, result.state.delinquent_days, result.state.last_current_date) == ((), 0, date(2021, 5, 8))
    assert result.state.next_due_amount == 5000


def test_after_the_last_due_date_the_last_instalment_is_owed_again() -> None:
    rows = after(EXAMPLE.contract_date).state.instalments
    on_time = [paid(row.due_date, row.payment, f"p{row.number}") for row in rows]
    day = date(2023, 10, 1)
    loan = after(day, *on_time, (day, Chargeback("c", "p36", 10_000))).state
    assert (loan.status, loan.past_due_amount, loan.days_past_due) == (LoanStatus.ACTIVE, 10_000, 22)


def test_an_instalment_owed_again_when_its_grace_is_long_over_bears_no_late_fee_for_then() -> None:
    rows = after(EXAMPLE.contract_date).state.instalments
    on_time = [paid(row.due_date, row.payment, f"p{row.number}") for row in rows]
    day = date(2023, 12, 1)
    assert after(date(2023, 12, 31), *on_time, (day, Chargeback("c", "p36", 10_000))).state.fees == ()


def test_after_a_charge_off_a_chargeback_is_memo_and_the_allowance_takes_it() -> None:
    day = date(2021, 3, 1)
    result = after(day, paid(DUE, LEVEL), OFF, (day, Chargeback("c", "p", LEVEL)))
    part = LEVEL - 3699
    assert sorted(moves(result.entries[-1])) == sorted(
        [(4000, 1010, 3699), (1190, 1010, part), (9100, 9900, LEVEL), (5000, 1190, part)]
    )


def test_a_recovery_charged_back_reopens_the_charged_off_loan() -> None:
    day = date(2021, 3, 1)
    recovery = paid(day, OWED)
    result = after(date(2021, 3, 9), NSF, OFF, recovery, (date(2021, 3, 9), Chargeback("c", "p", OWED)))
    assert (result.state.status, result.state.recovered) == (LoanStatus.CHARGED_OFF, 0)
    assert result.state.charged_off_balance == OWED
    assert (1190, 1010, PRINCIPAL) in moves(result.entries[-1])
    assert not any(debit == 5000 for debit, _, _ in moves(result.entries[-1]))


def test_what_a_charged_off_loan_bears_until_unapplied_money_pays_its_last_is_memo() -> None:
    charged_back, applied = date(2021, 3, 1), date(2021, 4, 1)
    off, last = (CHARGED_OFF, ChargedOff("uncollectible")), paid(CHARGED_OFF, 2 * OWED)
    result = after(
        applied,
        NSF,
        off,
        last,
        (charged_back, Chargeback("c", "p", OWED // 2)),
        (applied, UnappliedApplied("u", OWED - 10_000)),
        terms=CONTINUE,
    )
    assert (result.state.status, result.charged_off_accruals[date(2021, 3, 1)] > 0) == (LoanStatus.PAID_OFF, True)

"""What was paid of each instalment, and when. The example loan's first instalment bears 36.99, its second 36.52."""

from __future__ import annotations

from datetime import date

from domain.instalment_payments import InstalmentPayment, paid_by_instalment
from domain.payoff import payoff_quote
from domain.program import ExtraMoney
from tests.domain.loans import LEVEL, run, state, under


def test_a_payment_is_split_over_the_instalments_it_pays_and_its_fees_are_left_out() -> None:
    """Two instalments and a late fee are owed: 30.00 of the money are the fee's."""
    day = date(2020, 11, 9)
    part, rest = (date(2020, 10, 30), 50_00), (day, 2 * LEVEL + 30_00 - 50_00)
    paid = paid_by_instalment(run(day, rest, part))
    assert paid == {
        1: [InstalmentPayment("p2", part[0], 0, 20_00), InstalmentPayment("p1", day, LEVEL - 36_99, 16_99)],
        2: [InstalmentPayment("p1", day, LEVEL - 36_52, 36_52)],
    }


def test_interest_that_comes_back_at_a_payoff_is_negative() -> None:
    """36.99 are paid 15 days after the contract date; on the day of the payoff 22 of 30 days are earned, 27.13."""
    early, day = (date(2020, 9, 24), LEVEL), date(2020, 10, 1)
    total = payoff_quote(state(day, early)).total
    result = run(day, early, (day, total))
    paid = paid_by_instalment(result)
    assert paid[1] == [
        InstalmentPayment("p1", early[0], LEVEL - 36_99, 36_99),
        InstalmentPayment("p2", day, 0, 27_13 - 36_99),
    ]
    for row in result.state.instalments:
        assert sum(each.interest for each in paid.get(row.number, [])) == row.interest_paid


def test_unapplied_money_that_is_applied_is_of_no_payment() -> None:
    terms = under(extra_money=ExtraMoney.UNAPPLIED)
    paid = paid_by_instalment(run(date(2020, 11, 9), (date(2020, 9, 20), LEVEL + 100_00), terms=terms))
    assert paid[2] == [InstalmentPayment(None, date(2020, 11, 9), 100_00 - 36_52, 36_52)]

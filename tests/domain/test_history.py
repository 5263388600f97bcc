"""A loan's history: what supersedes what, what survives, and what was known when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.correction import correction
from domain.errors import InvalidInput, NotFound, WrongState
from domain.events import Disbursed, EventBody, PaymentReceived, PaymentSettled
from domain.history import (
    Record,
    check_void,
    fresh,
    replay_corrected,
    standing,
    standing_record,
    surviving,
    surviving_with,
)
from domain.journal import EntryKind
from domain.loan import state_hash
from domain.replay import replay
from tests.domain.loans import EXAMPLE, LEVEL

START = datetime(2020, 9, 9, 12, tzinfo=UTC)
OCTOBER, NOVEMBER = date(2020, 10, 9), date(2020, 11, 9)
AS_OF = date(2021, 3, 1)


class History(list[Record]):
    """Records as they are written, one a day from 2020-09-09 on."""

    def add(self, body: EventBody | None, on: date, supersedes: int | None = None) -> int:
        number = len(self) + 1
        position = number if supersedes is None else self[supersedes - 1].position
        recorded = START + timedelta(days=number - 1)
        self.append(Record(number, position, on, body, supersedes, recorded, recorded.date()))
        return number


def paid(name: str = "p", amount: int = LEVEL) -> PaymentReceived:
    return PaymentReceived(amount, name)


def a_loan(*payments: tuple[str, date]) -> History:
    history = History()
    history.add(Disbursed(EXAMPLE.principal), EXAMPLE.contract_date)
    for name, on in payments:
        history.add(paid(name), on)
    return history


def seen(records: Sequence[Record]) -> list[tuple[int, date]]:
    return [(event.sequence, event.effective_date) for event in surviving(records)]


class TestSuperseding:
    def test_a_replacement_keeps_the_place_of_what_it_supersedes(self) -> None:
        history = a_loan(("a", OCTOBER), ("b", OCTOBER))
        history.add(paid("a"), NOVEMBER, supersedes=2)
        assert seen(history) == [(1, EXAMPLE.contract_date), (3, OCTOBER), (2, NOVEMBER)]
        history.add(paid("a"), OCTOBER, supersedes=4)
        assert sorted(seen(history)) == sorted(seen(history[:3])), "there and back: the order of the day is the old one"

    def test_a_void_leaves_nothing(self) -> None:
        history = a_loan(("a", OCTOBER))
        history.add(None, OCTOBER, supersedes=2)
        assert seen(history) == [(1, EXAMPLE.contract_date)]

    def test_the_settlement_of_a_voided_payment_has_nothing_to_settle(self) -> None:
        history = a_loan(("a", OCTOBER), ("b", OCTOBER))
        history.add(PaymentSettled("a"), OCTOBER)
        history.add(PaymentSettled("b"), OCTOBER)
        history.add(None, OCTOBER, supersedes=2)
        assert [event.body for event in surviving(history)][1:] == [paid("b"), PaymentSettled("b")]
        assert 4 in standing(history), "it was not voided itself: what voids the payment does it"

    def test_what_survives_is_told_from_what_survived_and_what_is_new(self) -> None:
        history = a_loan(("a", OCTOBER), ("b", OCTOBER))
        history.add(PaymentSettled("a"), OCTOBER)
        history.add(paid("b"), NOVEMBER, supersedes=3)
        history.add(None, OCTOBER, supersedes=2)
        history.add(PaymentSettled("b"), NOVEMBER)
        history.add(paid("a"), NOVEMBER)
        for known in range(len(history)):
            for until in range(known, len(history) + 1):
                survived, records = surviving(history[:known]), history[:until]
                assert surviving_with(survived, records, history[known:until]) == surviving(records)

    def test_an_event_is_superseded_once(self) -> None:
        history = a_loan(("a", OCTOBER))
        history.add(None, OCTOBER, supersedes=2)
        history.add(paid("a"), NOVEMBER, supersedes=2)
        with pytest.raises(WrongState, match="Event 2 does not stand"):
            surviving(history)

    @pytest.mark.parametrize(
        ("number", "error", "says"),
        [
            (9, NotFound, "event"),
            (2, WrongState, "Event 2 was superseded by event 4"),
            (5, WrongState, "Event 5 is a void"),
            (3, WrongState, "Event 3 was superseded by event 5"),
        ],
    )
    def test_only_what_stands_is_superseded(self, number: int, error: type[Exception], says: str) -> None:
        history = a_loan(("a", OCTOBER), ("b", OCTOBER))
        history.add(paid("a"), NOVEMBER, supersedes=2)
        history.add(None, OCTOBER, supersedes=3)
        assert standing_record(history, 4).effective_date == NOVEMBER
        with pytest.raises(error, match=says):
            standing_record(history, number)

    def test_what_is_voided_by_itself(self) -> None:
        history = a_loan(("a", OCTOBER))
        history.add(PaymentSettled("a"), OCTOBER)
        for number, says in ((1, "payment_settled of 2020-10-09"), (2, "reversing"), (3, "with its payment")):
            with pytest.raises(WrongState, match=says):
                check_void(history, history[number - 1])
        history.add(None, OCTOBER, supersedes=2)
        check_void(history, history[0])


class TestKnowledge:
    @pytest.fixture
    def history(self) -> History:
        """Recorded 9 September: the loan; 10th: a payment; 11th: backdated; 12th: voided."""
        history = a_loan(("a", OCTOBER))
        history.add(paid("a"), date(2020, 10, 1), supersedes=2)
        history.add(None, date(2020, 10, 1), supersedes=3)
        return history

    @pytest.mark.parametrize(
        ("known", "payments"),
        [
            (None, []),
            (date(2020, 9, 8), None),
            (date(2020, 9, 9), []),
            (date(2020, 9, 10), [OCTOBER]),
            (date(2020, 9, 11), [date(2020, 10, 1)]),
            (date(2020, 9, 12), []),
            (datetime(2020, 9, 10, 11, 59, tzinfo=UTC), []),
            (datetime(2020, 9, 10, 12, 0, tzinfo=UTC), [OCTOBER]),
        ],
    )
    def test_what_survives_is_what_was_known(
        self, history: History, known: date | None, payments: list[date] | None
    ) -> None:
        """A business date means all that was recorded on it, an instant what was recorded until then."""
        events = surviving(history, known)
        if payments is None:
            assert events == []
        else:
            assert [event.effective_date for event in events[1:]] == payments


class TestImpossible:
    def test_the_event_that_would_be_impossible_is_named(self) -> None:
        """A settlement whose payment is gone is dropped; one whose payment never was is what cannot be."""
        history = a_loan(("a", OCTOBER))
        history.add(PaymentSettled("never"), NOVEMBER)
        history.add(paid("z"), date(2020, 12, 9))
        with pytest.raises(WrongState, match=r"Event 3 \(payment_settled of 2020-11-09\)") as refused:
            replay_corrected(EXAMPLE, history, AS_OF, first_new=4)
        assert refused.value.code == "later_event_impossible"

    def test_what_is_wrong_with_the_correction_itself_is_said_as_it_is(self) -> None:
        history = a_loan(("a", OCTOBER))
        history.add(paid("a", -1), OCTOBER)
        with pytest.raises(InvalidInput) as refused:
            replay_corrected(EXAMPLE, history, AS_OF, first_new=3)
        assert refused.value.errors[0].pointer == "/amount"

    def test_a_correction_that_is_possible_is_the_replay(self) -> None:
        history = a_loan(("a", OCTOBER))
        assert replay_corrected(EXAMPLE, history, AS_OF, first_new=2) == replay(EXAMPLE, surviving(history), AS_OF)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """A loan with payments, some settled, some of them backdated or voided, some more than once."""
    history = History()
    history.add(Disbursed(EXAMPLE.principal), EXAMPLE.contract_date)
    days = st.integers(0, 170).map(lambda n: EXAMPLE.contract_date + timedelta(days=n))
    for number in range(draw(st.integers(1, 6))):
        name = f"p{number}"
        history.add(paid(name, draw(st.sampled_from([1, 5_000, LEVEL, LEVEL + 3_000, 200_000]))), draw(days))
        if draw(st.booleans()):
            history.add(PaymentSettled(name), date(2021, 2, 28))
    for _ in range(draw(st.integers(0, 6))):
        received = [r for r in standing(history).values() if isinstance(r.body, PaymentReceived)]
        if not received:
            break
        chosen = draw(st.sampled_from(received))
        void = draw(st.booleans())
        history.add(None if void else chosen.body, chosen.effective_date if void else draw(days), chosen.number)
    return history


class TestEquivalence:
    @given(histories())
    def test_a_corrected_loan_is_a_fresh_one_with_the_surviving_events(self, history: History) -> None:
        alone = replay(EXAMPLE, surviving(fresh(history)), AS_OF)
        assert state_hash(alone.state) == state_hash(replay(EXAMPLE, surviving(history), AS_OF).state)
        assert all(record.supersedes is None for record in fresh(history))

    @given(histories(), st.data())
    def test_a_payment_and_its_reversal_are_nothing(self, history: History, data: st.DataObject) -> None:
        before = replay(EXAMPLE, surviving(history), AS_OF)
        on = data.draw(st.integers(0, 170).map(lambda n: EXAMPLE.contract_date + timedelta(days=n)))
        number = history.add(paid("more", 123_45), on)
        history.add(None, on, supersedes=number)
        assert replay(EXAMPLE, surviving(history), AS_OF) == before

    @given(histories())
    def test_backdating_there_and_back_is_nothing(self, history: History) -> None:
        before = replay(EXAMPLE, surviving(history), AS_OF)
        for record in list(standing(history).values())[1:]:
            if isinstance(record.body, PaymentReceived):
                moved = history.add(record.body, date(2021, 2, 1), record.number)
                history.add(record.body, record.effective_date, moved)
        assert replay(EXAMPLE, surviving(history), AS_OF) == before


class TestWhatACorrectionChanges:
    """The payment of 21 October, 297.47, counts from the 9th: no late fee, so all of it pays the instalment."""

    @pytest.fixture
    def changed(self) -> tuple[History, History]:
        before = a_loan(("a", date(2020, 10, 21)), ("b", NOVEMBER))
        after = History(before)
        after.add(paid("a"), OCTOBER, supersedes=2)
        return before, after

    def test_state_fees_allocations_interest_and_entries(self, changed: tuple[History, History]) -> None:
        on = date(2020, 11, 12)
        before, after = (replay(EXAMPLE, surviving(records), on) for records in changed)
        found = correction(before, after, before)
        assert (found.before.fees_balance, found.after.fees_balance) == (0, 0), "it was paid"
        assert found.after.principal_balance < found.before.principal_balance
        (fee,) = found.fees
        assert fee.before is not None
        assert (fee.before.key, fee.after) == ("late_fee:2020-10-09", None)
        bill = found.instalments[0]
        assert bill.before is not None
        assert bill.after is not None
        assert (bill.before.number, bill.before.paid_on, bill.after.paid_on) == (1, date(2020, 11, 9), date(2020, 10, 9))
        paid_later = [change.after for change in found.allocations if change.after is not None]
        assert [allocation.payment_id for allocation in paid_later] == ["a", "b"]
        kinds = [(entry.key, entry.kind) for entry in found.entries if entry.kind is not EntryKind.ACCRUAL]
        assert kinds == [
            ("late_fee:2020-10-09", EntryKind.MIRROR),
            ("payment:a", EntryKind.MIRROR),
            ("payment:a", EntryKind.PAYMENT),
        ], "b pays other instalments with the same interest and principal: its entry stands"

    def test_nothing_changes_by_itself(self, changed: tuple[History, History]) -> None:
        same = replay(EXAMPLE, surviving(changed[1]), AS_OF)
        found = correction(same, same, same)
        assert (found.allocations, found.fees, found.accruals, found.entries) == ((), (), {}, ())

    def test_what_was_not_posted_yet_is_posted_with_it(self, changed: tuple[History, History]) -> None:
        """The journal stands where the loan was last brought to; the interest since then comes along, in one entry."""
        on, posted_to = date(2020, 11, 12), date(2020, 11, 11)
        before, after = (replay(EXAMPLE, surviving(records), on) for records in changed)
        found = correction(before, after, replay(EXAMPLE, surviving(changed[0]), posted_to))
        november = [entry for entry in found.entries if entry.key == "accrual:2020-11"]
        assert len(november) == 1
        day = (
            after.accruals[date(2020, 11, 1)] - replay(EXAMPLE, surviving(changed[0]), posted_to).accruals[date(2020, 11, 1)]
        )
        assert november[0].transfers[0].amount == abs(day)


def test_a_record_without_a_body_has_no_event() -> None:
    history = a_loan()
    void = replace(history[0], body=None)
    assert void.kind == "voided"
    with pytest.raises(ValueError, match="void"):
        void.event()

"""What holds for every loan after every step, whatever its program and whatever was done to it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import fields, replace
from datetime import date, timedelta
from fractions import Fraction
from random import Random

from domain.chart import Account, AccountKind
from domain.correction import interest_of
from domain.events import (
    Chargeback,
    Disbursed,
    Event,
    PaymentReceived,
    PaymentSettled,
    Refunded,
    RefundSent,
    Reimbursed,
    ReimbursementSent,
)
from domain.going_on import GoingOn
from domain.journal import EntryKind, corrections, to_post
from domain.loan import Fee, LoanStatus, PayoffQuote, state_hash
from domain.program import Component
from domain.replay import Replay, begin, close, in_order, replay, take
from tests.properties.life import Change, Life


def implied_books(result: Replay) -> Counter[Account]:
    """Net debit of every account after all that a replay implies."""
    net: Counter[Account] = Counter()
    for entry in to_post(result.entries, interest_of(result), [], {}, result.state.as_of):
        for moved in entry.transfers:
            net[moved.debit] += moved.amount
            net[moved.credit] -= moved.amount
    return net


def books(life: Life) -> None:
    """Debits equal credits, and the control accounts are the loan's balances: own, or memo when charged off."""
    loan, net = life.result.state, implied_books(life.result)
    own = loan.status is not LoanStatus.CHARGED_OFF
    assert net.total() == 0
    assert net[Account.PRINCIPAL] == loan.principal_balance * own
    assert net[Account.ACCRUED_INTEREST] == (loan.accrued_interest - loan.non_accrual_interest) * own
    assert net[Account.LATE_FEES] == loan.late_fees * own
    assert net[Account.NSF_FEES] == loan.nsf_fees * own
    assert net[Account.OTHER_FEES] == loan.other_fees * own
    assert net[Account.DUE_FROM_BORROWER] == loan.due_from_borrower
    assert net[Account.UNAPPLIED] == -loan.unapplied
    assert net[Account.MEMO_CHARGED_OFF] == loan.charged_off_balance
    assert net[Account.MEMO_NON_ACCRUAL_INTEREST] == loan.non_accrual_interest * own
    assert sum(amount for account, amount in net.items() if account.kind is AccountKind.MEMO) == 0


def money(life: Life) -> None:
    """Cash, clearing and what is to be paid out, counted from the events alone."""
    loan, net = life.result.state, implied_books(life.result)
    bodies = [event.body for event in life.events]
    paid = {body.payment_id: body.amount for body in bodies if isinstance(body, PaymentReceived)}
    refunds = {body.refund_id: body.amount for body in bodies if isinstance(body, Refunded)}
    reimbursements = {body.reimbursement_id: body.amount for body in bodies if isinstance(body, Reimbursed)}
    settled = sum(paid[body.payment_id] for body in bodies if isinstance(body, PaymentSettled))
    sent = sum(refunds[body.refund_id] for body in bodies if isinstance(body, RefundSent))
    sent += sum(reimbursements[body.reimbursement_id] for body in bodies if isinstance(body, ReimbursementSent))
    lent = sum(body.amount for body in bodies if isinstance(body, Disbursed))
    taken_back = sum(body.amount for body in bodies if isinstance(body, Chargeback))
    assert net[Account.CASH] + net[Account.CLEARING] == sum(paid.values()) - taken_back - sent - lent
    assert net[Account.REFUNDS_PAYABLE] == sent - sum(refunds.values()) - sum(reimbursements.values())
    assert loan.total_paid == sum(paid.values())
    if not taken_back:
        assert net[Account.CLEARING] == sum(paid.values()) - settled


def journal(life: Life) -> None:
    """What was posted step by step nets to what one replay of the surviving history implies; a further correction finds
    nothing to post."""
    result = life.result
    assert life.net == implied_books(result)
    assert life.accrued == {series: Counter(months) for series, months in interest_of(result).items()}
    assert corrections(result.entries, life.posted) == []


def mirrors(life: Life) -> None:
    """Every key has at most one entry standing: nothing is taken back twice, nothing is posted over what stands."""
    stands: Counter[str] = Counter()
    for entry in life.posted:
        if entry.kind is EntryKind.ACCRUAL:
            continue
        stands[entry.key] += -1 if entry.kind is EntryKind.MIRROR else 1
        assert stands[entry.key] in (0, 1)


def balances(life: Life) -> None:
    """No balance is negative; rows add up to the balances; what is paid off owes nothing."""
    loan = life.result.state
    assert min(loan.principal_balance, loan.accrued_interest, loan.fees_balance, loan.unapplied) >= 0
    for row in loan.instalments:
        assert row.payment == row.principal + row.interest
        assert 0 <= row.principal_paid <= row.principal
        assert min(row.interest_paid, row.interest_waived) >= 0
        assert row.interest_paid + row.interest_waived <= row.interest
    for fee in loan.fees:
        assert min(fee.paid, fee.waived, fee.unpaid) >= 0
    assert loan.fees_balance == sum(fee.unpaid for fee in loan.fees) == loan.late_fees + loan.nsf_fees + loan.other_fees
    assert len({fee.key for fee in loan.fees}) == len(loan.fees)
    if loan.status is LoanStatus.ACTIVE:
        assert loan.principal_balance == sum(row.principal - row.principal_paid for row in loan.instalments)
        assert loan.payoff is not None
        assert loan.payoff.total == loan.payoff.principal + loan.payoff.interest + loan.payoff.fees > 0
    if loan.status is LoanStatus.PAID_OFF:
        assert (loan.principal_balance, loan.accrued_interest, loan.fees_balance, loan.past_due_amount) == (0, 0, 0, 0)


def principal(life: Life) -> None:
    """The principal the instalments ask for, and curtailments, are what was lent and what was charged back of it."""
    loan, body = life.result.state, life.records[0].body
    lent = body.amount if isinstance(body, Disbursed) else getattr(body, "principal", 0)
    charged_off = loan.charged_off_on is not None
    if not loan.instalments or (charged_off and life.result.chargebacks):
        return  # what is charged back after a charge-off is recovered less, and no instalment asks for it
    curtailed = sum(
        line.amount
        for allocation in [*life.result.allocations.values(), *life.result.applications.values()]
        for line in allocation.lines
        if line.component is Component.PRINCIPAL and line.instalment_number is None and not allocation.recovery
    )
    charged_back = sum(taken.principal for taken in life.result.chargebacks.values())
    assert sum(row.principal for row in loan.instalments) + curtailed == lent + charged_back


def payments(life: Life) -> None:
    """Each payment is its allocation and what stays unapplied, to the cent and line by line."""
    result = life.result
    received = {event.body.payment_id: event.body for event in life.events if isinstance(event.body, PaymentReceived)}
    assert result.allocations.keys() == received.keys()
    for key, allocation in result.allocations.items():
        assert allocation.amount == received[key].amount
        applied = allocation.amount - allocation.unapplied - allocation.due_from_borrower
        assert sum(line.amount for line in allocation.lines) == applied
        assert 0 <= allocation.unapplied <= allocation.amount


def replays(life: Life, random: Random) -> None:
    """The state is a function of the surviving events: their order in the list, and how they came to be known, are
    nothing to it."""
    events = life.events
    random.shuffle(events)
    again = replay(life.terms, events, life.today)
    assert again == life.result
    assert state_hash(again.state) == state_hash(life.result.state)
    in_order = sorted(events, key=lambda event: event.place)
    fresh = [Event(number, event.effective_date, event.body) for number, event in enumerate(in_order, 1)]
    assert replay(life.terms, fresh, life.today) == life.result


def hashed(life: Life) -> None:
    """The fingerprint of a state is that of its JSON, with sorted names and nothing between them."""
    state = life.result.state
    said: dict[str, object] = {field.name: getattr(state, field.name) for field in fields(state)}
    said["instalments"] = [row._asdict() for row in state.instalments]
    text = json.dumps(said, sort_keys=True, separators=(",", ":"), default=_as_json)
    assert state_hash(state) == hashlib.sha256(text.encode()).hexdigest()


def _as_json(value: object) -> object:
    match value:
        case date():
            return value.isoformat()
        case Fraction(numerator=numerator, denominator=denominator):
            return f"{numerator}/{denominator}"
        case Fee() | PayoffQuote():
            return {field.name: getattr(value, field.name) for field in fields(value)}
        case _:
            raise TypeError(type(value))


def watched(life: Life, random: Random) -> None:
    """Looking at the loan on any days, with all that is shown then, changes nothing of what comes."""
    events = in_order(life.events)
    fold, day = begin(life.terms, events), life.opened_on
    for event in events:
        for look in sorted(day + timedelta(days=random.randint(0, 40)) for _ in range(random.randint(0, 2))):
            if fold.book.opened_on is not None and day <= look < event.effective_date:
                close(fold, look)
                day = look
        take(fold, event)
        day = event.effective_date
    while (day := day + timedelta(days=random.randint(1, 60))) < life.today:
        close(fold, day)
    seen = close(fold, life.today)
    assert replace(seen, accrued_today=life.result.accrued_today) == life.result


def goes_on(life: Life) -> None:
    """A replay that goes on from the step before, where it can, says what a replay from the beginning says; also again."""
    going = life.going
    if going is None or not (going.can_see(life.today) and going.follow(life.events)):
        life.going = going = GoingOn(life.terms, life.events)
    for _ in range(2):
        seen = going.at(life.today)
        assert seen == life.result
        assert list(seen.allocations) == list(life.result.allocations)


def relived(life: Life) -> None:
    """A fresh loan that was given the surviving events in their order, each on its day, ends in the same state and in
    the same books."""
    in_order = sorted(life.events, key=lambda event: event.place)
    first = in_order[0]
    fresh = Life.begin(life.terms, first.body, first.effective_date)
    for event in in_order[1:]:
        fresh.today = event.effective_date
        fresh.record(Change(event.body, event.effective_date))
        assert fresh.result.state.as_of == event.effective_date
    fresh.pass_days((life.today - fresh.today).days)
    assert state_hash(fresh.result.state) == state_hash(life.result.state)
    assert interest_of(fresh.result) == interest_of(life.result)
    assert fresh.net == life.net
    mirrored = [entry for entry in fresh.posted if entry.kind is EntryKind.MIRROR]
    assert mirrored == [], "what is known in order needs no correction"


def causal(life: Life) -> None:
    """The books of an earlier day are a prefix of today's: what comes later changes nothing that was."""
    day = life.opened_on + (life.today - life.opened_on) / 2
    then, now = replay(life.terms, life.events, day), life.result
    assert list(then.entries) == [entry for entry in now.entries if entry.effective_date <= day]
    first = day.replace(day=1)
    for series, months in interest_of(now).items():
        earlier = {month: amount for month, amount in months.items() if month < first}
        assert {month: amount for month, amount in interest_of(then)[series].items() if month < first} == earlier

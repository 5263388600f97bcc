"""What happened to a loan of a file of serviced instalment loans, as the engine's terms, program and source events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Final

from cli.cases.compare import amount, exactly, periods
from cli.cases.supported import check_options
from domain.amortization import build_schedule
from domain.calendars import add_months
from domain.errors import InvalidInput
from domain.events import Chargeback, ChargedFee, ChargedOff, Disbursed, Event, EventBody, FeeCharged, PaymentReceived
from domain.loan import Allocation, Instalment, InstalmentStatus
from domain.program import (
    AdvanceOrder,
    AllocationScope,
    ChargeOffInterest,
    Component,
    DayCount,
    ExtraMoney,
    Frequency,
    InterestMethod,
    PeriodInterest,
    Program,
    Smoothing,
)
from domain.replay import Replay, replay
from domain.terms import LoanTerms

REPAYMENT: Final = "Repayment"
"""How the format calls a payment among its transactions."""

COMPONENTS: Final = {
    "PENALTY": Component.PENALTIES,
    "FEE": Component.FEES,
    "INTEREST": Component.INTEREST,
    "PRINCIPAL": Component.PRINCIPAL,
}
_ADVANCE: Final = {"NEXT_INSTALLMENT": AdvanceOrder.NEXT, "LAST_INSTALLMENT": AdvanceOrder.LAST}
_FREQUENCIES: Final = {
    ("WEEKS", 1): Frequency.WEEKLY,
    ("WEEKS", 2): Frequency.BIWEEKLY,
    ("DAYS", 7): Frequency.WEEKLY,
    ("DAYS", 14): Frequency.BIWEEKLY,
    ("MONTHS", 1): Frequency.MONTHLY,
    ("MONTHS", 3): Frequency.QUARTERLY,
    ("MONTHS", 12): Frequency.ANNUALLY,
    ("YEARS", 1): Frequency.ANNUALLY,
}
_DAYS: Final = {"DAYS": 1, "WEEKS": 7}
_MONTHS: Final = {"MONTHS": 1, "YEARS": 12}
_DAY_COUNTS: Final = {
    ("360", "30"): DayCount.THIRTY_E_360,
    ("360", "ACTUAL"): DayCount.ACT_360,
    ("365", "ACTUAL"): DayCount.ACT_365F,
    ("ACTUAL", "ACTUAL"): DayCount.ACT_ACT_DEC31,
}
_RULES: Final = ("REPAYMENT", "DEFAULT")
"""Whose rule repayments in advance follow: their own, else that of any transaction."""
_BEFORE: Final = frozenset(
    {"business_date", "set_future_installment_rule", "disburse", "close_of_business", "add_charge", "add_installment_fee"}
)
"""What can happen to a loan that is not disbursed."""


@dataclass(slots=True)
class Payment:
    """A repayment that was made; `undone`: where it had gone when it was reversed."""

    event: Event
    body: PaymentReceived
    undone: Allocation | None = None


@dataclass(slots=True)
class Timeline:
    """A loan as its timeline goes on. `processed`: the day to which it has been processed; `rules`: the order of advance a
    loan of the product gets when it is made, by type of transaction; `advance` the loan's own.

    Raises InvalidInput for options that the engine does not have.
    """

    product: Mapping[str, Any]
    terms: Mapping[str, Any]
    business_date: date = date.min
    processed: date | None = None
    disbursed: Event | None = None
    payments: list[Payment] = field(default_factory=list)
    others: list[Event] = field(default_factory=list)
    instalment_fee: int = 0
    rules: dict[str, str] = field(default_factory=dict)
    advance: AdvanceOrder | None = None
    sequence: int = 1

    def __post_init__(self) -> None:
        check_options(self.product, self.terms)

    def enter(self, entry: Mapping[str, Any]) -> None:
        """Something happens. Raises InvalidInput for a kind of entry that is not known, or that cannot be now."""
        kind = entry["kind"]
        if self.disbursed is None and kind not in _BEFORE:
            raise InvalidInput(f"a timeline entry of the kind {kind!r} stands before the loan is disbursed")
        match kind:
            case "business_date":
                self.business_date = date.fromisoformat(entry["date"])
                return
            case "set_future_installment_rule":
                self.rules[entry["transaction_type"]] = entry["rule"]
                return
            case "disburse":
                if self.disbursed is not None:
                    raise InvalidInput("the loan is disbursed twice")
                self.disbursed = Event(self.sequence, date.fromisoformat(entry["date"]), Disbursed(amount(entry["amount"])))
                self.advance = self._advance_order()
            case "payment":
                self._receive(date.fromisoformat(entry["date"]), amount(entry["amount"]))
            case "payoff":
                day = date.fromisoformat(entry["date"])
                payoff = self.replayed(day).state.payoff
                if payoff is not None:
                    self._receive(day, payoff.total)
            case "reverse_payment" | "reverse_transaction" | "reverse_last_payment":
                self._reverse(entry)
            case "charge_off":
                self._add(entry["date"], ChargedOff("case"))
            case "chargeback":
                paid = self._payment(entry["of_payment_nr"], self.payments)
                self._add(entry["date"], Chargeback(f"back-{self.sequence}", paid.body.payment_id, amount(entry["amount"])))
            case "add_charge":
                penalty = any(word in entry["charge"] for word in ("NSF", "PENALTY"))
                charged = ChargedFee.NSF if penalty else ChargedFee.OTHER
                self._add(entry["due_date"], FeeCharged(f"fee-{self.sequence}", charged, amount(entry["amount"])))
            case "add_installment_fee":
                self.instalment_fee += amount(entry["amount"])
            case "close_of_business":
                pass
            case _:
                raise InvalidInput(f"a timeline entry of the kind {kind!r} is not known")
        self.processed = self.business_date

    def replayed(self, as_of: date) -> Replay:
        """The loan at the close of `as_of`; before its disbursement as if it were disbursed as its terms say."""
        disbursed = self.disbursed or Event(1, self._start(), Disbursed(amount(self.terms["principal"])))
        events = [disbursed, *(paid.event for paid in self.payments if paid.undone is None), *self.others]
        return replay(self.loan_terms(), events, max(as_of, disbursed.effective_date))

    def loan_terms(self) -> LoanTerms:
        """The terms of the loan. Raises InvalidInput for an interval that is no frequency of the engine."""
        start, interval = self._start(), self._interval()
        if interval not in _FREQUENCIES:
            raise InvalidInput(f"a loan that repays every {interval[1]} {interval[0]} cannot be replayed")
        due_days = (start.day,) if interval[0] in _MONTHS else ()
        return LoanTerms(
            self._program(_FREQUENCIES[interval]),
            self.principal,
            self._annual_rate(),
            periods(self.terms, "n_installments"),
            start,
            self._due_date(1),
            due_days=due_days,
        )

    @property
    def principal(self) -> int:
        body = None if self.disbursed is None else self.disbursed.body
        return body.amount if isinstance(body, Disbursed) else amount(self.terms["principal"])

    def only_scheduled(self) -> list[Instalment] | None:
        """The schedule of a loan whose interval is no frequency of the engine, as long as nothing but its disbursement has
        happened; None for any other loan."""
        if self._interval() in _FREQUENCIES or self.payments or self.others:
            return None
        if self.product["interest_recalculation"] and self.processed is not None and self.processed > self._due_date(1):
            return None
        program, start = self._program(Frequency.MONTHLY), self._start()
        months = program.period_interest is PeriodInterest.PERIODIC
        dates = [self._due_date(k) for k in range(1, periods(self.terms, "n_installments") + 1)]
        schedule = build_schedule(
            self.principal,
            # months of 30 days bear as many months of interest whatever their days: each period like a month at that rate
            self._annual_rate() * (self._months() if months else 1),
            start,
            dates,
            frequency=Frequency.MONTHLY,
            period_interest=program.period_interest,
            day_count=program.day_count,
            first_periods=Fraction(1),
            one_cent_iteration=True,
        )
        starts = [start, *dates]
        return [
            Instalment(n, due, starts[n - 1], payment, principal, interest, 0, 0, InstalmentStatus.SCHEDULED, None)
            for n, due, payment, interest, principal, _ in schedule.rows
        ]

    def _program(self, frequency: Frequency) -> Program:
        product, unit = self.product, self._interval()[0]
        thirty = str(product["days_in_month"]) == "30" and unit in _MONTHS
        count = (str(product["days_in_year"]), "30" if thirty else "ACTUAL")
        if count not in _DAY_COUNTS:
            known = ", ".join("/".join(pair) for pair in _DAY_COUNTS)
            raise InvalidInput(f"days in year and month {'/'.join(count)} are not supported: {known}")
        day_count = _DAY_COUNTS[count]
        if product.get("days_in_year_custom") == "FEB_29_PERIOD_ONLY":
            day_count = DayCount.ACT_ACT_FEB29
        recalculated = product["interest_recalculation"]
        stops = product.get("charge_off_behaviour") == "ZERO_INTEREST"
        credited = [COMPONENTS[name] for name in product.get("chargeback_credit_order", ["PRINCIPAL"])]
        return Program(
            interest_method=InterestMethod.RECALCULATED if recalculated else InterestMethod.SCHEDULED,
            day_count=day_count,
            period_interest=PeriodInterest.PERIODIC if thirty else PeriodInterest.DAY_COUNT,
            frequency=frequency,
            smoothing=Smoothing.ONE_CENT,
            allocation_order=tuple(COMPONENTS[name] for name in product["payment_order_within_instalment"]),
            allocation_scope=AllocationScope.INSTALMENT,
            advance_order=self.advance or self._advance_order(),
            extra_money=ExtraMoney.ADVANCE_DUE,
            past_due_interest=product.get("interest_on_past_due_principal", True),
            instalment_fee=self.instalment_fee,
            charge_off_interest=ChargeOffInterest.STOP if stops else ChargeOffInterest.CONTINUE,
            chargeback_order=(*credited, *(part for part in Component if part not in credited)),
        )

    def _advance_order(self) -> AdvanceOrder:
        rule = next((self.rules[kind] for kind in _RULES if kind in self.rules), self.product["in_advance_rule_default"])
        if rule not in _ADVANCE:
            raise InvalidInput(f"the rule {rule!r} for money in advance is not known: {' or '.join(_ADVANCE)}")
        return _ADVANCE[rule]

    def _annual_rate(self) -> Fraction:
        return exactly(self.terms["nominal_annual_rate_percent"]) / 100

    def _interval(self) -> tuple[str, int]:
        return self.terms["repay_unit"], self.terms["repay_every"]

    def _months(self) -> int:
        unit, every = self._interval()
        return every * _MONTHS[unit]

    def _start(self) -> date:
        return self.disbursed.effective_date if self.disbursed else date.fromisoformat(self.terms["submitted_on"])

    def _due_date(self, number: int) -> date:
        (unit, every), start = self._interval(), self._start()
        if unit in _MONTHS:
            return add_months(start, number * self._months())
        return start + timedelta(days=number * every * _DAYS[unit])

    def _receive(self, day: date, received: int) -> None:
        if received:
            body = PaymentReceived(received, f"payment-{self._next()}")
            self.payments.append(Payment(Event(self.sequence, day, body), body))

    @staticmethod
    def _payment(number: Any, among: Sequence[Payment]) -> Payment:
        if not isinstance(number, int) or not 1 <= number <= len(among):
            raise InvalidInput(f"there is no payment number {number} among {len(among)}")
        return among[number - 1]

    def _add(self, day: str, body: EventBody) -> None:
        self.others.append(Event(self._next(), date.fromisoformat(day), body))

    def _next(self) -> int:
        self.sequence += 1
        return self.sequence

    def _reverse(self, entry: Mapping[str, Any]) -> None:
        """Undo the last payment, or the which-th: of its day, or of all.

        Raises InvalidInput where there is none, it is undone already, or it is a transaction that is not a repayment.
        """
        if entry.get("type", REPAYMENT) != REPAYMENT:
            raise InvalidInput(f"only a {REPAYMENT} can be reversed, not a {entry['type']}")
        if "original_date" in entry:
            day, which = date.fromisoformat(entry["original_date"]), entry["which"]
            of_day = [paid for paid in self.payments if paid.event.effective_date == day]
            of_all = self.payments[which - 1 : which] if entry["kind"] == "reverse_payment" else []
            undone = of_all[0] if of_all and of_all[0] in of_day else self._payment(min(which, len(of_day)), of_day)
        else:
            standing = [paid for paid in self.payments if paid.undone is None]
            undone = self._payment(len(standing), standing)
        if undone.undone is not None:
            raise InvalidInput(f"the payment of {undone.event.effective_date} is reversed already")
        before = self.replayed(max(self.processed or self.business_date, undone.event.effective_date))
        undone.undone = before.allocations[undone.body.payment_id]

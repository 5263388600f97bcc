"""A loan as the services keep it, without a database: its history, the business date, and what is posted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from domain.chart import Account
from domain.correction import interest_of
from domain.errors import Refusal
from domain.events import Boarded, Event, EventBody, PaymentReceived, UnappliedApplied, Waived, WaiverTarget
from domain.going_on import GoingOn
from domain.history import Record, replay_corrected, standing, surviving
from domain.journal import Entry, EntryKind, Series, additions, corrections, to_post
from domain.replay import Replay, check_effective_date, in_order, replay
from domain.terms import LoanTerms
from tests.properties.exact import Move

_RECEIVABLE = (Account.ACCRUED_INTEREST, Account.MEMO_NON_ACCRUAL_INTEREST, Account.MEMO_CHARGED_OFF)


@dataclass(frozen=True)
class Change:
    """What a command records: a new event, or (`supersedes`) what takes the place of one; body None voids it."""

    body: EventBody | None
    effective_date: date
    supersedes: int | None = None


@dataclass
class Life:
    """`posted` is the journal in the order of posting, `net` the net debit of every account in it. `going`: a replay that
    goes on from step to step."""

    terms: LoanTerms
    today: date
    records: list[Record] = field(default_factory=list)
    posted: list[Entry] = field(default_factory=list)
    accrued: dict[Series, Counter[date]] = field(default_factory=lambda: {series: Counter() for series in Series})
    net: Counter[Account] = field(default_factory=Counter)
    result: Replay = field(init=False)
    going: GoingOn | None = None

    @classmethod
    def begin(cls, terms: LoanTerms, body: EventBody, on: date) -> Life:
        life = cls(terms, on)
        life.result = replay(terms, [], on)
        life.record(Change(body, on))
        return life

    @property
    def events(self) -> list[Event]:
        return surviving(self.records)

    @property
    def opened_on(self) -> date:
        return self.records[0].effective_date

    def standing(self) -> list[Record]:
        return list(standing(self.records).values())

    @property
    def earned(self) -> int:
        """Interest (minor units) earned since the loan began, as the months' accruals have it; with what was brought in,
        and what was charged back of that."""
        body = self.records[0].body
        brought = body.interest if isinstance(body, Boarded) else 0
        months = interest_of(self.result).values()
        charged_back = sum(taken.interest for taken in self.result.chargebacks.values())
        return brought + charged_back + sum(amount for kind in months for amount in kind.values())

    @property
    def moves(self) -> list[Move]:
        """What settled principal and interest, with money or waived, in the order in which it did."""
        events = [event for event in in_order(self.events) if event.effective_date <= self.today]
        named = {event.body.application_id for event in events if isinstance(event.body, UnappliedApplied)}
        # unapplied funds that are applied by themselves are at the opening of a day
        taken = [applied for key, applied in self.result.applications.items() if key not in named]
        moves = [Move(each.effective_date, each.principal, each.interest) for each in taken]
        for on, body in ((event.effective_date, event.body) for event in events):
            if isinstance(body, PaymentReceived):
                paid = self.result.allocations[body.payment_id]
                moves.append(Move(on, paid.principal, paid.interest))
            elif isinstance(body, UnappliedApplied):
                paid = self.result.applications[body.application_id]
                moves.append(Move(on, paid.principal, paid.interest))
            elif isinstance(body, Waived) and body.target is WaiverTarget.INTEREST:
                moves.append(Move(on, 0, self.result.waivers[body.waiver_id]))
        return sorted(moves, key=lambda move: move.day)

    def events_after(self, *changes: Change) -> list[Event]:
        """The events that would survive the changes."""
        return surviving(self._with(changes))

    def seen(self, *changes: Change) -> Replay:
        """What the changes would make of the loan. Raises what they are refused with; writes nothing."""
        for change in changes:
            if self.records:
                check_effective_date(change.effective_date, self.opened_on, self.today)
        return replay_corrected(self.terms, self._with(changes), self.today, len(self.records) + 1)

    def record(self, *changes: Change) -> None:
        """Record and post the changes, all of them or (raising a Refusal) none."""
        after = self.seen(*changes)
        self.records = self._with(changes)
        self._store(after)

    def attempt(self, *changes: Change) -> bool:
        """Record the changes; whether they were taken. A refusal says why, and changes nothing."""
        before, records, posted = self.result, list(self.records), len(self.posted)
        try:
            self.record(*changes)
        except Refusal as refusal:
            why = (refusal.detail, refusal.code)
        else:
            return True
        assert all(why)
        assert (self.records, len(self.posted)) == (records, posted)
        assert replay(self.terms, self.events, self.today) == before
        return False

    def pass_days(self, days: int) -> None:
        """Close the business date, and every one up to `days` later."""
        self.today += timedelta(days=days)
        self._store(replay(self.terms, self.events, self.today))

    def _with(self, changes: tuple[Change, ...]) -> list[Record]:
        records = list(self.records)
        for change in changes:
            number = len(records) + 1
            position = number if change.supersedes is None else records[change.supersedes - 1].position
            at = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
            records.append(Record(number, position, change.effective_date, change.body, change.supersedes, at, self.today))
        return records

    def _store(self, result: Replay) -> None:
        """Post as services/ledger.py does: what the replay implies less what is posted, which the replay before may say."""
        more = additions(result.entries, self.result.entries)
        assert more is None or more == corrections(result.entries, self.result.entries)
        self.result = result
        new = to_post(result.entries, interest_of(result), self.posted, self.accrued, self.today)
        self.posted += new
        for entry in new:
            for moved in entry.transfers:
                self.net[moved.debit] += moved.amount
                self.net[moved.credit] -= moved.amount
            if entry.kind is EntryKind.ACCRUAL:
                series, _, month = entry.key.partition(":")
                more = entry.transfers[0].debit in _RECEIVABLE
                amount = entry.transfers[0].amount * (1 if more else -1)
                self.accrued[Series(series)][date.fromisoformat(f"{month}-01")] += amount

"""The instalments a plan gives from a balance on, also where payments differ, interest was left over or some is paid.

Interest comes first. What a payment does not cover of it is carried to the next instalments and paid before anything
else there; it never becomes principal and bears nothing. For a level plan with nothing carried the rows are those of
domain.amortization.amortize.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from domain.amortization import level_payment_for_factors
from domain.plan import Plan, Until
from domain.rounding import Rounding, round_minor, round_ratio


class Held(NamedTuple):
    """What is paid of an instalment, minor units.

    `stands`: it stays as it is, with this principal and interest; else these are the least it may have. `bears`: what its
    period bears is this, whatever the rates (None: as they say).
    """

    interest: int
    principal: int
    stands: bool = True
    bears: int | None = None


class Projected(NamedTuple):
    """An instalment to be. Amounts in minor units.

    `opening` is the principal its period begins with and `bears` the interest on it, rounded; `interest` what is due of
    interest with it. `carried`: interest borne up to its due date that is due later (negative: paid ahead of its days).
    """

    number: int
    interest: int
    principal: int
    opening: int
    bears: int
    carried: int


NONE_HELD: Final[Mapping[int, Held]] = MappingProxyType({})
_NEVER: Final = Until(0, 0)


def project(
    plan: Plan,
    first: int,
    balance: int,
    rounding: Rounding,
    *,
    opening: int | None = None,
    carried: int = 0,
    held: Mapping[int, Held] = NONE_HELD,
) -> list[Projected]:
    """The instalments from the index `first` of the plan on that pay `balance` minor units of principal.

    `opening`: the principal on which the first one's period bears interest (default: the balance). `carried`: interest
    borne before it and not due with an earlier one. `held`: what is paid of instalments, by number; its principal is
    part of the balance. The last instalment takes whatever is left, so the principal always sums to the balance; the
    list ends early where everything is paid before.
    """
    rows: list[Projected] = []
    last = len(plan.due_dates)
    settling = next((n for n in range(last, first, -1) if n not in held or not held[n].stands), last)
    reserved = sum(kept.principal for kept in held.values() if kept.stands)
    ahead = max(held, default=0)
    for number in range(first + 1, last + 1):
        if not balance and carried <= 0 and number > ahead:
            break
        bearing = balance if opening is None or rows else opening
        factor = plan.factors[number - 1]
        bears = round_ratio(bearing * factor.numerator, factor.denominator, rounding)
        kept = held.get(number)
        if kept is not None and kept.stands:
            bears = bears if kept.bears is None else kept.bears
            interest, principal = kept.interest, kept.principal
            reserved -= principal
        else:
            due, room = max(0, bears + carried), balance - reserved
            pays = _payment(plan, number, due, bears, bearing, rounding)
            interest, principal = min(due, pays), min(max(0, pays - due), room)
            if number == settling or room + due <= pays:
                interest, principal = max(due, kept.interest if kept else 0), room
            elif kept is not None:
                principal = max(principal, kept.principal)
                interest = max(interest - max(0, interest + principal - pays), kept.interest)
        carried += bears - interest
        balance -= principal
        rows.append(Projected(number, interest, principal, bearing, bears, carried))
    return rows


def _payment(plan: Plan, number: int, due: int, bears: int, bearing: int, rounding: Rounding) -> int:
    shape = plan.shape
    if number in plan.stated:
        return plan.stated[number]
    if number <= shape.interest_only:
        return due
    if number == 1 and shape.deferred:
        regular = plan.factors[0] * (1 - shape.deferred)
        return plan.payment(number) + bears - round_minor(bearing * regular, rounding)
    return plan.payment(number)


def level_payment_over(
    plan: Plan,
    first: int,
    balance: int,
    rounding: Rounding,
    *,
    opening: int | None = None,
    carried: int = 0,
    held: Mapping[int, Held] = NONE_HELD,
) -> int:
    """The level payment in minor units that pays `balance` over the instalments from the index `first` on; arguments as
    of `project`.

    The annuity (domain.amortization) of the instalments that pay it, where these are the last ones and nothing is carried
    into them; else the least payment for which the last of them (less the balloon, where more than it is left) is not more
    than it.
    """
    for row in project(plan, first, balance, rounding, opening=opening, carried=carried, held=held):
        if pays_level(plan, row.number) and row.number not in held and row.number > (plan.at_first or _NEVER).number:
            opening = row.opening
            break
        first, balance, carried = row.number, balance - row.principal, row.carried
    else:
        return plan.level_payment
    held = {number: kept for number, kept in held.items() if number > first}
    stated = any(number > first for number in plan.stated)
    balloon = plan.shape.balloon if plan.shape.balloon < balance else 0
    if not carried and not held and not stated and opening == balance:
        return level_payment_for_factors(balance, plan.factors[first:], rounding, balloon=balloon)

    def settles(payment: int) -> bool:
        tried = plan.with_level_payment(payment, plan.at_first)
        rows = project(tried, first, balance, rounding, opening=opening, carried=carried, held=held)
        paid = [row for row in rows if row.number not in held or not held[row.number].stands]
        return not paid or paid[-1].interest + paid[-1].principal - balloon <= payment

    return least(settles, -(-balance // (len(plan.due_dates) - first)))


def pays_level(plan: Plan, number: int) -> bool:
    """Whether an instalment pays no more and no less than a level payment."""
    shape = plan.shape
    return number > shape.interest_only and not (shape.deferred and number == 1) and number not in plan.stated


def least(holds: Callable[[int], bool], guess: int) -> int:
    """The least positive whole number for which `holds`, which does for all greater ones."""
    step = 1
    low, high = guess, guess
    while not holds(high):
        low, high, step = high, high + step, 2 * step
    if high == guess:
        low = 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high

"""What the drafts of a loan are decided on besides its events, read in one round trip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, Select, String, Uuid, any_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import array

from domain.autopay import OPEN, DraftStatus
from domain.flags import LoanFlag
from domain.payments import PaymentStatus
from infra.db.models.processes import autopay_drafts, autopay_enrolments
from infra.db.models.servicing import payment_instruments, payments
from infra.db.pipeline import Asked, Query, Row
from infra.db.queries import flags
from infra.db.queries.instruments import SHOWN

_LOAN: Final = bindparam("loan", type_=Uuid)
_OWN: Final = bindparam("own", type_=Uuid)
_ENROLMENT: Final = autopay_enrolments.c
_IS_OPEN: Final = _ENROLMENT.status == any_(bindparam("open", [str(status) for status in OPEN], type_=ARRAY(String)))


@dataclass(frozen=True, slots=True)
class DraftBasis:
    """The loan's enrolments that are not ended, its drafts that are prepared and not sent, the accounts all of them draw on
    by their ids, the minor units of payments promised for the loan and not applied to it yet (status pending), and its
    flags."""

    enrolments: Sequence[Row]
    prepared: Sequence[Row]
    accounts: Mapping[UUID, Row]
    promised: int
    flags: frozenset[LoanFlag]


def _accounts(which: Select[tuple[Sequence[UUID]]]) -> Select[tuple[Row]]:
    """The accounts that some enrolments draw on, in the order of their ids."""
    return (
        select(*SHOWN)
        .where(payment_instruments.c.id == any_(func.array(which.scalar_subquery())))
        .order_by(payment_instruments.c.id)
    )


_DRAWN: Final = (
    _ENROLMENT.payment_instrument_id,
    _ENROLMENT.fallback_instrument_id,
    _ENROLMENT.second_fallback_instrument_id,
)
_DRAWS_ON: Final = select(func.unnest(array(_DRAWN)))
_HELD_ACCOUNTS: Final = Query(_accounts(_DRAWS_ON.where(_ENROLMENT.id == _OWN)).with_for_update(read=True))
_ENROLMENTS: Final = Query(select(autopay_enrolments).where(_ENROLMENT.loan_id == _LOAN, _IS_OPEN).order_by(_ENROLMENT.id))
_ACCOUNTS: Final = Query(_accounts(_DRAWS_ON.where(_ENROLMENT.loan_id == _LOAN, or_(_IS_OPEN, _ENROLMENT.id == _OWN))))
_PREPARED: Final = Query(
    select(autopay_drafts).where(autopay_drafts.c.loan_id == _LOAN, autopay_drafts.c.status == str(DraftStatus.PENDING))
)
_PROMISED: Final = Query(
    select(func.coalesce(func.sum(payments.c.amount), 0, type_=payments.c.amount.type).label("total")).where(
        payments.c.loan_id == _LOAN, payments.c.status == str(PaymentStatus.PENDING)
    )
)


def ask(loan_id: UUID, own: UUID | None = None) -> list[Asked]:
    """What `read` is given the answers of. `own`: an enrolment of the loan, ended or not, whose accounts stay as they are
    until this transaction ends."""
    return [
        _HELD_ACCOUNTS(own=own),
        _ENROLMENTS(loan=loan_id),
        _ACCOUNTS(loan=loan_id, own=own),
        _PREPARED(loan=loan_id),
        _PROMISED(loan=loan_id),
        flags.FLAGS(loan=loan_id),
    ]


def read(found: Sequence[list[Row]]) -> DraftBasis:
    """What was found by what `ask` asks."""
    _, enrolments, accounts, prepared, sums, flag_rows = found
    return DraftBasis(
        enrolments=enrolments,
        prepared=prepared,
        accounts={row["id"]: row for row in accounts},
        promised=int(sums[0]["total"]),
        flags=flags.named(flag_rows),
    )

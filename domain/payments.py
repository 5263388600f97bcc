"""The states of a payment."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class PaymentStatus(StrEnum):
    """A payment's money is allocated while it is `processing` (a draft whose file is built) and `completed` (it is here);
    before that it is `pending`. `returned`: its bank took it back; `reversed`: people did."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    VOIDED = "voided"
    FAILED = "failed"
    RETURNED = "returned"
    REVERSED = "reversed"


COUNTING: Final = (PaymentStatus.PROCESSING, PaymentStatus.COMPLETED)
"""In which a payment counts for its loan."""

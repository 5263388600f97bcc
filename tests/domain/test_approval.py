"""Who decides above a lender's limit."""

from __future__ import annotations

from uuid import UUID

import pytest

from domain.approval import check_second_person, needs_second_person
from domain.errors import Forbidden

ONE, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("amount", "limit", "needed"), [(100, None, False), (100, 100, False), (101, 100, True), (1, 0, True)]
)
def test_a_second_person_above_the_limit(amount: int, limit: int | None, needed: bool) -> None:
    assert needs_second_person(amount, limit) is needed


def test_another_person_decides() -> None:
    check_second_person(ONE, OTHER)
    check_second_person(None, OTHER)


@pytest.mark.parametrize(("asked_by", "decides"), [(ONE, ONE), (ONE, None), (None, None)])
def test_never_the_one_who_asked_nor_nobody(asked_by: UUID | None, decides: UUID | None) -> None:
    with pytest.raises(Forbidden, match="second person"):
        check_second_person(asked_by, decides)

"""Column types: integers and exact fractions in Python, NUMERIC in SQL."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlalchemy import Numeric
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator


class MinorUnits(TypeDecorator[int]):
    """An amount: `int` minor units (cents) in Python, NUMERIC(19, 2) in SQL."""

    impl = Numeric(19, 2)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value).scaleb(-2)

    def process_result_value(self, value: Any, dialect: Dialect) -> int | None:
        return None if value is None else int(Decimal(value) * 100)


class Rate(TypeDecorator[Fraction]):
    """A yearly rate of one: Fraction in Python, NUMERIC(12, 8) in SQL."""

    impl = Numeric(12, 8)
    cache_ok = True

    def process_bind_param(self, value: Fraction | None, dialect: Dialect) -> Decimal | None:
        return None if value is None else Decimal(value.numerator) / Decimal(value.denominator)

    def process_result_value(self, value: Any, dialect: Dialect) -> Fraction | None:
        return None if value is None else Fraction(Decimal(value))

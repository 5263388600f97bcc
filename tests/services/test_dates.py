"""How the business date moves: a sandbox's when asked, a live tenant's with the calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from sqlalchemy import update

from domain.errors import Conflict, InvalidInput, WrongState
from infra.db.models.tenancy import tenants
from services import dates
from tests.conftest import MakeTenant
from tests.services.lending import UowOf


@pytest.mark.parametrize("to", [date(2020, 9, 9), date(2020, 9, 8), date(2021, 10, 15)])
async def test_a_date_not_ahead_or_too_far_is_refused(uow_of: UowOf, tenant: UUID, to: date) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(InvalidInput) as refused:
            await dates.request_advance(uow, to)
    assert refused.value.errors[0].pointer == "/to_date"
    assert "2021-10-14" in refused.value.detail


async def test_the_farthest_date_is_accepted_and_a_second_advance_waits_for_the_first(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        advance_id = await dates.request_advance(uow, date(2021, 10, 14))
        with pytest.raises(Conflict, match=str(advance_id)):
            await dates.request_advance(uow, date(2020, 9, 10))
        await dates.finish_advance(uow, advance_id)
        assert await dates.request_advance(uow, date(2020, 9, 10)) != advance_id


async def test_a_live_tenants_date_is_not_moved_by_hand(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        await uow.execute(update(tenants).where(tenants.c.id == tenant).values(mode="live"))
        with pytest.raises(WrongState) as refused:
            await dates.request_advance(uow, date(2020, 9, 10))
    assert (refused.value.state, refused.value.allowed) == ("live", ("sandbox",))


@pytest.mark.parametrize(
    ("zone", "today"),
    [("Pacific/Kiritimati", date(2026, 3, 1)), ("UTC", date(2026, 2, 28)), ("Pacific/Pago_Pago", date(2026, 2, 27))],
)
async def test_the_calendar_is_that_of_the_tenants_zone(
    uow_of: UowOf, make_tenant: MakeTenant, zone: str, today: date
) -> None:
    tenant = await make_tenant(date(2026, 2, 25), zone, "live")
    async with uow_of(tenant) as uow:
        instant = datetime(2026, 2, 28, 10, 30, tzinfo=UTC)
        assert await dates.calendar(uow, instant) == (date(2026, 2, 25), today)


async def test_a_sandbox_does_not_follow_the_calendar(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        with pytest.raises(WrongState) as refused:
            await dates.calendar(uow, datetime(2026, 2, 28, tzinfo=UTC))
    assert (refused.value.state, refused.value.allowed) == ("sandbox", ("live",))


async def test_opening_a_date_twice_or_late_opens_it_once(uow_of: UowOf, tenant: UUID) -> None:
    async with uow_of(tenant) as uow:
        for on in (date(2020, 9, 10), date(2020, 9, 10), date(2020, 9, 9)):
            await dates.open_date(uow, on)
        await uow.commit()
    async with uow_of(tenant) as uow:
        assert await uow.business_date() == date(2020, 9, 10)

"""Passwords: mailed tokens for invitation, activation and reset, and one's own change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from infra.db.models.servicing import borrowers
from infra.db.uow import UnitOfWork
from infra.ids import new_id
from tests.api.conftest import AdjustableClock, ApiClient, LoginAs
from tests.api.mailbox import Mailbox
from tests.api.passwords import PASSWORD

AUTH = "/api/v1/auth"
ME = f"{AUTH}/me"
NEW = "another good password"
UowOf = Callable[[UUID], UnitOfWork]


async def log_in(client: ApiClient, email: str, password: str) -> int:
    return (await client.post(f"{AUTH}/login", json={"email": email, "password": password})).status_code


async def ask_for_reset(client: ApiClient, email: str) -> httpx.Response:
    return await client.post(f"{AUTH}/password-reset/request", json={"email": email})


async def reset(client: ApiClient, token: str, password: str = NEW) -> httpx.Response:
    return await client.post(f"{AUTH}/password-reset/confirm", json={"token": token, "password": password})


@pytest.fixture
async def member(client: ApiClient, viewer: ApiClient, clock: AdjustableClock) -> ApiClient:
    """A viewer who has asked for a new password."""
    assert (await ask_for_reset(client, viewer.email)).status_code == 202
    return viewer


class TestReset:
    async def test_the_answer_does_not_tell_whether_there_is_an_account(
        self, client: ApiClient, viewer: ApiClient, mailbox: Mailbox
    ) -> None:
        known, unknown = await ask_for_reset(client, viewer.email), await ask_for_reset(client, "nobody@example.com")
        assert known.status_code == unknown.status_code == 202
        assert known.text == unknown.text
        assert len(mailbox.to(viewer.email)) == 1
        assert not mailbox.to("nobody@example.com")

    async def test_the_new_password_works_and_everything_older_ends(
        self, client: ApiClient, member: ApiClient, mailbox: Mailbox
    ) -> None:
        response = await reset(client, mailbox.token(member.email))
        assert response.status_code == 200
        token = response.json()["access_token"]
        assert (await client.get(ME, headers={"Authorization": f"Bearer {token}"})).status_code == 200
        assert (await member.get(ME)).status_code == 401
        assert await log_in(client, member.email, PASSWORD) == 401
        assert await log_in(client, member.email, NEW) == 200

    async def test_it_unlocks(self, client: ApiClient, member: ApiClient, mailbox: Mailbox) -> None:
        token = mailbox.token(member.email)
        for _ in range(5):
            await log_in(client, member.email, "wrong")
        assert (await reset(client, token)).status_code == 200
        assert await log_in(client, member.email, NEW) == 200

    async def test_a_token_works_once_even_at_the_same_time(
        self, client: ApiClient, member: ApiClient, mailbox: Mailbox
    ) -> None:
        token = mailbox.token(member.email)
        both = await asyncio.gather(*(reset(client, token, f"{NEW} {n}") for n in range(2)))
        assert sorted(response.status_code for response in both) == [200, 422]
        again = await reset(client, token)
        assert (again.status_code, again.json()["errors"][0]["pointer"]) == (422, "/token")

    async def test_a_token_ends_after_an_hour(
        self, client: ApiClient, member: ApiClient, mailbox: Mailbox, clock: AdjustableClock
    ) -> None:
        clock.let_pass(timedelta(hours=1, seconds=1))
        assert (await reset(client, mailbox.token(member.email))).status_code == 422

    async def test_a_second_mail_within_a_minute_is_not_sent_and_a_later_one_replaces_the_first(
        self, client: ApiClient, member: ApiClient, mailbox: Mailbox, clock: AdjustableClock
    ) -> None:
        first = mailbox.token(member.email)
        await ask_for_reset(client, member.email)
        assert len(mailbox.to(member.email)) == 1
        clock.let_pass(timedelta(minutes=1, seconds=1))
        await ask_for_reset(client, member.email)
        assert len(mailbox.to(member.email)) == 2
        assert (await reset(client, first)).status_code == 422
        assert (await reset(client, mailbox.token(member.email))).status_code == 200

    @pytest.mark.parametrize("weak", ["short", "elevenchars", "x" * 201, "aaaaaaaaaaaaaaaa"])
    async def test_a_weak_password_is_refused_and_the_token_stays_good(
        self, client: ApiClient, member: ApiClient, mailbox: Mailbox, weak: str
    ) -> None:
        token = mailbox.token(member.email)
        response = await reset(client, token, weak)
        assert (response.status_code, response.json()["code"]) == (422, "unacceptable_password")
        assert weak not in response.text
        assert (await reset(client, token, member.email)).status_code == 422  # one's address is no password
        assert (await reset(client, token)).status_code == 200

    async def test_a_token_is_for_one_purpose(self, client: ApiClient, member: ApiClient, mailbox: Mailbox) -> None:
        body = {"token": mailbox.token(member.email), "password": NEW}
        for path in ("invitations/accept", "activate"):
            assert (await client.post(f"{AUTH}/{path}", json=body)).status_code == 422

    @pytest.mark.parametrize("token", ["x", "\u00e9", "A" * 64, "A" * 1000, "====", "../../etc/passwd"])
    async def test_nonsense_is_refused(self, client: ApiClient, token: str) -> None:
        assert (await reset(client, token)).status_code == 422


class TestInvitation:
    async def invite(self, admin: ApiClient, role: str = "loan_officer") -> tuple[str, str]:
        email = f"invited-{new_id().hex}@example.com"
        body = {"email": email, "full_name": "Ida Invited", "role": role}
        response = await admin.post("/api/v1/users", json=body)
        assert response.status_code == 201
        assert response.json()["status"] == "invited"
        return response.json()["id"], email

    async def test_is_accepted_with_a_password(self, client: ApiClient, admin: ApiClient, mailbox: Mailbox) -> None:
        user_id, email = await self.invite(admin)
        assert await log_in(client, email, NEW) == 401
        body = {"token": mailbox.token(email), "password": NEW}
        assert (await client.post(f"{AUTH}/invitations/accept", json=body)).status_code == 200
        assert await log_in(client, email, NEW) == 200
        assert (await admin.get(f"/api/v1/users/{user_id}")).json()["status"] == "active"
        assert (await client.post(f"{AUTH}/invitations/accept", json=body)).status_code == 422

    async def test_ends_after_a_week_and_can_be_sent_again(
        self, client: ApiClient, login_as: LoginAs, tenant: UUID, mailbox: Mailbox, clock: AdjustableClock
    ) -> None:
        user_id, email = await self.invite(await login_as(tenant, "admin"))
        first = mailbox.token(email)
        clock.let_pass(timedelta(days=7, seconds=1))
        body = {"token": first, "password": NEW}
        assert (await client.post(f"{AUTH}/invitations/accept", json=body)).status_code == 422
        admin = await login_as(tenant, "admin")
        assert (await admin.post(f"/api/v1/users/{user_id}/invitation")).status_code == 200
        body["token"] = mailbox.token(email)
        assert (await client.post(f"{AUTH}/invitations/accept", json=body)).status_code == 200
        again = await admin.post(f"/api/v1/users/{user_id}/invitation")
        assert (again.status_code, again.json()["state"]) == (409, "active")

    async def test_of_a_disabled_user_is_void(self, client: ApiClient, admin: ApiClient, mailbox: Mailbox) -> None:
        user_id, email = await self.invite(admin)
        assert (await admin.delete(f"/api/v1/users/{user_id}")).status_code == 204
        body = {"token": mailbox.token(email), "password": NEW}
        assert (await client.post(f"{AUTH}/invitations/accept", json=body)).status_code == 422


class TestActivation:
    async def make_borrower(self, uow_of: UowOf, tenant: UUID, email: str | None) -> UUID:
        async with uow_of(tenant) as uow:
            borrower_id = await uow.add(borrowers, first_name="John", last_name="Doe", email=email, phone="+12125551234")
            await uow.commit()
        return borrower_id

    async def test_a_borrower_gets_into_the_portal_and_nowhere_else(
        self, client: ApiClient, loan_officer: ApiClient, tenant: UUID, uow_of: UowOf, mailbox: Mailbox
    ) -> None:
        email = f"John.Doe-{tenant}@Example.com"
        borrower_id = await self.make_borrower(uow_of, tenant, email)
        sent = await loan_officer.post(f"/api/v1/borrowers/{borrower_id}/activation")
        assert (sent.status_code, sent.json()["status"]) == (202, "invited")
        body = {"token": mailbox.token(email.lower()), "password": NEW}
        tokens = (await client.post(f"{AUTH}/activate", json=body)).json()
        client.headers["Authorization"] = f"Bearer {tokens['access_token']}"
        assert (await client.get("/api/v1/portal/profile")).json() == {
            "id": str(borrower_id),
            "email": email,
            "first_name": "John",
            "last_name": "Doe",
            "phone": "+12125551234",
        }
        assert (await client.get("/api/v1/tenant")).status_code == 403
        again = await loan_officer.post(f"/api/v1/borrowers/{borrower_id}/activation")
        assert (again.status_code, again.json()["state"]) == (409, "active")

    async def test_again_goes_to_the_present_address_and_voids_the_first(
        self, client: ApiClient, loan_officer: ApiClient, tenant: UUID, uow_of: UowOf, mailbox: Mailbox
    ) -> None:
        old, new = f"old-{tenant}@example.com", f"new-{tenant}@example.com"
        borrower_id = await self.make_borrower(uow_of, tenant, old)
        path = f"/api/v1/borrowers/{borrower_id}/activation"
        assert (await loan_officer.post(path)).status_code == 202
        async with uow_of(tenant) as uow:
            await uow.execute(update(borrowers).where(borrowers.c.id == borrower_id).values(email=new))
            await uow.commit()
        assert (await loan_officer.post(path)).status_code == 202
        body = {"token": mailbox.token(old), "password": NEW}
        assert (await client.post(f"{AUTH}/activate", json=body)).status_code == 422
        body["token"] = mailbox.token(new)
        assert (await client.post(f"{AUTH}/activate", json=body)).status_code == 200
        assert await log_in(client, old, NEW) == 401
        assert await log_in(client, new, NEW) == 200

    async def test_needs_an_address(self, loan_officer: ApiClient, tenant: UUID, uow_of: UowOf) -> None:
        borrower_id = await self.make_borrower(uow_of, tenant, None)
        response = await loan_officer.post(f"/api/v1/borrowers/{borrower_id}/activation")
        assert (response.status_code, response.json()["code"]) == (409, "borrower_without_email")

    async def test_an_address_of_another_user_is_refused(self, loan_officer: ApiClient, tenant: UUID, uow_of: UowOf) -> None:
        borrower_id = await self.make_borrower(uow_of, tenant, loan_officer.email)
        response = await loan_officer.post(f"/api/v1/borrowers/{borrower_id}/activation")
        assert (response.status_code, response.json()["code"]) == (409, "email_taken")


class TestOwnChange:
    async def test_needs_the_current_password_and_ends_the_other_sessions(
        self, client: ApiClient, viewer: ApiClient
    ) -> None:
        other = await client.post(f"{AUTH}/login", json={"email": viewer.email, "password": PASSWORD})
        wrong = await viewer.post(f"{AUTH}/password", json={"current_password": "wrong", "password": NEW})
        assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/current_password")
        done = await viewer.post(f"{AUTH}/password", json={"current_password": PASSWORD, "password": NEW})
        assert done.status_code == 204
        assert (await viewer.get(ME)).status_code == 200
        headers = {"Authorization": f"Bearer {other.json()['access_token']}"}
        assert (await client.get(ME, headers=headers)).status_code == 401
        assert await log_in(client, viewer.email, NEW) == 200

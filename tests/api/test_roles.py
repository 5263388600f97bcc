"""Every route demands a role, and the application grants exactly what the route says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from api.deps import PUBLIC
from domain.roles import STAFF_ROLES, Role, may_manage
from infra.ids import new_id
from tests.api.conftest import ApiClient, LoginAs
from tests.api.routes import OTHER_PATHS, ROUTES, Route, as_sent
from tests.conftest import MakeTenant

LOGOUT = "/api/v1/auth/logout"


@pytest.mark.parametrize("route", ROUTES, ids=str)
def test_a_route_demands_exactly_one_set_of_roles_or_is_public(route: Route) -> None:
    assert len(route.accesses) == (0 if route.public else 1)


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.public], ids=str)
def test_the_portal_is_for_borrowers_and_the_rest_for_staff(route: Route) -> None:
    roles = set(route.accesses[0])
    if route.path.startswith("/api/v1/portal/"):
        assert roles == {Role.BORROWER}
    elif route.path.startswith("/api/v1/auth/"):
        assert roles == set(Role)
    else:
        assert roles in [set(STAFF_ROLES[n:]) for n in range(len(STAFF_ROLES))]
    if route.method != "GET" and not route.path.startswith("/api/v1/auth/"):
        assert Role.VIEWER not in roles


def test_the_public_routes_exist_and_nothing_else_is_served() -> None:
    assert {(route.method, route.path) for route in ROUTES} >= PUBLIC
    assert {"/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc"} == OTHER_PATHS


@pytest.fixture(scope="session")
async def everybody(make_tenant: MakeTenant, login_as: LoginAs) -> dict[Role, ApiClient]:
    """One user a role, in one tenant."""
    tenant = await make_tenant()
    return {role: await login_as(tenant, role) for role in Role}


@pytest.mark.parametrize("route", [route for route in ROUTES if not route.public], ids=str)
async def test_who_may_call(
    route: Route, everybody: dict[Role, ApiClient], make_client: Callable[[], ApiClient], login_as: LoginAs
) -> None:
    """Anonymous 401, a role too low (or a borrower among staff) 403, everybody else gets past the door."""
    path = route.path.format(**{name: new_id() for name in route.parameters})
    body = as_sent(route, {} if "requestBody" in route.operation else None)
    anonymous = await make_client().request(route.method, path, **body)
    assert anonymous.status_code == 401
    assert anonymous.headers["WWW-Authenticate"] == "Bearer"
    for role, client in everybody.items():
        if path == LOGOUT:
            client = await login_as(client.tenant_id, role)
        response = await client.request(route.method, path, **body)
        if role in route.accesses[0]:
            assert response.status_code not in {401, 403}, role
        else:
            assert (response.status_code, response.json()["code"]) == (403, "forbidden"), role


@pytest.mark.parametrize("actor", Role)
@pytest.mark.parametrize("target", Role)
def test_who_may_manage_whom(actor: Role, target: Role) -> None:
    expected = actor == "owner" or (actor == "admin" and target != "owner")
    assert may_manage(actor, target) is expected

"""The HTTP API as the demonstration uses it: logged in, and every POST at most once."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx

from cli.errors import CliError


class DemoApi:
    """A logged-in client. `post` with a `step` carries it as Idempotency-Key: the step happens once, however often told."""

    def __init__(self, url: str, tenant: str, email: str, password: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/api/v1", timeout=30)
        tokens = self._send("POST", "/auth/login", json={"tenant": tenant, "email": email, "password": password})
        self._http.headers["Authorization"] = f"Bearer {tokens['access_token']}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._http.close()

    def get(self, path: str, **query: str) -> Any:
        """The answer to a GET. Raises CliError when it is refused."""
        return self._send("GET", path, params=query)

    def post(self, path: str, body: dict[str, Any], *, step: str | None = None) -> Any:
        """The answer to a POST. Raises CliError when it is refused."""
        headers = {"Idempotency-Key": f"demo:{step.replace(' ', '-')}"} if step else {}
        return self._send("POST", path, json=body, headers=headers)

    def _send(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise CliError(f"{method} {path} got no answer from the API ({type(error).__name__}).") from None
        if response.is_error:
            problem = response.json()
            raise CliError(f"{method} {path} was refused: {response.status_code} {problem.get('detail')}")
        return response.json()

"""The commands of an operator, beside a platform that runs with its API and worker."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import httpx
import pytest

from standalone import runtime
from tests.e2e.home import Home, stop, temporary_home, the_sentence, wait_until

PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def platform() -> Iterator[Home]:
    with temporary_home() as home:
        process = home.up("--api", "--worker")
        created = home.run("tenant", "create", "acme", "--name", "Acme Lending", "--date", "2026-01-30")
        assert created.returncode == 0, created.stderr
        yield home
        assert stop(process) == 0
        home.assert_no_process_left(within=0.5)


def api_url(home: Home) -> str:
    running = runtime.read(home.path)
    assert running is not None
    return running.environment["PERDIEM_API_URL"]


def create_user(home: Home, email: str, *options: str, password: str = PASSWORD) -> str:
    """Returns the refusal, empty when there was none."""
    arguments = ["user", "create", "--tenant", "acme", "--email", email, "--name", "Ann", "--password-stdin", *options]
    done = home.run(*arguments, typed=f"{password}\n")
    return the_sentence(done.stderr) if done.returncode else ""


class TestAnOperator:
    def test_a_created_user_logs_in(self, platform: Home) -> None:
        assert create_user(platform, "ann@acme.example", "--role", "owner") == ""

        body = {"tenant": "acme", "email": "ann@acme.example", "password": PASSWORD}
        tokens = httpx.post(f"{api_url(platform)}/api/v1/auth/login", json=body).json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert httpx.get(f"{api_url(platform)}/api/v1/tenant", headers=headers).json()["slug"] == "acme"

    def test_what_is_refused(self, platform: Home) -> None:
        assert "exists already" in the_sentence(platform.run("tenant", "create", "acme", "--name", "Again").stderr)
        assert "lower-case" in the_sentence(platform.run("tenant", "create", "ACME", "--name", "Loud").stderr)
        assert "12 to 200" in create_user(platform, "bob@acme.example", "--role", "viewer", password="short")
        assert "A member of staff is one of" in create_user(platform, "eve@acme.example", "--role", "borrower")
        assert "No such tenant as nobody" in the_sentence(platform.run("date", "show", "--tenant", "nobody").stderr)

    def test_moving_the_business_date(self, platform: Home) -> None:
        before = platform.run("date", "show", "--tenant", "acme")
        assert before.stdout == "2026-01-30 (sandbox, America/New_York)\n"

        moved = platform.run("date", "advance", "--tenant", "acme", "--to", "2026-02-02")
        assert moved.stdout == "2026-02-02 (sandbox, America/New_York)\n", moved.stderr

        back = platform.run("date", "advance", "--tenant", "acme", "--to", "2026-02-01")
        assert "must be after the business date 2026-02-02" in the_sentence(back.stderr)

    def test_migrate_run_again_changes_nothing(self, platform: Home) -> None:
        again = platform.run("migrate")
        assert (again.returncode, "up to date" in again.stdout) == (0, True), again.stderr

    def test_doctor_finds_everything_well(self, platform: Home) -> None:
        done = platform.run("doctor")
        assert done.returncode == 0, done.stdout
        for component in ("PostgreSQL", "Temporal", "S3", "API", "Worker"):
            assert re.search(rf"^ok +{component} +running", done.stdout, re.MULTILINE), done.stdout


class TestWithoutAPlatform:
    def test_a_command_that_needs_one_says_so(self, home: Home) -> None:
        for arguments in (["date", "show", "--tenant", "acme"], ["tenant", "create", "acme", "--name", "x"], ["migrate"]):
            done = home.run(*arguments)
            assert done.returncode == 1
            assert "run `perdiem up`" in the_sentence(done.stderr)

    def test_doctor_says_what_does_not_run_and_that_it_can(self, home: Home) -> None:
        done = home.run("doctor")
        assert done.returncode == 0, done.stdout
        assert "`perdiem up` starts it" in done.stdout

    def test_doctor_fails_where_a_setting_names_what_does_not_answer(self, home: Home) -> None:
        process = home.perdiem("doctor", temporal_address="127.0.0.1:1")
        assert process.wait(30) == 1
        assert "no answer at 127.0.0.1:1" in home.said()


@pytest.mark.parametrize("component", ["api", "worker"])
def test_a_dead_process_of_ours_ends_the_platform(home: Home, component: str) -> None:
    process = home.up("--api", "--worker")
    running = runtime.read(home.path)
    assert running is not None

    os.kill(running.children[component], signal.SIGKILL)

    wait_until(lambda: process.poll() is not None, 30)
    assert process.poll() == 1
    assert "was killed by SIGKILL" in the_sentence(home.said())
    home.assert_no_process_left(within=2)

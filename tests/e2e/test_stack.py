"""The local platform as a command: every test starts the real thing, on a home of its own."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator

import psycopg
import pytest

from infra.settings import load_settings
from infra.storage import ObjectStore
from standalone import runtime
from standalone.ports import HOST
from standalone.stack import Stack
from tests.e2e.home import (
    SERVERS_ONLY,
    START_SECONDS,
    Home,
    stop,
    temporal,
    temporary_directory,
    the_sentence,
    url,
    wait_until,
)


class TestStartAndStop:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_it_stops_cleanly_when_asked(self, home: Home, number: int) -> None:
        process = home.up()
        assert len(home.processes()) > 3

        assert stop(process, number) == 0

        home.assert_no_process_left(within=0.5)
        assert runtime.read(home.path) is None

    def test_ctrl_c_while_it_starts_leaves_nothing(self, home: Home) -> None:
        process = home.perdiem("up", *SERVERS_ONLY)
        wait_until(lambda: (home.path / "postgres").exists(), START_SECONDS)

        assert stop(process) == 0

        home.assert_no_process_left(within=0.5)

    def test_a_second_start_finds_the_data_of_the_first(self, home: Home) -> None:
        process = home.up()
        with psycopg.connect(url(home)) as owner:
            owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        temporal(home, "workflow", "start", "--type", "Kept", "--task-queue", "none", "--workflow-id", "kept")
        asyncio.run(self.store(home).put("kept", b"kept", "text/plain"))
        ports = (home.path / "ports.json").read_text()
        assert stop(process) == 0

        started = time.monotonic()
        process = home.up()

        assert time.monotonic() - started < 15
        assert (home.path / "ports.json").read_text() == ports
        with psycopg.connect(url(home)) as owner:
            assert owner.execute("SELECT answer FROM kept").fetchone() == (42,)
        assert "Kept" in temporal(home, "workflow", "describe", "--workflow-id", "kept")
        assert asyncio.run(self.store(home).get("kept")) == b"kept"
        assert stop(process) == 0

    def test_what_a_setting_names_is_not_started(self, home: Home, second_home: Home) -> None:
        first = home.up()
        running = runtime.read(home.path)
        assert running is not None
        names = ["database_url", "database_owner_url", "database_dispatch_url", "temporal_address"]
        names += ["s3_endpoint", "s3_access_key", "s3_secret_key"]

        process = second_home.up(**{name: running.environment[f"PERDIEM_{name.upper()}"] for name in names})

        assert list(second_home.processes()) == [process.pid]
        assert stop(process) == 0
        assert stop(first) == 0

    @staticmethod
    def store(home: Home) -> ObjectStore:
        running = runtime.read(home.path)
        assert running is not None
        return ObjectStore(load_settings(defaults=running.environment))


class TestWhatGoesWrong:
    def test_a_port_in_use(self, home: Home) -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]
            sentence = home.refused("up", api_port=str(port))
        assert re.search(rf"Port {port} on {HOST} is in use: .* PERDIEM_API_PORT", sentence)
        home.assert_no_process_left()

    def test_a_remembered_port_in_use_is_replaced(self, home: Home) -> None:
        assert stop(home.up()) == 0
        port = json.loads((home.path / "ports.json").read_text())["s3"]
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((HOST, port))
            taken.listen()
            process = home.up()
            assert json.loads((home.path / "ports.json").read_text())["s3"] != port
            assert stop(process) == 0

    def test_two_on_one_home(self, home: Home) -> None:
        first = home.up()
        sentence = home.refused("up")
        assert f"Perdiem runs already on {home.path} (process {first.pid})" in sentence
        assert runtime.read(home.path) is not None
        assert stop(first) == 0

    def test_kill_9_leaves_no_orphan_and_a_stale_lock_is_no_obstacle(self, home: Home) -> None:
        process = home.up()
        children = set(home.processes()) - {process.pid}
        process.kill()
        process.wait()

        home.assert_no_process_left()
        assert children
        assert (home.path / "lock").read_text() == f"{process.pid}\n"
        assert runtime.read(home.path) is None
        assert stop(home.up()) == 0

    def test_a_start_right_after_a_kill_9(self, home: Home) -> None:
        process = home.up()
        process.kill()
        process.wait()
        assert stop(home.up()) == 0
        home.assert_no_process_left()

    def test_a_stale_postmaster_pid_of_a_stranger(self, home: Home) -> None:
        assert stop(home.up()) == 0
        data = home.path / "postgres" / "data"
        (data / "postmaster.pid").write_text(f"{os.getpid()}\n{data}\n1700000000\n5432\n\n\n")
        assert stop(home.up()) == 0

    @pytest.mark.parametrize("component", ["temporal", "s3", "postgres"])
    def test_a_dead_child(self, home: Home, component: str) -> None:
        process = home.up()
        running = runtime.read(home.path)
        assert running is not None

        os.kill(running.children[component], signal.SIGKILL)

        assert process.wait(30) == 1
        assert re.search(r"was killed by SIGKILL.*; see .*\.log, .* start again", the_sentence(home.said()))
        home.assert_no_process_left(within=2)

    def test_a_wrong_password_in_the_secrets(self, home: Home) -> None:
        assert stop(home.up()) == 0
        file = home.path / "secrets.json"
        secrets = json.loads(file.read_text())
        file.write_text(json.dumps(secrets | {"perdiem_app": "wrong"}))

        sentence = home.refused("up", *SERVERS_ONLY)

        assert "PostgreSQL refused the password of the role perdiem_app" in sentence
        assert "restore that file" in sentence
        home.assert_no_process_left()

    def test_a_wrong_password_in_a_setting(self, home: Home, second_home: Home) -> None:
        first = home.up()
        running = runtime.read(home.path)
        assert running is not None
        names = ("database_url", "database_owner_url", "database_dispatch_url")
        settings = {name: running.environment[f"PERDIEM_{name.upper()}"] for name in names}
        settings["database_url"] = re.sub(r":[^:@/]+@", ":wrong@", settings["database_url"])

        sentence = second_home.refused("up", *SERVERS_ONLY, **settings)

        assert "PostgreSQL refused the password in PERDIEM_DATABASE_URL" in sentence
        second_home.assert_no_process_left()
        assert stop(first) == 0

    def test_lost_secrets(self, home: Home) -> None:
        assert stop(home.up()) == 0
        (home.path / "secrets.json").unlink()
        assert "secrets.json is gone" in home.refused("up", *SERVERS_ONLY)
        assert not (home.path / "secrets.json").exists()

    @pytest.mark.parametrize(
        ("settings", "sentence"),
        [
            ({"api_port": "http"}, "PERDIEM_API_PORT"),
            ({"database_url": "mysql://root@x/y"}, "PERDIEM_DATABASE_URL: must start with postgresql"),
            ({"temporal_address": "127.0.0.1:1"}, "No Temporal answers at 127.0.0.1:1"),
            ({"s3_endpoint": "http://127.0.0.1:1"}, "No S3 answers at http://127.0.0.1:1"),
        ],
    )
    def test_a_setting_that_cannot_be(self, home: Home, settings: dict[str, str], sentence: str) -> None:
        assert sentence in home.refused("up", *SERVERS_ONLY, **settings)
        home.assert_no_process_left()


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with (
        temporary_directory() as directory,
        Stack(directory, with_api=False, with_worker=False, durable=False) as stack,
    ):
        yield stack


class TestAStackInsideATest:
    @pytest.mark.parametrize("field", ["database_url", "database_owner_url", "database_dispatch_url"])
    def test_none_is_above_row_level_security_and_a_wrong_password_is_refused(self, stack: Stack, field: str) -> None:
        address = getattr(stack.settings, field).get_secret_value().replace("+psycopg", "", 1)
        with psycopg.connect(address) as connection:
            row = connection.execute(
                "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
        assert row == (False, False, False, False)
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(re.sub(r":[^:@/]+@", ":wrong@", address))

    def test_secrets_are_for_their_owner_only(self, stack: Stack) -> None:
        modes = {name: (stack.home / name).stat().st_mode & 0o777 for name in ("secrets.json", "runtime.json")}
        assert modes == {"secrets.json": 0o600, "runtime.json": 0o600}

    @pytest.mark.parametrize("component", ["postgres", "temporal", "s3"])
    def test_a_test_may_kill_one_component_and_start_it_again(self, stack: Stack, component: str) -> None:
        before = stack.pid(component)
        stack.kill(component)
        assert stack.pid(component) is None
        stack.start_component(component)
        assert stack.pid(component) not in (None, before)
        stack.check()

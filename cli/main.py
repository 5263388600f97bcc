"""Entry of the `perdiem` command. Commands and groups are registered here, and nowhere else."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import typer
from psycopg import Error as PostgresError
from sqlalchemy.exc import OperationalError

from cli import board, cases, date, demo, doctor, migrate, tenant, up, user
from cli.errors import CliError
from cli.output import errors
from domain.errors import Refusal
from infra.settings import SettingsError, load_settings
from infra.storage import StorageError
from standalone.processes import StackError

app = typer.Typer(
    name="perdiem",
    help="Servicing of instalment loans: run the platform on this machine, and administer it.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(up.up)
app.command()(demo.demo)
app.command()(migrate.migrate)
app.command()(doctor.doctor)
app.command()(board.board)
app.command()(cases.cases)
app.add_typer(tenant.app, name="tenant")
app.add_typer(user.app, name="user")
app.add_typer(date.app, name="date")


def main() -> None:
    """Runs a command. Every failure is one sentence on stderr and an exit code that is not 0.

    Ends with os._exit: an interpreter that has used the Temporal SDK may crash while it shuts down.
    """
    code = _run()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader of a pipe is gone
            code = code or 1
    os._exit(code)


def _run() -> int:
    try:
        app()
    except SystemExit as finished:
        return finished.code if isinstance(finished.code, int) else int(bool(finished.code))
    except (CliError, Refusal, StackError, SettingsError, StorageError) as error:
        return _refuse(str(error))
    except (OperationalError, PostgresError) as error:
        return _refuse(f"PostgreSQL does not do what was asked ({_first_line(error)}): is the platform up (perdiem up)?")
    except Exception as error:
        where = _keep_traceback()
        return _refuse(f"Unexpected {type(error).__name__} ({_first_line(error)}); the details are in {where}.")
    return 0


def _refuse(sentence: str) -> int:
    errors.print(f"Error: {sentence}", style="red", markup=False)
    return 1


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")


def _keep_traceback() -> Path:
    try:
        log = load_settings().home / "logs" / "cli.log"
    except SettingsError:
        log = Path("perdiem-cli.log").resolve()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as output:
        traceback.print_exc(file=output)
    return log


if __name__ == "__main__":
    main()

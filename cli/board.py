"""`perdiem board TAPE.csv`: take loans over from a prior servicer's tape."""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, TextIO
from uuid import UUID

import typer
import yaml
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from sqlalchemy.ext.asyncio import AsyncEngine

from cli.errors import CliError
from cli.output import console, errors
from cli.session import unit_of_work
from domain.boarding import TapeMapping, mapping_from_dict
from domain.errors import InvalidInput
from domain.spreadsheet import plain
from infra.db.engine import app_engine
from infra.db.queries import programs as queries
from infra.db.uow import UnitOfWork
from infra.settings import Settings
from services.boarding import BoardingReport
from services.boarding import board as board_tape
from standalone.runtime import connected_settings

DEFAULT_MAPPING = Path(__file__).parent / "mappings" / "marketplace_2018.yaml"
_SHOWN = 10


def board(
    tape: Annotated[Path, typer.Argument(help="CSV with a header, one loan a row.", exists=True, dir_okay=False)],
    tenant: Annotated[str, typer.Option(help="The lender's slug.")],
    mapping: Annotated[
        Path | None,
        typer.Option(
            help="YAML that says what the columns mean; default: a marketplace's of 2018.", exists=True, dir_okay=False
        ),
    ] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Date of the balances; default the mapping's.")
    ] = None,
    program: Annotated[str | None, typer.Option(help="Name or id of a program; default the mapping's.")] = None,
    rejects: Annotated[
        Path | None, typer.Option(help="Where rejected and remarkable rows go; default TAPE.rejects.csv here.")
    ] = None,
) -> None:
    """Board the loans of a tape, each once: what is there already is left alone, so a run can be repeated."""
    settings = connected_settings()
    settings.require("database_url")
    said = rejects or Path(f"{tape.stem}.rejects.csv")
    if not said.resolve().parent.is_dir():
        raise CliError(f"There is no directory {said.resolve().parent} for the rejects file.")
    read = _read_mapping(mapping or DEFAULT_MAPPING)
    started = time.perf_counter()
    report = asyncio.run(_board(settings, tape, read, tenant, program, as_of.date() if as_of else None))
    _tell(report, time.perf_counter() - started, said)
    if report.rejected_rows:
        raise typer.Exit(1)


async def _board(
    settings: Settings, tape: Path, mapping: TapeMapping, slug: str, program: str | None, as_of: date | None
) -> BoardingReport:
    engine = app_engine(settings, pool_size=2)  # one chunk is written while the next is looked up
    try:
        open_uow = await _opener(engine, slug)
        program_id = None if program is None else await _program_id(open_uow, program)
        with _open(tape) as lines, _progress(tape) as on_progress:
            return await board_tape(open_uow, lines, mapping, as_of=as_of, program_id=program_id, on_progress=on_progress)
    finally:
        await engine.dispose()


async def _opener(engine: AsyncEngine, slug: str) -> Callable[[], UnitOfWork]:
    first = await unit_of_work(engine, slug)
    return lambda: UnitOfWork(engine, first.tenant_id, first.actor)


async def _program_id(open_uow: Callable[[], UnitOfWork], program: str) -> UUID:
    async with open_uow() as uow:
        row = await uow.one_or_none(queries.program_by_name(program))
        if row is None and (given := _uuid(program)) is not None:
            row = await uow.one_or_none(queries.program(given))
    if row is None:
        raise CliError(f"There is no program {program}: give the name or the id of one.")
    found: UUID = row["id"]
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _read_mapping(path: Path) -> TapeMapping:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise CliError(f"{path} is not a mapping of names to values.")
    try:
        return mapping_from_dict(data)
    except InvalidInput as error:
        wrong = "; ".join(f"{item.pointer} {item.message}" for item in error.errors)
        raise CliError(f"{path}: {wrong}.") from None


@contextmanager
def _open(tape: Path) -> Iterator[TextIO]:
    """Bytes that are not UTF-8 come through as surrogates, which reject their row and no other."""
    with tape.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as lines:
        yield lines


@contextmanager
def _progress(tape: Path) -> Iterator[Callable[[int], None]]:
    with _open(tape) as lines:
        total = max(0, sum(1 for _ in lines) - 1)
    columns = (TextColumn("Boarding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as progress:
        task = progress.add_task("board", total=total)
        yield lambda rows: progress.update(task, completed=rows)


def _tell(report: BoardingReport, seconds: float, said: Path) -> None:
    rate = report.rows / seconds if seconds else 0
    console.print(
        f"{report.boarded} boarded, {report.already_there} already there, {report.rejected_rows} rejected, "
        f"{len(report.remarks)} to look at: {report.rows} rows in {seconds:.1f} s ({rate:.0f} loans/s)."
    )
    for item in report.rejected[:_SHOWN]:
        errors.print(f"  rejected: row {item.row}, {item.column}: {item.reason}", style="red", markup=False)
    for found in report.remarks[:_SHOWN]:
        remark = found.remark
        text = f"  row {found.row}, {found.loan_number}: {remark.column} {remark.value} {remark.reason}"
        console.print(text, style="yellow", markup=False)
    if report.rejected or report.remarks:
        _write(report, said)
        console.print(f"All of them are in {said}.", markup=False)


def _write(report: BoardingReport, said: Path) -> None:
    with said.open("w", newline="", encoding="utf-8", errors="replace") as file:
        writer = csv.writer(file)
        writer.writerow(["outcome", "row", "column", "value", "reason"])
        for item in report.rejected:
            writer.writerow(["rejected", item.row, *map(plain, (item.column, item.value, item.reason))])
        for found in report.remarks:
            remark = found.remark
            writer.writerow(["boarded", found.row, *map(plain, (remark.column, remark.value, remark.reason))])

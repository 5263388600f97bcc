"""`perdiem cases PATH...`: run numeric cases on the engine, so that anyone can check it against figures of their own.

A file is a JSON document of one of the formats below, told apart by its structure. Each format has a module here with
`run(document, case) -> str | None`: None where the engine gives every figure of the case, else the first difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from cli.cases import act365, amortization, apr, daycount, example, servicing
from cli.errors import CliError
from cli.output import console, errors
from domain.errors import Refusal

Run = Callable[[dict[str, Any], dict[str, Any]], str | None]


class Format(NamedTuple):
    """`keys` are what every case of the format has and no case of another."""

    keys: frozenset[str]
    run: Run


class CasesFile(NamedTuple):
    """A file as read: its path, its document, the cases in it with their ids, and how they are run."""

    path: Path
    document: dict[str, Any]
    cases: list[tuple[str, Any]]
    run: Run


class Outcome(NamedTuple):
    """`difference` is None where the case passes."""

    file: str
    case: str
    difference: str | None


FORMATS = {
    "amortization": Format(frozenset({"principal", "annual_rate_pct", "periods"}), amortization.run),
    "daycount": Format(frozenset({"convention", "start", "end"}), daycount.run),
    "apr": Format(frozenset({"advances", "payments"}), apr.run),
    "act365": Format(frozenset({"inputs", "published"}), act365.run),
    "instalment servicing": Format(frozenset({"timeline"}), servicing.run),
    "example loan": Format(frozenset({"terms", "expected"}), example.run),
}


def cases(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files of cases, or directories of *.json files.")],
) -> None:
    """Run files of numeric cases on the engine and say of each case whether every figure comes out.

    Exit code 0: all pass; 1: a case does not; 2: a file cannot be read, holds no cases or none of a known format.
    """
    outcomes: list[Outcome] = []
    unreadable = 0
    for path in paths:
        try:
            files = _files(path)
        except CliError as error:
            unreadable += _say(error)
            continue
        for file in files:
            try:
                outcomes += run_file(read_file(file))
            except CliError as error:
                unreadable += _say(error)
    if outcomes:
        _tell(outcomes)
    if unreadable:
        raise typer.Exit(2)
    if any(outcome.difference is not None for outcome in outcomes):
        raise typer.Exit(1)


def read_file(path: Path) -> CasesFile:
    """Read a file of cases and recognise its format. Raises CliError where it has no cases, or none of a known format."""
    try:
        content = path.read_bytes()
        if not content.strip():
            raise CliError(f"{path} is empty.")
        document = json.loads(content.decode("utf-8-sig"))
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError) as error:
        raise CliError(f"{path} is not JSON: {error}.") from None
    if not isinstance(document, dict):
        raise CliError(f"{path} is not a JSON object.")
    listed = document.get("cases", [{"id": path.stem} | document])
    if not isinstance(listed, list) or not listed:
        raise CliError(f"{path} has no cases.")
    found = next((known for case in listed for known in FORMATS.values() if _has(case, known.keys)), None)
    if found is None:
        raise CliError(f"{path} has cases of none of the known formats: {', '.join(FORMATS)}.")
    return CasesFile(path, document, [(_id(case, number), case) for number, case in enumerate(listed, 1)], found.run)


def run_file(file: CasesFile) -> Iterator[Outcome]:
    """Run the cases of a file, in its order."""
    for name, case in file.cases:
        yield Outcome(file.path.name, name, run_case(file.run, file.document, case))


def run_case(run: Run, document: dict[str, Any], case: Any) -> str | None:
    """The first difference of a case, or why it cannot be run; None where it passes."""
    if not isinstance(case, dict):
        return "malformed: it is not a JSON object"
    try:
        return run(document, case)
    except KeyError as error:
        return f"malformed: it has no {error}"
    except Refusal as error:
        return f"refused: {error.detail}"
    except Exception as error:  # whatever a file of somebody else makes of itself is a failed case, never a traceback
        return f"malformed: {type(error).__name__}: {error}"


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.glob("*.json") if file.is_file())
    if not found:
        raise CliError(f"{path} is a directory without *.json files.")
    return found


def _has(case: Any, keys: frozenset[str]) -> bool:
    return isinstance(case, dict) and keys <= case.keys()


def _id(case: Any, number: int) -> str:
    given = case.get("id") if isinstance(case, dict) else None
    return str(number if given is None else given)


def _say(error: CliError) -> int:
    errors.print(_line(f"Error: {error}"), style="red", markup=False, emoji=False)
    return 1


def _tell(outcomes: list[Outcome]) -> None:
    shown = [(_line(outcome.file), _line(outcome.case), outcome.difference) for outcome in outcomes]
    files, names = max(len(row[0]) for row in shown), max(len(row[1]) for row in shown)
    console.print(f"{'file':<{files}}  {'case':<{names}}  outcome", style="bold")
    for file, case, difference in shown:
        told = f"{file:<{files}}  {case:<{names}}  {'pass' if difference is None else _line(difference)}"
        console.print(told, style="red" if difference else None, markup=False, emoji=False)
    passed = sum(outcome.difference is None for outcome in outcomes)
    console.print(f"passed {passed} of {len(outcomes)}")


def _line(text: str) -> str:
    """Foreign text as one line that every terminal can print."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())

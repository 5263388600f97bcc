"""`perdiem cases`: a table, how many passed, and an exit code; a file it cannot run is an error and never a traceback."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer

from cli import cases as command
from tests.domain import independent

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file of cases and returns its path."""

    def written(cases: list[Any], name: str = "mine.json", **document: Any) -> Path:
        path = tmp_path / name
        path.write_text(json.dumps({**document, "cases": cases}))
        return path

    return written


def run(*paths: Path) -> int:
    """The exit code of the command."""
    try:
        command.cases(list(paths))
    except typer.Exit as left:
        return left.exit_code
    return 0


def wrong(case: dict[str, Any], **figures: Any) -> dict[str, Any]:
    return {**case, **figures}


def test_all_pass(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write([independent.day_count(seed) for seed in range(3)])
    assert run(path) == 0
    header, *rows, last = capsys.readouterr().out.splitlines()
    assert header.split() == ["file", "case", "outcome"]
    assert [row.split()[0] for row in rows] == ["mine.json"] * 3
    assert all(row.endswith("  pass") for row in rows)
    assert last == "passed 3 of 3"


def test_the_first_difference_is_shown(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    good = independent.day_count(1)
    path = write([good, wrong(good, id="off", days=good["days"] + 1)])
    assert run(path) == 1
    *_, row, last = capsys.readouterr().out.splitlines()
    assert row.split("  ")[-1] == f"days is {good['days']}, stated {good['days'] + 1}"
    assert last == "passed 1 of 2"


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("a text", "malformed: it is not a JSON object"),
        (None, "malformed: it is not a JSON object"),
        ({"id": "bare"}, "malformed: it has no 'convention'"),
        ({"convention": "30/364", "start": "2024-01-01", "end": "2024-02-01"}, "malformed: ValueError"),
        ({"convention": "ACT/360", "start": "2024-01-01", "end": 3, "days": 1}, "malformed: TypeError"),
        ({"convention": "ACT/360", "start": "2024-02-01", "end": "2024-01-01", "days": 1}, "refused: A period cannot end"),
    ],
)
def test_a_malformed_case_is_a_failed_one_with_its_reason(
    write: Write, capsys: pytest.CaptureFixture[str], case: Any, reason: str
) -> None:
    assert run(write([case, independent.day_count(1)])) == 1
    shown = capsys.readouterr().out
    assert reason in shown
    assert shown.splitlines()[-1] == "passed 1 of 2"


SIMPLE = {"principal": "1000.00", "annual_rate_pct": "6", "loan_date": "2024-01-01", "first_payment": "2024-02-01", "n": 3}
EXAMPLE = {
    "principal": "1000.00",
    "annual_rate_pct": "6",
    "term_months": 3,
    "contract_date": "2024-01-01",
    "first_payment_date": "2024-02-01",
    "first_period": "rate/12",
}


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        # 1,000.00 x 6 % x 31/365 = 5.0959; at 0.5 % a month the annuity of 3 months is 336.67
        ({"inputs": SIMPLE, "published": {"rows": {"1": {"interest": "5.10"}}}}, "pass"),
        ({"inputs": SIMPLE, "published": {"rows": {"1": {"interest": "5.11"}}}}, "row 1: interest is 5.10, stated 5.11"),
        ({"inputs": SIMPLE, "published": {"note": "x", "totals": {"interest": "10.13"}}}, "totals: interest is"),
        ({"inputs": SIMPLE, "published": {}}, "refused: published states no figure"),
        ({"inputs": SIMPLE, "published": {"note": "x"}}, "refused: published states no figure"),
        ({"inputs": SIMPLE, "published": {"years": {}}}, "refused: published has a figure of no known meaning: years"),
        ({"inputs": SIMPLE, "published": {"totals": {}}}, "refused: totals states no figure"),
        ({"terms": EXAMPLE, "expected": {"payment": "336.67"}}, "pass"),
        ({"terms": EXAMPLE, "expected": {"payment": "336.68"}}, "payment is 336.67, stated 336.68"),
        ({"terms": EXAMPLE, "expected": {}}, "refused: expected states no figure"),
        ({"terms": EXAMPLE, "expected": {"payoff": "1.00"}}, "refused: expected has a figure of no known meaning: payoff"),
        (
            {"advances": [], "payments": [], "unit_period": {"kind": "days", "count": 7.5}},
            "malformed: ValueError: invalid literal for int() with base 10: '7.5'",
        ),
        ({"terms": {**EXAMPLE, "term_months": 10**9}, "expected": {}}, "refused: term_months must be a whole number from 1"),
    ],
)
def test_nothing_passes_that_was_not_compared(
    write: Write, capsys: pytest.CaptureFixture[str], case: dict[str, Any], outcome: str
) -> None:
    assert run(write([case])) == (0 if outcome == "pass" else 1)
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split(maxsplit=2)[2].startswith(outcome)


def test_formats_are_recognised_whatever_the_file_is_called(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    paths = [
        write([independent.amortization(3)], name="apr.json"),
        write([independent.annual_rate(3)], name="daycount.json"),
        write([independent.day_count(3)], name="cases", README={"what": "with a README"}),
    ]
    assert run(*paths) == 0
    assert capsys.readouterr().out.endswith("passed 3 of 3\n")


def test_a_directory_is_its_json_files(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    path = write([independent.day_count(1)], name="a.json")
    write([independent.day_count(2)], name="b.json")
    (path.parent / "notes.txt").write_text("not a file of cases")
    assert run(path.parent) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows[1:-1]] == ["a.json", "b.json"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"{", "is not JSON"),
        (b"\xff\xfe{}", "is not JSON"),
        (b"[" * 100_000, "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b'{"cases": []}', "has no cases"),
        (b'{"cases": 3}', "has no cases"),
        (b'{"cases": [{"id": 1}, 2]}', "none of the known formats: amortization, daycount"),
        (b"{}", "none of the known formats"),
    ],
)
def test_a_file_that_cannot_be_run_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes, reason: str
) -> None:
    path = tmp_path / "odd.json"
    path.write_bytes(content)
    assert run(path) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith(f"Error: {path}")
    assert reason in said.err
    assert len(said.err.splitlines()) == 1


def test_a_path_that_is_not_there_does_not_keep_the_others_from_running(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write([independent.day_count(1)])
    assert run(path.parent / "absent.json", path) == 2
    said = capsys.readouterr()
    assert "absent.json cannot be read: No such file or directory." in said.err
    assert said.out.endswith("passed 1 of 1\n")


def test_an_empty_directory_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path) == 2
    assert "without *.json files" in capsys.readouterr().err


def test_foreign_text_is_printed_on_one_line(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    odd = wrong(independent.day_count(1), id="[red]a\nb\x1b[31m\ud800:smile:")
    assert run(write([odd])) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 3
    assert "[red]a b" in rows[1]
    assert ":smile:" in rows[1]
    assert "\x1b" not in rows[1]

"""Break the engine one way at a time, and see that its tests notice: `python -m tests.mutation.run [WORD...]`.

Each mutation of tests/mutation/mutations.txt is made in a copy of the repository, never in the tree. There the tests of
the domain run until the first failure, the most telling ones first, and if none fails the properties, few of them. A
mutation no test notices survives. Exit code 1: one survives, the list is out of date (the text to be replaced is not in
its file exactly once, or with the other the file is no module), or the tests fail without any. WORD: only mutations whose
file or description has it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from time import perf_counter
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[2]
LIST: Final = Path(__file__).with_name("mutations.txt")
STAGES: Final = (("tests/domain",), ("tests/properties",))
"""Run one after the other until one fails."""
TELLING: Final = {
    "rounding": ("money",),
    "daycount": ("daycount", "cases"),
    "rates": ("rates", "modifications"),
    "allocation": ("allocation", "unapplied", "payouts"),
    "fees": ("late_fees", "charges"),
    "accrual": ("boarding", "non_accrual", "replay"),
    "scheduled": ("payoff", "allocation"),
    "daily_accrual": ("simple_daily",),
    "posting": ("journal", "charges", "charge_off", "unapplied"),
    "events": ("replay", "history"),
    "recovery": ("charge_off",),
    "projection": ("modifications",),
    "opening": ("boarding", "found_by_histories"),
    "origination": ("origination", "schedule_shapes"),
    "apr": ("apr", "cases", "boarding"),
    "correction": ("history",),
    "shortfall": ("unapplied", "history"),
    "repayment_period": ("recalculated",),
    "snapshot": ("replay", "loan"),
    "working": ("late_fees", "extra_towards"),
    "nacha_records": ("nacha",),
    "nacha_read": ("nacha_read", "nacha_returns"),
    "nacha_returns": ("nacha_returns", "nacha_read"),
}
"""By file, the tests of the domain most likely to notice, which saves the time of the others. Default: its namesake."""
OPTIONS: Final = ("--noconftest", "--tb=no", "--hypothesis-profile=ci")
"""Hypothesis's own profile for build machines tries the same examples every time: what is noticed is not left to luck."""
LEFT_OUT: Final = shutil.ignore_patterns(".*", "__pycache__", "node_modules", "conftest.py")
"""Not copied. The root conftest starts a database, which no test of the domain needs."""
WORKERS: Final = int(os.environ.get("WORKERS", "2"))
LONGEST: Final = 1800
"""Seconds; a mutation that makes the engine run in circles is noticed too."""


class Mutation(NamedTuple):
    """`old` stands exactly once in `file` of domain/ (named without its ending); `new` takes its place."""

    file: str
    breaks: str
    old: str
    new: str


class Verdict(NamedTuple):
    """`noticed_by`: the first test that failed; None when all passed."""

    mutation: Mutation
    noticed_by: str | None
    seconds: float


def read(text: str) -> Iterator[Mutation]:
    """The mutations of a text: blocks of a line "file: what breaks", "-" lines and "+" lines; "#" begins a comment."""
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith("#")]
        if lines:
            file, _, breaks = lines[0].partition(": ")
            old, new = ("\n".join(line[1:] for line in lines[1:] if line[0] == sign) for sign in "-+")
            yield Mutation(file, breaks, old, new)


def fault(mutation: Mutation) -> str | None:
    """Why a mutation cannot be made; None when it can. One the file could not be imported with would prove nothing: any
    test notices that."""
    path = path_of(mutation, ROOT)
    if not path.is_file():
        return f"domain/{path.name} is gone"
    whole = path.read_text()
    if not mutation.old or (count := whole.count(mutation.old)) != 1:
        return f"the text to be replaced stands {count if mutation.old else 0} times in domain/{path.name}, not once"
    if mutation.old == mutation.new:
        return "it changes nothing"
    try:
        compile(mutated(mutation, whole), path.name, "exec")
    except SyntaxError as error:
        return f"domain/{path.name} would be no Python any more: {error}"
    return None


def mutated(mutation: Mutation, whole: str) -> str:
    """The text of its file with the mutation made."""
    return whole.replace(mutation.old, mutation.new)


def path_of(mutation: Mutation, root: Path) -> Path:
    return root / "domain" / f"{mutation.file}.py"


def copy(parent: Path, number: int) -> Path:
    """A copy of the repository, beside what the tests read from beside it."""
    beside = parent / str(number)
    shutil.copytree(ROOT, beside / ROOT.name, ignore=LEFT_OUT)
    for name in ("shared",):
        if (ROOT.parent / name).exists():
            (beside / name).symlink_to(ROOT.parent / name)
    return beside / ROOT.name


def telling(file: str) -> tuple[str, ...]:
    """The paths of the tests that are run first for a file of the domain."""
    paths = [f"tests/domain/test_{name}.py" for name in TELLING.get(file, (file,))]
    return tuple(path for path in paths if (ROOT / path).is_file())


def first_failure(where: Path, first: tuple[str, ...] = ()) -> str | None:
    """The name of the first test that fails in a copy, stage by stage, those in `first` before; None when none does."""
    environment = {
        **os.environ,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": str(where),
        "PERDIEM_PROPERTIES": "quick",
    }
    for stage in (first, *STAGES) if first else STAGES:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *OPTIONS, *stage]
        try:
            done = subprocess.run(
                command, cwd=where, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
            )
        except subprocess.TimeoutExpired:
            return f"no end within {LONGEST} s"
        if done.returncode:
            lines = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
            return lines[0].split(" ")[1] if lines else (done.stdout + done.stderr).strip().splitlines()[-1]
    return None


def judge(mutation: Mutation, copies: SimpleQueue[Path]) -> Verdict:
    """Make the mutation in a free copy, run the tests, and take it back."""
    where, start = copies.get(), perf_counter()
    path = path_of(mutation, where)
    whole = path.read_text()
    path.write_text(mutated(mutation, whole))
    try:
        return Verdict(mutation, first_failure(where, telling(mutation.file)), perf_counter() - start)
    finally:
        path.write_text(whole)
        copies.put(where)


def show(number: int, verdict: Verdict) -> None:
    noticed = verdict.noticed_by or "SURVIVES"
    print(
        f"{number:>3}  {verdict.seconds:>5.1f} s  {verdict.mutation.file:<14} {verdict.mutation.breaks:<66} {noticed}",
        flush=True,
    )


def main(words: list[str]) -> int:
    known = read(LIST.read_text())
    chosen = [m for m in known if not words or any(word in f"{m.file}: {m.breaks}" for word in words)]
    faults = {mutation: why for mutation in chosen if (why := fault(mutation))}
    tell(faults)
    with tempfile.TemporaryDirectory(prefix="perdiem-mutation-") as parent:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(WORKERS):
            copies.put(copy(Path(parent), number))
        sound = copies.get()
        failure = first_failure(sound)
        copies.put(sound)
        if failure is not None:
            print(f"The tests fail without any mutation: {failure}", file=sys.stderr)
            return 1
        survivors = []
        with ThreadPoolExecutor(WORKERS) as pool:
            for number, verdict in enumerate(
                pool.map(lambda m: judge(m, copies), [m for m in chosen if m not in faults]), 1
            ):
                show(number, verdict)
                if verdict.noticed_by is None:
                    survivors.append(verdict.mutation)
    print(f"{len(chosen) - len(faults) - len(survivors)} of {len(chosen)} mutations noticed")
    for mutation in survivors:
        print(f"Survives: {mutation.file}: {mutation.breaks}")
    tell(faults)
    return 1 if faults or survivors else 0


def tell(faults: dict[Mutation, str]) -> None:
    """Say which mutations the list has that cannot be made."""
    for mutation, why in faults.items():
        print(f"Out of date: {mutation.file}: {mutation.breaks}: {why}; change it in {LIST.name}.", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

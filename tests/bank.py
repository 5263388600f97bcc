"""A bank for tests: it is given the bytes of a file of ours and answers with a file of returns and notifications of change.

It reads and writes by column, with tables of its own, so that a mistake in domain/nacha_records.py does not cancel out.
Source: Nacha Operating Rules, Appendices Four (returns) and Five (notifications of change).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

_ANSWERS = {"22": "21", "27": "26", "32": "31", "37": "36"}
"""Transaction codes: of the original, and of its return or notification."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A return (R code) or a notification of change (C code) of the entry with trace number `trace`.

    `information`: the addenda information of a return, or the corrected data. `on`: the day of settlement, where the
    operator writes one. `died`: with R14 and R15.
    """

    trace: str
    code: str
    on: date | None = None
    information: str = ""
    died: date | None = None


@dataclass(frozen=True, slots=True)
class _Original:
    entry: str
    header: str
    destination: str


def answer(
    ours: bytes | Sequence[bytes], answers: Sequence[Answer], created: date, *, modifier: str = "A", first: int = 1
) -> bytes:
    """The bank's file for the day `created`.

    `ours`: the file, or all the files, in which the entries went out. `first`: the number of the first answer, so that two
    files of a bank do not use a trace number twice. Raises: KeyError when an entry was never sent.
    """
    sent = _sent([ours] if isinstance(ours, bytes) else ours)
    file = sent[answers[0].trace] if answers else next(iter(sent.values()))
    lines = [_file_header(file, created, modifier)]
    controls = []

    def batch_of(given: Answer) -> tuple[str, ...]:
        original = sent[given.trace]
        return given.code[0], original.header, original.entry[3:11], str(given.on)

    numbered = list(enumerate(sorted(answers, key=batch_of), start=first))
    for number, (_, group) in enumerate(groupby(numbered, key=lambda pair: batch_of(pair[1])), start=1):
        batch, control = _batch(sent, list(group), number)
        lines += [*batch, control]
        controls.append(control)
    lines.append(_file_control(controls, len(lines) + 1))
    lines += ["9" * 94] * (-len(lines) % 10)
    return "".join(f"{line}\n" for line in lines).encode()


def traces(ours: bytes) -> list[str]:
    """The trace numbers of a file of ours, in its order."""
    return list(_sent([ours]))


def _sent(files: Sequence[bytes]) -> Mapping[str, _Original]:
    found = {}
    for content in files:
        header = destination = ""
        for line in content.decode().splitlines():
            if line[:2] == "10":
                destination = line
            elif line[0] == "5":
                header = line
            elif line[0] == "6":
                found[line[79:94]] = _Original(line, header, destination)
    return found


def _file_header(original: _Original, created: date, modifier: str) -> str:
    """From our bank to us: origin is the bank, and the destination what we called ours."""
    ours = original.destination
    bank, us = ours[3:13], ours[13:23]
    names = f"{ours[63:86]}{ours[40:63]}"
    # the operator's field takes a routing number, which the company's own identification is not
    return f"101{_as_routing(us, bank)}{bank}{created:%y%m%d}0600{modifier}094101{names}{'':8}"


def _as_routing(us: str, bank: str) -> str:
    digits = us.strip()
    return us if len(digits) == 9 and _check_digit(digits[:8]) == digits[8] else bank


def _check_digit(routing: str) -> str:
    """The ninth digit of a routing number."""
    return str(-sum(int(digit) * weight for digit, weight in zip(routing, (3, 7, 1) * 3, strict=False)) % 10)


def _batch(sent: Mapping[str, _Original], group: Sequence[tuple[int, Answer]], number: int) -> tuple[list[str], str]:
    returns = group[0][1].code[0] == "R"
    original = sent[group[0][1].trace]
    header, rdfi = original.header, original.entry[3:11]
    odfi = header[79:87]
    settled = f"{group[0][1].on:%j}" if group[0][1].on else "   "
    sec = header[50:53] if returns else "COR"
    codes = {_ANSWERS[sent[given.trace].entry[1:3]] for _, given in group}
    debit, credit = bool(codes & {"26", "36"}), bool(codes & {"21", "31"})
    service = "200" if debit and credit else "225" if debit else "220"
    lines = [f"5{service}{header[4:50]}{sec}{header[53:75]}{settled}1{rdfi}{number:07d}"]
    totals = {"26": 0, "21": 0}
    for place, given in group:
        entry = sent[given.trace].entry
        code = _ANSWERS[entry[1:3]]
        amount = int(entry[29:39]) if returns else 0
        totals["26" if code in ("26", "36") else "21"] += amount
        trace = f"{rdfi}{place:07d}"
        # it goes to the bank that originated: the receiving and the originating institution change places
        lines.append(f"6{code}{odfi}{_check_digit(odfi)}{entry[12:29]}{amount:010d}{entry[39:76]}  1{trace}")
        kind, data = ("99", f"{given.information:44}") if returns else ("98", f"{given.information:29}{'':15}")
        died = f"{given.died:%y%m%d}" if given.died else " " * 6
        lines.append(f"7{kind}{given.code}{given.trace}{died}{entry[3:11]}{data}{trace}")
    count, total_hash = 2 * len(group), int(odfi) * len(group) % 10**10
    amounts = f"{totals['26']:012d}{totals['21']:012d}"
    return lines, f"8{service}{count:06d}{total_hash:010d}{amounts}{header[40:50]}{'':25}{rdfi}{number:07d}"


def _file_control(controls: Sequence[str], records: int) -> str:
    columns = [(4, 10, 8), (10, 20, 10), (20, 32, 12), (32, 44, 12)]
    sums = [f"{sum(int(line[a:b]) for line in controls) % 10**width:0{width}d}" for a, b, width in columns]
    return f"9{len(controls):06d}{-(-records // 10):06d}{''.join(sums)}{'':39}"

"""The list of mutations is one that can be made: they are tried in `make soak` only, long after a line was changed."""

from __future__ import annotations

import re

import pytest

from tests.mutation.run import LIST, Mutation, fault, read

LISTED = list(read(LIST.read_text()))


@pytest.mark.parametrize("mutation", LISTED, ids=[f"{m.file}: {m.breaks}" for m in LISTED])
def test_each_can_be_made(mutation: Mutation) -> None:
    assert fault(mutation) is None


@pytest.mark.parametrize(
    ("mutation", "reason"),
    [
        (Mutation("rounding", "", "no line of it", "x"), "stands 0 times"),
        (Mutation("rounding", "", "", "x"), "stands 0 times"),
        (Mutation("rounding", "", "return", "x"), r"stands \d+ times"),
        (Mutation("rounding", "", "class Rounding", "class Rounding"), "changes nothing"),
        (Mutation("rounding", "", "class Rounding", "class"), "no Python any more"),
        (Mutation("no_such_file", "", "x", "y"), "is gone"),
    ],
)
def test_one_that_proves_nothing_is_told(mutation: Mutation, reason: str) -> None:
    assert re.search(reason, fault(mutation) or "none")


def test_blocks_are_read_as_they_are_written() -> None:
    text = "# a comment\n\nfees: none is due\n-    if a:\n-        b\n+    pass\n"
    assert list(read(text)) == [Mutation("fees", "none is due", "    if a:\n        b", "    pass")]

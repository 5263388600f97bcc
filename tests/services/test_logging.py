"""What a log line holds, and what it never holds."""

from __future__ import annotations

import json
import logging
import sys

from infra.logging import JsonLines


def test_a_traceback_keeps_the_values_of_rows_to_itself() -> None:
    said_by_postgresql = "duplicate key value\nDETAIL:  Key (email)=(jane@example.com) already exists.\nCONTEXT: x"
    try:
        raise RuntimeError(said_by_postgresql)
    except RuntimeError:
        record = logging.LogRecord("test", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    line = json.loads(JsonLines().format(record))
    assert line["message"] == "failed"
    assert "duplicate key value" in line["exception"]
    assert "jane" not in json.dumps(line)

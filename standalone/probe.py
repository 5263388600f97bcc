"""Whether an HTTP server is there."""

from __future__ import annotations

import urllib.error
import urllib.request

_SECONDS = 5


def answers(url: str) -> bool:
    """Whether an HTTP server gives any answer, a refusal included."""
    return _status(url) is not None


def succeeds(url: str) -> bool:
    """Whether the answer is a 2xx."""
    status = _status(url)
    return status is not None and 200 <= status < 300


def _status(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except (OSError, ValueError):
        return None

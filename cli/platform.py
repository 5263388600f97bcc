"""Running the local platform in the foreground: what `perdiem up` and `perdiem demo` share."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from types import FrameType

from rich.table import Table

from cli.output import console, errors
from standalone.ports import WELL_KNOWN
from standalone.progress import Progress
from standalone.stack import Stack

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Stopped(BaseException):
    """A signal asked us to end. Not an Exception: nothing on the way may take it for a failure."""


def run_platform(then: Callable[[Stack], None] | None = None, *, with_api: bool = True, with_worker: bool = True) -> None:
    """Starts everything, calls `then`, and watches until Ctrl-C, SIGTERM or SIGHUP.

    Raises: StackError when something cannot start or ends by itself; all that was started is stopped first.
    """
    stack = Stack(with_api=with_api, with_worker=with_worker, preferred_ports=WELL_KNOWN, progress=Progress(errors))
    asked = False

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:  # a second Ctrl-C: no more patience
            stack.abandon()
            return
        asked = True
        raise _Stopped

    for number in _SIGNALS:
        signal.signal(number, on_signal)
    with contextlib.suppress(_Stopped):
        console.print(f"Starting Perdiem on {stack.home} ...", markup=False)
        with stack:
            _show(stack)
            if then:
                then(stack)
            console.print("Perdiem is running. Ctrl-C stops it.", style="bold green")
            stack.wait()
    asked = True
    console.print("Perdiem has stopped.")


def _show(stack: Stack) -> None:
    settings = stack.settings
    table = Table(show_header=False, box=None, pad_edge=False)
    with_api = stack.pid("api") is not None
    rows = {
        "API": settings.public_url if with_api else "",
        "API reference": f"{settings.public_url}/docs" if with_api else "",
        "Temporal UI": settings.temporal_ui_url,
        "Temporal": settings.temporal_address,
        "S3": settings.s3_endpoint,
        "Data and logs": str(stack.home),
    }
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    console.print(table)

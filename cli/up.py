"""`perdiem up`."""

from typing import Annotated

import typer

from cli.platform import run_platform


def up(
    api: Annotated[bool, typer.Option(help="Start the API; --no-api to run it by hand.")] = True,
    worker: Annotated[bool, typer.Option(help="Start the worker; --no-worker to run it by hand.")] = True,
) -> None:
    """Start the whole platform on this machine, and stop it with Ctrl-C."""
    run_platform(with_api=api, with_worker=worker)

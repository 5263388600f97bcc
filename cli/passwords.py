"""A password from the person or program that runs a command; never an argument, which every process can see."""

from __future__ import annotations

import sys

import typer

from cli.errors import CliError


def read_password(*, from_stdin: bool, confirm: bool = False) -> str:
    """The password: the first line of standard input, or asked for without showing it.

    Raises: CliError when there is none.
    """
    if from_stdin:
        password = sys.stdin.readline().rstrip("\n")
    elif sys.stdin.isatty():
        password = str(typer.prompt("Password", hide_input=True, confirmation_prompt=confirm))
    else:
        raise CliError("There is no terminal to ask for the password: pass it with --password-stdin.")
    if not password:
        raise CliError("The password is empty.")
    return password

"""The two consoles of the command line. A long line stays one line: it may be copied, or read by a program."""

from rich.console import Console

console = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)

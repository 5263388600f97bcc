"""What a command refuses with."""


class CliError(Exception):
    """One sentence for the person at the terminal: what, and how to mend it."""

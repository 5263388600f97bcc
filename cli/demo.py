"""`perdiem demo`."""

from cli.demo_story import tell
from cli.platform import run_platform


def demo() -> None:
    """Start the platform, fill it with the demonstration, and stop it with Ctrl-C."""
    run_platform(lambda stack: tell(stack.settings))

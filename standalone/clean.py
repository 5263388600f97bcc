"""Deletes a local platform's data: `python -m standalone.clean [--yes]` (what `make clean` runs)."""

from __future__ import annotations

import fcntl
import shutil
import sys
from pathlib import Path

from infra.settings import SettingsError, load_settings
from standalone.processes import StackError

# Only what the platform itself put there: a PERDIEM_HOME that was set to a wrong directory loses nothing else.
OURS = ("postgres", "temporal", "s3", "outbox", "logs", "demo.json", "ports.json", "secrets.json", "runtime.json", "lock")


def clean(home: Path, *, ask: bool) -> str:
    """Deletes the platform's files in `home` and returns what was done, as a sentence.

    Raises: StackError while a platform runs there.
    """
    present = [home / name for name in OURS if (home / name).exists()]
    if not present:
        return f"Nothing to delete in {home}."
    with (home / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"Perdiem runs on {home}: stop it with Ctrl-C there first.") from None
        if ask and input(f"Delete all loans, documents and workflows in {home}? [y/N] ").strip().lower() != "y":
            return "Nothing was deleted."
        for path in present:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    if not any(home.iterdir()):
        home.rmdir()
    return f"Deleted the data in {home}."


def main() -> int:
    try:
        print(clean(load_settings().home, ask="--yes" not in sys.argv[1:]))
    except (StackError, SettingsError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    except (EOFError, KeyboardInterrupt):
        print("\nNothing was deleted.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

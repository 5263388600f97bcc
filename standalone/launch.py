"""Starts one program so that it cannot outlive its parent. Run as a script, by standalone/processes.py only.

    python -I -S launch.py PARENT_PID DEATH_SIGNAL UID GID PROGRAM ARGUMENT...

It gives up root (UID and GID, or -1 -1), asks the kernel for DEATH_SIGNAL at the parent's death, and becomes the program.
The order matters: a change of user clears the request. A script of its own, because code between fork and exec of a
process with threads may deadlock.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, uid, gid = (int(argument) for argument in sys.argv[1:5])
    program = sys.argv[5:]
    libc = ctypes.CDLL(None, use_errno=True)  # before we give up root, who alone may be able to read our libraries
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if sys.platform == "linux":
        if libc.prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0) != 0:
            sys.exit("launch.py: the kernel refused PR_SET_PDEATHSIG")
        if os.getppid() != parent:  # it died before we asked
            sys.exit(1)
    try:
        os.execv(program[0], program)
    except OSError as error:
        sys.exit(f"cannot run {program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()

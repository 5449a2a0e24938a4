"""Becomes another program, which ends when its parent does.

Run as a file by `program.py`, in an interpreter of its own: code between fork and exec in a process with
threads can deadlock. Arguments: the signal that the death of the parent sends, the parent's process id, the
user id and group id to run as, then the command.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    death_signal, parent, user, group = map(int, sys.argv[1:5])
    command = sys.argv[5:]
    if user != os.geteuid():
        os.setgroups([])
        os.setgid(group)
        os.setuid(user)
    if sys.platform == "linux":
        # After setuid, which resets it. Other systems have nothing like it: there, the next start stops
        # what is left of the last one.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal, 0, 0, 0)
        if os.getppid() != parent:
            sys.exit("the parent is gone")
    os.execv(command[0], command)  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    main()

"""`python -m services.supervised MODULE`: run a module as a child that does not outlive its supervisor.

Where the system can (Linux), the child is told to stop when the supervisor dies, even by SIGKILL: an
orphan would keep the database and the ports that the next supervisor's children need.
"""

import ctypes
import os
import runpy
import signal
import sys

SUPERVISOR_VARIABLE = "SMARKETING_SUPERVISOR"
"""Holds the supervisor's process id."""

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Bind this process to its supervisor's life, and become the module."""
    supervisor = os.environ.pop(SUPERVISOR_VARIABLE, "")
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    # It may have died before this process asked to be told.
    if supervisor and os.getppid() != int(supervisor):
        sys.exit(0)
    module = sys.argv[1]
    del sys.argv[1]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

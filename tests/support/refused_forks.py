"""`manage.py`, whose forks the kernel refuses (EAGAIN) while a file exists, as at the limit of a pids cgroup.

    python -m tests.support.refused_forks FLAG qcluster ...

Needs no cgroup and no root. The processes that it forks are refused too.
"""

import errno
import os
import sys
from pathlib import Path

from manage import main

FLAG = Path(sys.argv[1])
fork = os.fork


def refused() -> int:
    """Fork, unless the file exists."""
    if FLAG.exists():
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return fork()


if __name__ == "__main__":
    os.fork = refused
    sys.argv[:2] = ["manage.py"]
    main()

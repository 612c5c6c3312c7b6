"""`manage.py` under libfaketime, which shifts the wall clock of this process and of those it forks.

    LD_PRELOAD=libfaketime.so.1 FAKETIME=+90s FAKETIME_DONT_FAKE_MONOTONIC=1 \\
        python -m tests.support.wrong_clock qcluster

libfaketime 0.9.10 makes `time.sleep` fail when the monotonic clock is left alone, so it is made of `select` here.
"""

import select
import sys
import time

from manage import main


def sleep(seconds: float) -> None:
    """Sleep without clock_nanosleep."""
    select.select((), (), (), seconds)


if __name__ == "__main__":
    time.sleep = sleep
    sys.argv[:1] = ["manage.py"]
    main()

"""The prober of the chaos run: requests /healthz of the proxy and of each web host, and prints a line for each answer.

It also requests a static answer of the proxy (nginx), which tells how long the machine lets such a request wait.

    python -m tests.chaos.prober 8000 8001 8002

A process of its own, with real-time priority where that is allowed: so it measures the site, and not how long a busy
machine lets the tester wait. A line is JSON: [path, time.monotonic() of the start, seconds].
"""

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from tests.chaos.load import request
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT

INTERVAL = 0.2  # seconds between two rounds
STATIC = "/static-answer"  # of the proxy
Report = Callable[[str, float, float], None]


@contextmanager
def probing(ports: list[int], report: Report) -> Iterator[None]:
    """Probe meanwhile. `report` is called, in a thread, with the path, the start and the seconds of each probe."""
    command = [sys.executable, "-m", "tests.chaos.prober", *map(str, ports)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
    reader = threading.Thread(target=_read, args=[process, report], daemon=True)
    reader.start()
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        reader.join()


def _read(process: "subprocess.Popen[str]", report: Report) -> None:
    for line in process.stdout or ():
        report(*json.loads(line))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("ports", type=int, nargs="+", help="of the proxy, then of the web hosts")
    ports = parser.parse_args().ports
    with suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    while True:
        for path, port in [(STATIC, ports[0]), *(("/healthz", port) for port in ports)]:
            began = time.monotonic()
            _, seconds = request(port, "GET", path)
            print(json.dumps([path, began, seconds]), flush=True)  # noqa: T201
        time.sleep(INTERVAL)


if __name__ == "__main__":
    main()

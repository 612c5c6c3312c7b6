"""P1 and P2 under random faults: the short form of `make chaos`."""

import subprocess
import sys

import pytest

from tests.support.site import ROOT

QUICK = (
    "kill-pusher,kill-monitor,kill-sentinel,kill-main,kill-watchdog,kill-idle-workers,kill-busy-worker,kill-supervisor,"
    "kill-cluster,stop-cluster,cold-kill,end-connections,restart-postgres,kill-smtp,smtp-421,smtp-550,smtp-dies"
)


@pytest.mark.timeout(420)
def test_a_minute_of_chaos_loses_nothing():
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "1", "--calm", "0.2", "--clusters", "2"]
    command += ["--count-only", "--kinds", QUICK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]

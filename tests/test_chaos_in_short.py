"""P1 and P2 under random faults: the short form of `make chaos`."""

import subprocess
import sys

import pytest

from tests.site import ROOT


@pytest.mark.timeout(420)
def test_a_minute_of_chaos_loses_nothing():
    command = [sys.executable, "-m", "tests.chaos", "--minutes", "1", "--calm", "0.2", "--clusters", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]

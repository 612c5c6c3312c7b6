"""The supervisor's sign of life: systemd's watchdog, and the file that the image's health check reads."""

import os
import socket
import subprocess
import sys
import time

import pytest

from jobs.cluster.sign_of_life import SignOfLife
from tests.support.site import ROOT


def healthcheck(file) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "WORKER_ALIVE_FILE": str(file)}
    command = [sys.executable, str(ROOT / "deploy/docker/healthcheck.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("abstract", [False, True])
def test_systemd_is_notified(tmp_path, abstract):
    address = f"\0deploy-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(5)
        SignOfLife("", address.replace("\0", "@"))()
        assert systemd.recv(100) == b"READY=1\nWATCHDOG=1"


def test_a_sign_in_the_file_counts_as_alive_and_an_old_one_does_not(tmp_path):
    file = tmp_path / "alive"
    assert healthcheck(file).returncode == 1
    SignOfLife(str(file), "")()
    assert healthcheck(file).returncode == 0
    file.write_text(f"{time.monotonic() - 60}\n")
    assert "no sign of life for 6" in healthcheck(file).stderr
    file.write_text(f"{time.monotonic() + 60}\n")  # left by a container on a machine that has started again
    assert healthcheck(file).returncode == 1


def test_a_sign_is_given_at_most_once_a_second_and_a_refused_one_stops_nothing(tmp_path):
    file = tmp_path / "alive"
    sign = SignOfLife(str(file), str(tmp_path / "no-socket"))
    sign()
    file.unlink()
    sign()
    assert not file.exists()
    SignOfLife("/nowhere/alive", "")()

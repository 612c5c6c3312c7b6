"""/healthz while the code of a web process is loading: refused by a site that starts, answered in a reload."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.support.machine import HERE, eventually
from tests.support.site import ROOT, Site

HOLD = """
import sys, time
from pathlib import Path

class Hold:
    def find_spec(self, name, path=None, target=None):
        while name == "notifier.urls" and Path({hold!r}).exists():
            Path({held!r}).touch()
            time.sleep(0.05)

sys.meta_path.insert(0, Hold())
"""
PROBES = 20  # so that a process that does not answer would get one


class SlowSite(Site):
    """A site whose web processes load their code no further while `hold` exists, and make `held` then."""

    def __init__(self, folder: Path) -> None:
        self.hold, self.held = folder / "hold", folder / "held"
        (folder / "sitecustomize.py").write_text(HOLD.format(hold=str(self.hold), held=str(self.held)))
        super().__init__(PYTHONPATH=str(folder))

    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.processes["web"].pid).children()

    def answer_while_loading(self) -> int:
        """Return the errno of a connection to the site while its web processes are held; 0 when it is accepted."""
        with self.loading(), socket.socket() as connection:
            return connection.connect_ex((HERE, self.port))

    @contextmanager
    def loading(self) -> Iterator[None]:
        """The time in which a web process is held."""
        eventually(self.held.exists)
        try:
            yield
        finally:
            self.hold.unlink()


@pytest.fixture
def site(tmp_path):
    with SlowSite(tmp_path) as made:
        yield made


def test_a_site_refuses_connections_until_its_code_is_loaded(site):
    site.hold.touch()
    answers = []
    probe = threading.Thread(target=lambda: answers.append(site.answer_while_loading()))
    probe.start()
    site.start("web")  # by this thread: a process dies with the thread that started it
    probe.join()
    assert answers == [errno.ECONNREFUSED]
    assert site.get("/healthz")[0] == 200


def test_what_holds_the_interpreters_lock_is_loaded_before_a_connection_is_accepted(site):
    code = "import notifier.wsgi, ua_parser, sys; sys.exit(0 if 'parser' in vars(ua_parser) else 'compiled later')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=site.environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_in_a_reload_the_old_processes_answer_until_the_new_ones_can(site):
    site.start("web")
    old = site.workers()
    site.hold.touch()
    site.processes["web"].send_signal(signal.SIGHUP)
    with site.loading():
        assert all(site.get("/healthz")[0] == 200 for _ in range(PROBES))
        assert set(old) < set(site.workers())
    psutil.wait_procs(old, timeout=60)
    eventually(lambda: len(site.workers()) == len(old) and not set(old) & set(site.workers()))
    assert all(site.get("/healthz")[0] == 200 for _ in range(PROBES))
    assert {os.getpriority(os.PRIO_PROCESS, thread.id) for one in site.workers() for thread in one.threads()} == {
        os.getpriority(os.PRIO_PROCESS, 0)
    }

"""A web process that starts: it refuses connections, loads with a low priority, and then listens."""

import errno
import gc
import logging
import os
import socket
import sys
import threading
from types import SimpleNamespace

import pytest
from gunicorn.sock import BaseSocket, create_sockets
from gunicorn.workers import gthread

from notifier.web import worker as web

SETTINGS = {
    "backlog": 8,
    "certfile": None,
    "keyfile": None,
    "reuse_port": False,
    "umask": 0,
    "uid": os.getuid(),
    "gid": os.getgid(),
}


@pytest.fixture
def worker():
    made = object.__new__(web.Worker)
    made.cfg = SimpleNamespace(backlog=8)
    return made


@pytest.fixture(params=["tcp", "unix"])
def listener(request, tmp_path):
    """A socket as gunicorn makes it."""
    before = dict(vars(BaseSocket))
    web.leave_listening_to_workers()
    address = ("127.0.0.1", 0) if request.param == "tcp" else str(tmp_path / "site")
    [made] = create_sockets(SimpleNamespace(address=[address], **SETTINGS), logging.getLogger())
    yield made
    made.close()
    for name, value in before.items():
        if vars(BaseSocket)[name] is not value:
            setattr(BaseSocket, name, value)


def connect(listener) -> int:
    """Return the errno of a connection; 0 when it is accepted."""
    with socket.socket(listener.family) as client:
        return client.connect_ex(listener.getsockname())


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_socket_refuses_connections_until_the_worker_runs(worker, listener, monkeypatch):
    monkeypatch.setattr(gthread.ThreadWorker, "run", lambda _: None)
    worker.sockets = [listener]
    interval = sys.getswitchinterval()
    assert connect(listener) == errno.ECONNREFUSED
    try:
        worker.run()
        assert connect(listener) == 0
        assert sys.getswitchinterval() < interval
    finally:
        sys.setswitchinterval(interval)


def test_loading_gives_way_to_others_and_what_is_loaded_is_left_out_of_collections(worker, monkeypatch):
    seen: list[int] = []

    def load(loading: web.Worker) -> None:
        seen.append(niceness())
        loading.wsgi = lambda *_: []

    monkeypatch.setattr(gthread.ThreadWorker, "load_wsgi", load)
    before = niceness()
    try:
        worker.load_wsgi()
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
    assert (seen, niceness()) == ([web.LOADING_NICENESS], before)


def test_an_error_of_loading_is_raised(worker, monkeypatch):
    monkeypatch.setattr(gthread.ThreadWorker, "load_wsgi", lambda _: sys.exit(7))
    with pytest.raises(SystemExit):
        worker.load_wsgi()

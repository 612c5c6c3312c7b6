"""A web process that starts: it refuses connections, loads with a low priority, and then listens."""

import gc
import os
import socket
import sys
import threading
from types import SimpleNamespace

import pytest
from gunicorn.workers import gthread

from notifier.web import worker as web


@pytest.fixture
def worker():
    made = object.__new__(web.Worker)
    made.cfg = SimpleNamespace(backlog=8)
    return made


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as made:
        yield made


def niceness() -> int:
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_socket_refuses_connections_until_the_worker_runs(worker, listener, monkeypatch):
    monkeypatch.setattr(gthread.ThreadWorker, "run", lambda _: None)
    worker.sockets = [listener]
    interval = sys.getswitchinterval()
    web.refuse_connections([listener])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(listener.getsockname(), 10)
    try:
        worker.run()
        socket.create_connection(listener.getsockname(), 10).close()
        assert sys.getswitchinterval() < interval
    finally:
        sys.setswitchinterval(interval)


def test_a_unix_socket_listens_all_the_time(tmp_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(str(tmp_path / "site"))
        listener.listen()
        web.refuse_connections([listener])
        assert client.connect_ex(str(tmp_path / "site")) == 0


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

"""CONTRIBUTING.md, "A newcomer's walk": the files of a real sign-in, its email and the settlement of its job."""

import multiprocessing
import os
import queue

import django_q.worker
import pytest
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from django_q.brokers import get_broker
from django_q.signing import SignedPackage

from accounts.notices import sign_in as notices
from accounts.user import User
from tests.support.mail import delivering_to
from tests.support.people import browser, person
from tests.support.smtp_server import SmtpServer
from tests.support.walk import DOCUMENT, MOST_FILES, RETURNS_ALLOWED, Recorder, make_walk, replace_walk


def request_of(user):
    client = browser()
    client.force_login(user)
    request = client.get("/accounts/activity/").wsgi_request
    request.session.cycle_key()
    return request


def fetched_tasks():
    """The visible messages as django-q2's pusher process hands them to a worker, and the end of the work."""
    tasks = queue.SimpleQueue()
    for receipts, payload in get_broker().dequeue():
        tasks.put({**SignedPackage.loads(payload), "ack_id": receipts})
    tasks.put("STOP")
    return tasks


def work(tasks):
    django_q.worker.worker(tasks, queue.SimpleQueue(), multiprocessing.Value("f", -1), timeout=None)


def sign_in(request):
    with transaction.atomic():
        user_logged_in.send(User, request=request, user=request.user)


@pytest.fixture
def walk(settings, monkeypatch):
    """The second sign-in of a user: the first one has filled the caches, as in a worker that runs."""
    monkeypatch.setattr(django_q.worker, "setproctitle", None)
    request = request_of(person())
    recorder = Recorder()
    with delivering_to(SmtpServer(), settings) as server:
        notices.preload()
        sign_in(request)
        work(fetched_tasks())
        before = len(server.mails)
        with recorder.running():
            sign_in(request)
        tasks = fetched_tasks()
        with recorder.running():
            work(tasks)
        assert len(server.mails) == before + 1
    return make_walk(recorder.calls)


@pytest.mark.django_db(transaction=True)
def test_contributing_shows_the_walk_of_a_traced_sign_in_and_it_is_short(walk):
    if os.environ.get("WRITE_WALK"):
        DOCUMENT.write_text(replace_walk(DOCUMENT.read_text(), walk))
    assert replace_walk(DOCUMENT.read_text(), walk) == DOCUMENT.read_text(), "run scripts/walk"
    assert len(walk.files) <= MOST_FILES
    assert {call.file for call in walk.returns} <= RETURNS_ALLOWED

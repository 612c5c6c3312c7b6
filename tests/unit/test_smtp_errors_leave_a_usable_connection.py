"""One kept connection for a process: reused, replaced when it is dead, and never a reason to send a mail twice."""

import os
import socketserver
import threading

import pytest

from accounts.mail import smtp
from jobs.core.errors import Permanent, Temporary, Throttled, Unreachable
from tests.support.mail import delivering_to, send, set_mailer
from tests.support.smtp_server import SmtpServer


@pytest.fixture(params=[False, True], ids=["", "pipelining"])
def server(settings, request):
    with delivering_to(SmtpServer(pipelining=request.param), settings) as running:
        yield running


def test_many_mails_go_over_one_connection(server):
    for number in range(20):
        send(f"signin-{number}")
    assert (len(server.mails), server.connections) == (20, 1)


def test_a_refused_recipient_does_not_end_the_connection(server):
    server.behave(answer="550 5.1.1 no such user", only="unknown@")
    for address in ("a@example.mn", "unknown@example.mn", "b@example.mn"):
        if address.startswith("unknown"):
            with pytest.raises(Permanent):
                send(email=address)
        else:
            send(email=address)
    assert [mail.rcpt for mail in server.mails] == [["a@example.mn"], ["b@example.mn"]]
    assert server.connections == 1


def test_a_server_that_was_restarted_meanwhile_gets_the_next_mail(server):
    send("signin-1")
    server.stop()
    server.start()
    send("signin-2")
    assert [mail.message_id for mail in server.mails] == ["<signin-1@testserver>", "<signin-2@testserver>"]


@pytest.mark.parametrize(
    "ending",
    [{"die": True}, {"answer": "421 4.4.2 idle for too long"}, {"hang": True}],
    ids=["closed", "421", "silent"],
)
def test_a_kept_connection_that_died_is_replaced_within_the_same_attempt(server, settings, ending):
    set_mailer(settings, timeout=0.5)
    send("signin-1")
    server.behave(at="MAIL", times=1, **ending)
    send("signin-2")
    assert [mail.message_id for mail in server.mails] == ["<signin-1@testserver>", "<signin-2@testserver>"]
    assert server.connections == 2


def test_it_is_replaced_once_and_no_more(server):
    send("signin-1")
    server.behave(at="MAIL", die=True)
    with pytest.raises(Unreachable):
        send("signin-2")
    assert server.connections == 2


@pytest.mark.parametrize(("ending", "error"), [({"die": True}, Unreachable), ({"hang": True}, Temporary)])
def test_a_mail_that_may_have_been_taken_is_left_to_the_queue(server, settings, ending, error):
    set_mailer(settings, timeout=0.5)
    send("signin-1")
    server.behave(at="DATA", **ending)
    with pytest.raises(error):
        send("signin-2")
    assert [mail.message_id for mail in server.mails].count("<signin-2@testserver>") == 1
    server.behave()
    send("signin-2")
    assert [mail.message_id for mail in server.mails].count("<signin-2@testserver>") == 2


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ({"at": "RCPT", "answer": "421 4.7.0 later"}, Throttled),
        ({"at": "RCPT", "hang": True}, Temporary),
        ({"at": "DATA", "answer": "451 later"}, Temporary),
        ({"at": "RCPT", "die": True}, Unreachable),
    ],
)
def test_the_mail_after_any_failure_goes_through(server, settings, behaviour, error):
    set_mailer(settings, timeout=0.5)
    server.behave(times=1, **behaviour)
    with pytest.raises(error):
        send("signin-1")
    send("signin-2")
    assert server.mails[-1].message_id == "<signin-2@testserver>"


def test_a_worker_that_is_interrupted_in_the_dialogue_forgets_the_connection(server, settings, monkeypatch):
    """The worker's alarm raises SystemExit wherever the process happens to wait."""

    def alarm(*_):
        raise SystemExit

    send("signin-1")
    with monkeypatch.context() as patched:
        patched.setattr("smtplib.SMTP.getreply", alarm)
        with pytest.raises(SystemExit):
            send("signin-2")
    send("signin-3")
    assert server.connections == 2


def test_a_forked_process_opens_its_own_connection_and_leaves_its_parents_alone(server):
    send("signin-1")
    child = os.fork()
    if child == 0:
        try:
            send("signin-2")
            smtp.close_connection()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    send("signin-3")
    assert [mail.message_id for mail in server.mails] == [f"<signin-{n}@testserver>" for n in (1, 2, 3)]
    assert server.connections == 2


def test_a_connection_unused_for_long_is_not_trusted(server, monkeypatch):
    send("signin-1")
    monkeypatch.setattr(smtp, "IDLE_SECONDS", 0)
    send("signin-2")
    assert server.connections == 2


def test_another_server_in_the_settings_gets_the_next_mail(server, settings):
    send("signin-1")
    other = SmtpServer()
    with delivering_to(other, settings):
        send("signin-2")
    assert [len(server.mails), len(other.mails)] == [1, 1]


class Scripted(socketserver.StreamRequestHandler):
    """A server with PIPELINING that wants the mail of a recipient it has refused (RFC 2920, 3.1 allows it)."""

    def handle(self) -> None:
        self._say("220 scripted")
        while line := self.rfile.readline():
            match line.split(b" ")[0].strip().upper():
                case b"EHLO":
                    self._say("250-scripted\r\n250 PIPELINING")
                case b"RCPT":
                    self.refused = b"unknown@" in line
                    self._say("550 5.1.1 no such user" if self.refused else "250 ok")
                case b"DATA":
                    self._say("354 go on")
                    content = b"".join(iter(self.rfile.readline, b".\r\n"))
                    self.server.contents.append(content)
                    self._say("554 no valid recipients" if self.refused else "250 taken")
                case b"QUIT":
                    return self._say("221 bye")
                case _:
                    self._say("250 ok")
        return None

    def _say(self, words: str) -> None:
        self.wfile.write(words.encode() + b"\r\n")


def test_a_server_that_wants_the_mail_of_a_refused_recipient_gets_an_empty_one(settings):
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Scripted) as scripted:
        scripted.contents, scripted.daemon_threads = [], True
        threading.Thread(target=scripted.serve_forever, daemon=True).start()
        host, port = scripted.server_address
        set_mailer(settings, host=host, port=port, timeout=5)
        send("signin-1")
        with pytest.raises(Permanent, match="no such user"):
            send("signin-2", email="unknown@example.mn")
        send("signin-3")
        smtp.close_connection()
        scripted.shutdown()
    assert [len(content) > 1000 for content in scripted.contents] == [True, False, True]
    assert b"<signin-3@testserver>" in scripted.contents[2]

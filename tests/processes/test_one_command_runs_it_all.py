"""`make run`: the site, its worker and a mailbox from one command, and nothing of them left behind."""

import http.cookiejar
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing

import pytest

from tests.support.machine import HERE, eventually
from tests.support.make_run import MakeRun
from tests.support.site import ROOT

NOTHING: dict[int, str] = {}
HEARTBEATS = "SELECT seen_at FROM jobs_cluster"


class Visitor:
    """A browser without a screen: keeps cookies, sends forms with their CSRF token."""

    def __init__(self, run: MakeRun) -> None:
        cookies = http.cookiejar.CookieJar()
        self.run = run
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))

    def get(self, path: str) -> str:
        with self.opener.open(self.run.url + path, timeout=20) as answer:
            return answer.read().decode()

    def status(self, path: str) -> int:
        try:
            with self.opener.open(self.run.url + path, timeout=20) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code
        except OSError:
            return 0

    def sign_in(self, username: str) -> None:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.get("/accounts/login/"))
        assert token
        form = {"login": username, "password": self.run.passwords()[username], "csrfmiddlewaretoken": token[1]}
        form["next"] = "/dev/mailbox/"
        with self.opener.open(f"{self.run.url}/accounts/login/", urllib.parse.urlencode(form).encode()) as answer:
            assert answer.url.endswith("/dev/mailbox/"), answer.read().decode()


def statuses(run: MakeRun) -> list[str]:
    return [status for (status,) in rows(run, "SELECT status FROM job_logs")]


def rows(run: MakeRun, query: str) -> list[tuple]:
    with closing(sqlite3.connect(run.folder / "notifier.sqlite3")) as database:
        return database.execute(query).fetchall()


@pytest.fixture(scope="module")
def first_run():
    with MakeRun(fresh=True) as run:
        run.ready()
        yield run


def test_a_sign_in_as_the_demo_user_is_a_mail_in_the_mailbox_and_a_completed_job(first_run):
    visitor = Visitor(first_run)
    visitor.sign_in("demo")
    page = eventually(lambda: (found := visitor.get("/dev/mailbox/")).count("demo@example.mn") and found)
    assert "Yellow Books" in page or "Шар хуудас" in page
    eventually(lambda: set(statuses(first_run)) == {"completed"})


def test_the_operator_gets_into_the_admin(first_run):
    visitor = Visitor(first_run)
    visitor.sign_in("operator")
    assert visitor.status("/admin/") == 200


def test_both_passwords_are_printed_and_are_not_alike(first_run):
    given = first_run.passwords()
    assert set(given) == {"demo", "operator"}
    assert given["demo"] != given["operator"]


def test_static_files_are_served(first_run):
    assert Visitor(first_run).status("/static/dev.css") == 200


def test_a_second_one_on_the_same_port_says_so_and_starts_nothing(first_run):
    with MakeRun(fresh=True, PORT=str(first_run.port)) as second:
        assert second.wait() != 0
        assert f"Port {first_run.port} cannot be used" in second.said()
        assert not (second.folder / "notifier.sqlite3").exists()


def test_a_taken_port_of_the_mail_catcher_is_reported_before_anything_starts():
    with socket.create_server((HERE, 0)) as taken:
        port = taken.getsockname()[1]
        with MakeRun(fresh=True, PORT=str(port - 1)) as run:
            assert run.wait() != 0
            assert "cannot be used" in run.said()
            assert not (run.folder / "notifier.sqlite3").exists()


def test_parts_that_are_killed_are_started_again():
    with MakeRun() as run:
        run.ready()
        for name, part in (("web", "gunicorn"), ("worker", "qcluster"), ("mail", "notifier.dev.catcher")):
            os.kill(run.main(part), signal.SIGKILL)
            eventually(lambda name=name: f"{name} ended unexpectedly" in run.said())
        eventually(lambda: Visitor(run).status("/dev/mailbox/") == 200 and answers(run.port + 1))
        Visitor(run).sign_in("demo")
        eventually(lambda: statuses(run) == ["completed"])


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HERE, port)) == 0


def test_ctrl_c_stops_it_in_order_and_a_second_run_finds_its_data_and_no_password_is_printed_twice():
    with MakeRun() as run:
        run.ready()
        Visitor(run).sign_in("demo")
        run.ctrl_c()
        run.wait()
        assert run.processes() == NOTHING
        stopped = re.findall(r"stopping (\w+)$", run.said(), re.MULTILINE)
        assert stopped == ["web", "worker", "mail"]
        assert "killed" not in run.said()
        passwords = run.passwords()
    with MakeRun(folder=run.folder) as again:
        again.ready()
        assert again.said().count("created earlier") == 2
        assert again.passwords() == {}
        assert not any(password in again.said() for password in passwords.values())
        eventually(lambda: statuses(again) == ["completed"])
        again.ctrl_c()
        again.wait()
    with MakeRun("demo", folder=run.folder) as command:
        assert command.wait() == 0
        assert set(command.passwords()) == {"demo", "operator"}
        assert set(command.passwords().values()).isdisjoint(passwords.values())


def test_sigterm_to_make_stops_everything():
    with MakeRun() as run:
        run.ready()
        run.process.terminate()
        run.wait()
        assert run.processes() == NOTHING
        assert "stopping mail" in run.said()


def test_the_site_ends_with_exit_code_0_when_it_is_asked_to_stop():
    with MakeRun() as run:
        run.ready()
        os.kill(run.main("manage.py run"), signal.SIGTERM)
        assert run.wait() == 0


def test_sigkill_leaves_no_orphans():
    with MakeRun() as run:
        run.ready()
        os.kill(run.main("manage.py run"), signal.SIGKILL)
        eventually(lambda: run.processes() == NOTHING)


@pytest.mark.world
def test_seeding_while_it_runs_puts_no_email_into_the_mailbox():
    with MakeRun() as run:
        run.ready()
        seed = ["make", "seed", "N=20000", "BOOTSTRAP=true", f"VENV={sys.prefix}"]
        subprocess.run(seed, cwd=ROOT, env=run.environment, check=True, capture_output=True)
        assert (
            rows(run, "SELECT count(*) FROM job_logs WHERE status = 'dlq' AND error_class = 'unreachable'")[0][0] > 10
        )
        for _ in range(2):  # with each heartbeat the worker looks for something to do
            seen = rows(run, HEARTBEATS)
            eventually(lambda seen=seen: rows(run, HEARTBEATS) != seen)
        Visitor(run).sign_in("demo")
        eventually(lambda: rows(run, "SELECT status FROM job_logs WHERE job_id LIKE 'signin-%'") == [("completed",)])
        assert len(list((run.folder / "mailbox").glob("*.eml"))) == 1


PRODUCTION = {
    "DEBUG": "0",
    "SECRET_KEY": "not-secret-" * 6,
    "ALLOWED_HOSTS": HERE,
    "SITE_URL": f"http://{HERE}",
    "SUPPORT_EMAIL": "help@example.mn",
    "DEFAULT_FROM_EMAIL": "no-reply@example.mn",
    "EMAIL_HOST": HERE,
    "EMAIL_PORT": "9",
}


def test_outside_debug_there_is_no_mailbox_no_catcher_no_demo_account_and_no_debug_page():
    with MakeRun(**PRODUCTION) as run:
        run.ready()
        visitor = Visitor(run)
        assert {visitor.status(path) for path in ("/dev/", "/dev/mailbox/", "/nowhere")} == {404}
        assert not any("catcher" in command for command in run.processes().values())
        assert not answers(run.port + 1)
        assert visitor.status("/static/admin/css/base.css") == 200
        assert rows(run, "SELECT count(*) FROM accounts_user") == [(0,)]
        assert "user name" not in run.said()


def test_debug_changes_no_mail_server_that_is_given():
    with MakeRun(EMAIL_HOST=HERE, EMAIL_PORT="9") as run:
        run.ready()
        assert not any("catcher" in command for command in run.processes().values())
        assert f"{HERE}:9" in Visitor(run).get("/dev/mailbox/")

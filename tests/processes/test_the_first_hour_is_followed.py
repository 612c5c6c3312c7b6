"""docs/tutorial.md, followed literally: a notice of another site, its event, and a task of the newcomer's own."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.test_the_page_about_sites_is_followed import RECEIVER, follow
from tests.support.machine import eventually
from tests.support.ports import free_port
from tests.support.site import ROOT, Site

PAGE = Path(ROOT, "docs/tutorial.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
[TASK] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
pytestmark = [pytest.mark.world, pytest.mark.timeout(300)]


@pytest.fixture
def site(tmp_path) -> Iterator[Site]:
    """A site as `make run` starts it; tmp_path stands for the folder of manage.py, from which the worker imports."""
    with Site(DEBUG="1", PYTHONPATH=str(tmp_path)) as running:
        running.manage("migrate")
        running.start("mail", "web", "worker")
        yield running


def test_a_newcomer_sends_a_notice_receives_its_event_and_runs_a_task(site, tmp_path):
    started, sent, asked, received, enqueued = COMMANDS
    port, events = free_port(), tmp_path / "events"
    tmp_path.joinpath("receiver.py").write_text(RECEIVER)
    tmp_path.joinpath("hello.py").write_text(TASK)
    received = received.replace("python3 receiver.py &", f"PORT={port} python3 {tmp_path}/receiver.py >{events} 2>&1 &")
    again = "curl " + sent.partition("curl ")[2].replace("first-hour-1", "first-hour-2")
    until = f"for n in $(seq 200); do grep -q notice.delivered {events} && break; sleep 0.3; done; kill %1"
    out = follow(site, started, sent, asked, received, again, until, enqueued.replace("sleep 3", "sleep 8"), port=port)
    assert '{"jobId": "first-hour-1", "status": "enqueued"' in out
    assert out.count('"jobId": "first-hour-1"') == 2
    assert "'type': 'notice.delivered'" in events.read_text()
    eventually(lambda: sum("Mountain Shop" in str(mail["From"]) for mail in site.mails()) == 2)
    assert "Hello, Bat!" in out
    assert "task:hello.greet" in out

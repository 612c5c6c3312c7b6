"""The benchmark of tasks: what it reads from the calls, and what it says of them."""

from pathlib import Path

import pytest

from benchmarks.tasks import calls, report
from benchmarks.tasks.calls import BEGAN, ENDED, Calls
from benchmarks.tasks.contenders import ALL


@pytest.fixture
def noted(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CALLS", str(tmp_path / "calls"))
    calls.descriptor.cache_clear()
    yield tmp_path / "calls"
    calls.descriptor.cache_clear()


def test_calls_are_counted_by_mark_and_number(noted):
    for mark, number in [(BEGAN, 1), (ENDED, 1), (BEGAN, 2), (BEGAN, 1), (ENDED, 1)]:
        calls.note(mark, number)
    ended = Calls.read(noted, ENDED)
    assert ended.times == {1: 2}
    assert Calls.read(noted, BEGAN).at.keys() == {1, 2}
    assert Calls.read(Path(f"{noted}-none"), ENDED).at == {}


def test_a_rate_is_from_the_first_call_to_the_last():
    assert Calls({1: 10.0, 2: 10.5, 3: 11.0, 9: 99.0}, {}).rate(range(1, 4)) == 2.0


def results(**of_a_peer):
    measured = {"enqueue": 500.0, "empty": 400.0, "row": 300.0, "cpu": 2.0, "pickups": [4.0, 5.0]}
    ours = {"running": 2, "seconds": 20.0, "lost": 0, "twice": 0}
    return {
        "machine": "a machine.",
        "rounds": 1,
        "jobs": 10,
        "limit": 100,
        "missing": ["django-ox was not measured."],
        "measurements": {"ours": [measured], "ox": [{**measured, **of_a_peer}], "celery": [{**measured, "empty": 9e9}]},
        "recovery": {"ours": ours, "ox": {"running": 2, "seconds": None, "lost": 2, "twice": 0}},
    }


def test_the_report_says_where_ours_is_behind():
    text = report.render(results(empty=100.0, pickups=[9.0], enqueue=501.0, row=299.0))
    assert "| drain of empty tasks, tasks/s | 400 | django-ox | 100 | ahead |" in text, "Redis is not compared"
    assert "| enqueue, tasks/s | 500 | django-ox | 501 | BEHIND |" in text
    assert "| recovery, s | 20.0 | no other | - | ahead |" in text
    assert "| django-ox | 2 | not within 100 s | 2 | 0 |" in text
    assert "django-ox was not measured." in text


def test_each_contender_has_its_module():
    folder = Path(report.__file__).parent / "peers"
    assert all((folder / f"{contender.module}.py").exists() for contender in ALL)

"""The system check of SCHEDULES: each fault has an id, a sentence and what to write."""

import pytest

from jobs.schedules import checks, registry

RIGHT = {"task": "tests.support.sample_tasks.echo", "cron": "0 9 * * 1", "timezone": "Asia/Ulaanbaatar"}


@pytest.mark.parametrize(
    ("name", "entry", "said"),
    [
        ("Weekly digest", RIGHT, "the name is not valid"),
        ("x" * 65, RIGHT, "the name is not valid"),
        (7, RIGHT, "the name is not valid"),
        ("a", "daily", "not a dictionary"),
        ("a", {**RIGHT, "corn": "* * * * *"}, "unknown keys: corn"),
        ("a", {"task": RIGHT["task"]}, "missing keys: cron, timezone"),
        ("a", {**RIGHT, "cron": "61 * * * *"}, "the cron expression '61 * * * *' is not valid (Bad minute)"),
        ("a", {**RIGHT, "cron": "0 0 30 2 *"}, "is not valid"),
        ("a", {**RIGHT, "cron": 5}, "is not valid"),
        ("a", {**RIGHT, "timezone": "Ulaanbaatar"}, "there is no time zone 'Ulaanbaatar'"),
        ("a", {**RIGHT, "timezone": None}, "there is no time zone None"),
        ("a", {**RIGHT, "timezone": []}, "there is no time zone []"),
        ("a", {**RIGHT, "task": "nowhere.digest"}, "cannot be imported"),
        ("a", {**RIGHT, "task": "tests.support.sample_tasks.note"}, "is not a task"),
        ("a", {**RIGHT, "task": 5}, "is not a dotted path"),
        ("a", {**RIGHT, "args": "x"}, "args is not a list"),
        ("a", {**RIGHT, "args": [object()]}, "arguments"),
        ("a", {**RIGHT, "kwargs": [1]}, "kwargs is not a dictionary"),
        ("a", {**RIGHT, "lane": "fast"}, "there is no lane 'fast'"),
    ],
)
def test_a_wrong_entry_is_reported_and_left_out(settings, name, entry, said):
    settings.SCHEDULES = {name: entry, "right": RIGHT}
    [message] = checks.possible_schedules()
    assert message.id == "jobs.E010"
    assert said in message.msg
    assert message.hint
    assert list(registry.all_schedules()) == ["right"]


def test_the_setting_must_be_a_dictionary(settings):
    settings.SCHEDULES = ["a"]
    assert [message.id for message in checks.possible_schedules()] == ["jobs.E010"]
    assert registry.all_schedules() == {}


def test_the_schedules_of_the_site_are_right():
    assert checks.possible_schedules() == []
    assert list(registry.all_schedules()) == ["prune"]

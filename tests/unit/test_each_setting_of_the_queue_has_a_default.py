"""jobs/conf.py: a project sets what it changes, and every other module reads the rest there."""

import ast
from pathlib import Path

import pytest
import structlog
from django.conf import global_settings
from django.test import override_settings

from jobs import log_lines
from jobs.conf import QueueSettings, Setting, conf, numbers
from notifier import settings as site_settings
from tests.support.site import ROOT

OWN = [name for name, each in vars(QueueSettings).items() if isinstance(each, Setting)]


@pytest.mark.parametrize("name", OWN)
def test_a_setting_is_the_projects_or_the_default(settings, name):
    setattr(settings, name, 77)
    assert getattr(conf, name) == 77
    delattr(settings, name)
    assert getattr(conf, name) == getattr(QueueSettings, name)


@pytest.mark.parametrize("name", OWN)
def test_a_default_is_a_possible_value(name):
    least = numbers().get(name)
    assert least is None or getattr(QueueSettings, name) >= least


def test_the_time_limit_follows_from_the_lease(settings):
    settings.JOB_LEASE_SECONDS = 90
    assert (conf.JOB_TIMEOUT_SECONDS, QueueSettings.JOB_LEASE_SECONDS) == (60, 45)
    settings.JOB_TIMEOUT_SECONDS = 20
    assert conf.JOB_TIMEOUT_SECONDS == 20


def test_a_projects_entries_of_q_cluster_stay_and_the_others_are_added(settings):
    settings.Q_CLUSTER = {"name": "shop", "workers": 7}
    assert conf.cluster["name"] == "shop"
    assert conf.cluster["workers"] == 7
    assert conf.cluster["broker_class"] == "jobs.brokers.orm.OrmBroker"
    settings.Q_CLUSTER, settings.Q_BROKER, settings.REDIS_URL = {}, "redis", "redis://127.0.0.1:1/0"
    assert conf.cluster["broker_class"] == "jobs.brokers.redis.RedisBroker"
    assert conf.cluster["redis"] == "redis://127.0.0.1:1/0"
    assert "orm" not in conf.cluster


def test_the_folder_of_a_project_is_its_own_or_where_it_was_started(settings, tmp_path, monkeypatch):
    settings.BASE_DIR = str(tmp_path)
    assert conf.base_dir == tmp_path
    del settings.BASE_DIR
    monkeypatch.chdir(tmp_path.parent)
    assert conf.base_dir == tmp_path.parent


def test_no_other_module_of_the_queue_reads_a_setting_that_a_project_may_lack():
    of_django = {name for name in dir(global_settings) if name.isupper()} | {"TASKS"}
    found = {
        f"{path.relative_to(ROOT)}: {node.attr}"
        for path in Path(ROOT, "jobs").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "settings"
        and isinstance(node.ctx, ast.Load)
        and node.attr not in of_django
    }
    assert found == set()


def test_the_site_repeats_no_default_of_the_queue():
    tree = ast.parse(Path(site_settings.__file__).read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) == 2]
    named = {call.args[0].value: ast.unparse(call.args[1]) for call in calls if isinstance(call.args[0], ast.Constant)}
    assert {name: named[name] for name in OWN if name in named} == {
        name: f"Queue.{name}" for name in OWN if name in named
    }
    assert len(set(named) & set(OWN)) >= 10


def test_lines_go_to_the_standard_loggers_masked_without_a_configuration_of_structlog(caplog):
    before = structlog.get_config()
    try:
        structlog.reset_defaults()
        log_lines.configure()
        with override_settings(), caplog.at_level("INFO", "jobs"):
            structlog.get_logger("jobs.example").info("a job 50 %d", name="Bat", error="bat@example.mn", module="x")
    finally:
        structlog.configure(**before)
    [record] = caplog.records
    assert record.name == "jobs.example"
    assert record.getMessage() == "event='a job 50 %d' name='<hidden>' error='<address>' module='x'"


def test_a_projects_own_configuration_of_structlog_stays():
    before = structlog.get_config()
    log_lines.configure()
    assert structlog.get_config() == before

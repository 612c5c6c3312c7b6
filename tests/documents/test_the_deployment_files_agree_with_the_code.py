"""What deploy/ starts exists, gives every setting that is required, and leaves work in flight the time it needs.

Whether systemd, nginx, Docker and Kubernetes would take the files is for scripts/check-deploy.
"""

import re
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from jobs.conf import conf
from jobs.management.commands import qcluster
from notifier import settings as site_settings
from tests.processes.test_wrong_settings_stop_the_start import REQUIRED, STARTS, start
from tests.support.site import ROOT

DEPLOY = Path(ROOT, "deploy")
UNITS = {path.stem: path.read_text() for path in (DEPLOY / "systemd").glob("*.service")}
COMPOSE = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
MANIFESTS = [
    manifest
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
]
SECRET = {"SECRET_KEY", "DATABASE_URL", "EMAIL_HOST_USER", "EMAIL_HOST_PASSWORD"}


def manifests(kind):
    return {manifest["metadata"]["name"]: manifest for manifest in MANIFESTS if manifest["kind"] == kind}


def pods():
    return {
        name: manifest["spec"]["template"]
        for kind in ("Deployment", "Job")
        for name, manifest in manifests(kind).items()
    }


def test_every_program_that_is_started_exists():
    units = [re.search(r"^ExecStart=\S*/(.+)$", unit, re.MULTILINE)[1].split() for unit in UNITS.values()]
    services = [service["command"] for service in COMPOSE["services"].values() if service.get("image") == "notifier"
                and "command" in service]  # fmt: skip
    containers = [pod["spec"]["containers"][0].get("args", []) for pod in pods().values()]
    for program in [*units, *services, *containers]:
        if "manage.py" in program:
            assert program[program.index("manage.py") + 1] in get_commands(), program
        elif program:
            assert program[:2] == ["gunicorn", "notifier.wsgi"]


@pytest.mark.skipif(not Path(ROOT, ".git").exists(), reason="not a checkout")
def test_a_worker_knows_its_version_in_a_checkout_of_another_user(monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in docs/guide.md: root's code, notifier's process
    assert qcluster.version()


def test_compose_and_kubernetes_give_settings_that_exist_and_all_that_are_required():
    compose = COMPOSE["x-notifier"]["environment"]
    kubernetes = manifests("ConfigMap")["notifier"]["data"]
    assert set(compose) | set(kubernetes) | SECRET <= set(site_settings.env._fields)
    assert set(REQUIRED) <= set(compose)
    assert set(REQUIRED) <= set(kubernetes) | SECRET


def test_the_site_starts_with_the_settings_of_kubernetes():
    secret = {"SECRET_KEY": "s" * 50, "DATABASE_URL": "postgres://notifier:x@db:5432/notifier"}
    done = start(STARTS["manage.py"], **manifests("ConfigMap")["notifier"]["data"], **secret)
    assert done.returncode == 0, done.stderr


def test_a_worker_that_is_asked_to_stop_has_time_for_its_work_in_flight():
    grace = conf.JOB_TIMEOUT_SECONDS + 10
    unit = int(re.search(r"^TimeoutStopSec=(\d+)$", UNITS["notifier-worker"], re.MULTILINE)[1])
    compose = int(COMPOSE["services"]["worker"]["stop_grace_period"].removesuffix("s"))
    assert min(unit, compose, pods()["notifier-worker"]["spec"]["terminationGracePeriodSeconds"]) >= grace


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_tells_only_the_main_process_to_stop(unit):
    assert "\nKillMode=mixed\n" in UNITS[unit]


def test_every_file_that_the_image_copies_is_there_and_reaches_the_builder():
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DEPLOY / "docker/Dockerfile").read_text(), re.MULTILINE)
    files = {file for line in copied for file in line.split()}
    let_in = set(re.findall(r"^!(\S+)$", Path(ROOT, ".dockerignore").read_text(), re.MULTILINE))
    assert all(Path(ROOT, file).exists() for file in files)
    assert files == let_in


def test_what_selects_pods_selects_some():
    labels = [pod["metadata"]["labels"].items() for pod in pods().values()]
    for manifest in MANIFESTS:
        spec = manifest.get("spec", {})
        chosen = spec.get("podSelector", spec.get("selector"))
        if chosen:
            wanted = chosen.get("matchLabels", chosen).items()
            assert any(wanted <= found for found in labels), manifest["metadata"]["name"]


def test_pods_and_containers_may_do_nothing_but_their_work():
    for name, pod in pods().items():
        container = pod["spec"]["containers"][0]["securityContext"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"], name
        assert container["readOnlyRootFilesystem"], name
        assert not container["allowPrivilegeEscalation"], name
        assert container["capabilities"] == {"drop": ["ALL"]}, name


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_a_site_whose_worker_is_away_stays_in_service(probe):
    container = pods()["notifier-web"]["spec"]["containers"][0]
    assert container[probe]["httpGet"]["path"] == "/healthz"

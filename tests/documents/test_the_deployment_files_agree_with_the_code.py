"""What deploy/ starts exists, gives every setting that is required, and leaves work in flight the time it needs.

Whether systemd, nginx, Docker and Kubernetes would take the files is for scripts/check-deploy.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from django.core.management import get_commands

from jobs.conf import conf
from jobs.management.commands import qcluster
from notifier import settings as site_settings
from notifier.environment.secret_files import SECRETS
from tests.processes.test_wrong_settings_stop_the_start import REQUIRED, STARTS, start
from tests.support.site import ROOT

DEPLOY = Path(ROOT, "deploy")
UNITS = {path.stem: path.read_text() for path in (DEPLOY / "systemd").glob("*.service")}
COMPOSE = yaml.safe_load(Path(ROOT, "compose.yaml").read_text())
MANIFESTS = [
    manifest
    for path in sorted((DEPLOY / "kubernetes/base").glob("*.yaml"))
    for manifest in yaml.safe_load_all(path.read_text())
    if manifest["kind"] != "Kustomization"
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
    given = {name.removesuffix("_FILE") if name.removesuffix("_FILE") in SECRETS else name for name in compose}
    assert given | set(kubernetes) | SECRET <= set(site_settings.env._fields)
    assert set(REQUIRED) <= given
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


def test_no_file_that_starts_everything_holds_a_secret():
    environments = [service.get("environment", {}) for service in COMPOSE["services"].values()]
    for environment in [COMPOSE["x-notifier"]["environment"], *environments]:
        assert not set(environment) & (SECRETS | {"POSTGRES_PASSWORD"})
        assert all(
            value.startswith("/run/notifier/") for name, value in environment.items() if name.endswith("_KEY_FILE")
        )


def test_every_service_that_runs_on_has_a_health_check_and_every_volume_a_name():
    for name, service in COMPOSE["services"].items():
        ends = service.get("restart") == "no"
        own = "healthcheck" in service and not service["healthcheck"].get("disable")
        assert ends or own or (service.get("image") == "notifier" and name == "web"), name  # the image has its own
        for volume in service.get("volumes", []):
            assert volume.partition(":")[0] in COMPOSE["volumes"]


def test_the_processes_of_the_procfile_exist():
    lines = dict(line.split(": ", 1) for line in Path(ROOT, "Procfile").read_text().splitlines())
    assert set(lines) == {"release", "web", "worker"}
    for command in re.findall(r"manage.py (\w+)", lines["release"] + lines["worker"]):
        assert command in get_commands()
    assert lines["web"].endswith("gunicorn notifier.wsgi")


def test_systemd_gives_each_credential_as_the_file_of_a_secret():
    text = (DEPLOY / "systemd/credentials.conf").read_text()
    loaded = set(re.findall(r"^LoadCredential=([A-Z_]+):", text, re.MULTILINE))
    given = dict(re.findall(r"([A-Z_]+)_FILE=%d/([A-Z_]+)", text))
    assert loaded == set(given) == set(given.values())
    assert loaded
    assert loaded <= SECRETS


def test_the_example_overlay_changes_what_is_there():
    overlay = yaml.safe_load((DEPLOY / "kubernetes/overlays/example/kustomization.yaml").read_text())
    assert {each["name"] for each in overlay["replicas"]} <= set(pods())
    images = {pod["spec"]["containers"][0]["image"].partition(":")[0] for pod in pods().values()}
    assert {each["name"] for each in overlay["images"]} == images
    base = yaml.safe_load((DEPLOY / "kubernetes/base/kustomization.yaml").read_text())
    files = {path.name for path in (DEPLOY / "kubernetes/base").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(base["resources"]) == files


def faults_found(name, *arguments):
    """What a linter of requirements-dev.txt finds; the test is skipped where it is not installed."""
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        pytest.skip(f"{name} is not installed: requirements-dev.txt")
    done = subprocess.run([program, *arguments], cwd=ROOT, capture_output=True, text=True)
    return (done.stdout + done.stderr or "failed") if done.returncode else ""


@pytest.mark.parametrize(
    ("schema", "file"),
    [
        ("compose-spec", "compose.yaml"),
        ("github-workflows", ".github/workflows/ci.yml"),
        ("github-workflows", ".github/workflows/security.yml"),
        ("dependabot", ".github/dependabot.yml"),
    ],
)
def test_a_file_for_another_program_matches_its_schema(schema, file):
    assert faults_found("check-jsonschema", "--builtin-schema", f"vendor.{schema}", file) == ""


def test_the_manifests_match_the_schemas_of_kubernetes():
    files = [path for path in (DEPLOY / "kubernetes/base").glob("*.yaml") if path.name != "kustomization.yaml"]
    assert faults_found("kubernetes-validate", "--strict", "--quiet", "-k", "1.37.0", *map(str, files)) == ""


WORKFLOWS = {path.name: yaml.safe_load(path.read_text()) for path in Path(ROOT, ".github/workflows").glob("*.yml")}


def test_workflows_may_read_the_code_and_a_job_what_it_needs():
    for name, workflow in WORKFLOWS.items():
        assert workflow["permissions"] == {"contents": "read"}, name
    more = {job: given for each in WORKFLOWS.values() for job, spec in each["jobs"].items()
            if (given := spec.get("permissions"))}  # fmt: skip
    assert more == {"codeql": {"contents": "read", "security-events": "write"}}


def test_an_action_is_pinned_by_its_commit_or_named_as_one_that_is_not():
    steps = [step for each in WORKFLOWS.values() for job in each["jobs"].values() for step in job["steps"]]
    used = {step["uses"] for step in steps if "uses" in step}
    unpinned = {use.partition("@")[0] for use in used if not re.search(r"@[0-9a-f]{40}$", use)}
    assert unpinned == {
        "actions/dependency-review-action",
        "github/codeql-action/init",
        "github/codeql-action/analyze",
    }

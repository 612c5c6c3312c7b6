"""docs/install.md, followed literally in stock projects: the wheel of this checkout, a task, its worker, the pages."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.version import version
from tests.support.django_project import run
from tests.support.machine import eventually
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT

pytestmark = pytest.mark.timeout(400)
PAGE = Path(ROOT, "docs/install.md").read_text()
COMMANDS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SETTINGS, TASKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "notifier_check.py")
OLD_IMPORT, NEW_IMPORT = "from django_tasks import task", "from django.tasks import task"
PAGES = """
import re
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles import finders
from django.test import Client
settings.ALLOWED_HOSTS = ["testserver"]
client = Client()
client.force_login(get_user_model().objects.create_superuser("operator", "o@example.mn", "a long pass phrase"))
todo, seen = ["/admin/", "/admin/jobs/", "/admin/jobs/joblog/?status=all"], {}
while todo:
    page = todo.pop()
    if page not in seen:
        answer = client.get(page)
        seen[page] = answer.status_code
        links = re.findall(r'href="(/admin/jobs/[^"?#]*)', answer.getvalue().decode())
        todo += links
        if "/joblog/" in page and answer["Content-Type"].startswith("text/html"):
            for styles in ("admin_jobs/tokens.css", "admin_jobs/jobs.css"):
                assert styles in answer.getvalue().decode(), page
                assert finders.find(styles), styles
            assert 'id="sure"' in answer.getvalue().decode(), page
print(seen)
"""


def newest_python() -> Path | str | None:
    """Return a Python that Django 6.1 runs on, 3.12 or newer: pyenv's or the machine's. None without one."""
    for minor in (12, 13, 14):
        found = sorted((Path.home() / ".pyenv" / "versions").glob(f"3.{minor}.*/bin/python"))
        if python := (found[-1] if found else shutil.which(f"python3.{minor}")):
            return python
    return None


VERSIONS = [pytest.param(sys.executable, "django>=5.2,<5.3", OLD_IMPORT, id="5.2")]
if newest_python():
    VERSIONS.append(pytest.param(newest_python(), "django>=6.1,<6.2", NEW_IMPORT, id="6.1"))


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Path:
    """A copy of what the wheel is built from, so that nothing is written into the checkout."""
    copy = tmp_path_factory.mktemp("checkout")
    for name in SOURCES:
        shutil.copy(ROOT / name, copy)
    for name in ("jobs", "accounts", "notifier", "tests/unit", "benchmarks"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


class Project:
    """A stock project in an environment of its own. `database`: a value of DATABASES instead of SQLite."""

    def __init__(self, python: Path | str, folder: Path) -> None:
        self.environment = folder / "environment"
        run(python, "-m", "venv", self.environment)
        self.folder = folder / "shop"
        self.variables = {"PATH": f"{self.environment / 'bin'}:{os.environ['PATH']}", "HOME": os.environ["HOME"]}
        self.variables |= {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}
        self.folder.mkdir()

    def shell(self, text: str) -> str:
        """Run commands of the page in the project's folder."""
        return run("bash", "-euo", "pipefail", "-c", text, cwd=self.folder, env=self.variables)

    def start(self, django: str, settings: str, first_line: str) -> None:
        """Make the project with an app `orders` and the lines of the page."""
        self.shell(f"pip install --quiet '{django}' && django-admin startproject shop .")
        self.shell("mkdir orders && touch orders/__init__.py")
        with (self.folder / "shop" / "settings.py").open("a") as file:
            file.write(f'\n{settings}INSTALLED_APPS += ["orders"]\n')
        (self.folder / "orders" / "tasks.py").write_text(TASKS.replace(NEW_IMPORT, first_line))

    def work_until(self, condition: str) -> None:
        """Run the command of the worker until a command of the project prints `condition`; it then ends in order."""
        (worker,) = [command for command in COMMANDS if "qcluster" in command]
        with (self.folder / "worker.log").open("w") as log:
            command = ["bash", "-c", f"exec {worker}"]
            process = subprocess.Popen(
                command, cwd=self.folder, env=self.variables, stdout=log, stderr=log, preexec_fn=die_with_parent
            )
            try:
                eventually(lambda: condition in self.shell("python manage.py jobs list --json"), 60)
            finally:
                process.terminate()
                code = process.wait(60)
        assert code == 0, (self.folder / "worker.log").read_text()


def follow(project: Project, checkout: Path, django: str, first_line: str, settings: str = SETTINGS) -> str:
    """Follow the page from its first line to a finished task; return the task's result."""
    install, examined, checked, enqueued, _ = COMMANDS
    project.start(django, settings, first_line)
    project.shell(install.replace("pip install", "pip install --quiet").replace("CHECKOUT", str(checkout)))
    assert "jobs is the queue's package" in project.shell(examined)
    assert "no issues" in project.shell(checked)
    assert project.shell("python manage.py makemigrations --check --dry-run") == "No changes detected\n"
    task_id = project.shell(enqueued).strip().split("\n")[-1]
    project.work_until('"status": "completed"')
    result = f"from orders.tasks import add; print(add.get_result({task_id!r}).return_value)"
    return project.shell(f'python manage.py shell --command "{result}"').split()[-1]


@pytest.mark.parametrize(("python", "django", "first_line"), VERSIONS)
def test_a_stock_project_runs_a_task_and_its_operators_see_it(python, django, first_line, checkout, tmp_path):
    project = Project(python, tmp_path)
    assert follow(project, checkout, django, first_line) == "5"
    (project.folder / "pages.py").write_text(PAGES)
    seen = project.shell("python manage.py shell --command \"exec(open('pages.py').read())\"")
    statuses = dict(re.findall(r"'(/admin/[^']*)': (\d+)", seen))
    assert set(statuses.values()) == {"200"}, statuses
    assert {"/admin/jobs/joblog/", "/admin/jobs/joblog/dead-letters/", "/admin/jobs/jobtypestate/"} <= set(statuses)
    assert any(re.fullmatch(r"/admin/jobs/joblog/\d+/change/", page) for page in statuses)


def test_the_wheel_holds_the_queue_and_nothing_else(checkout, tmp_path):
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path, checkout)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {name.partition("/")[0] for name in names} == {
        "jobs",
        "notifier_check.py",
        f"notifier-{version()}.dist-info",
    }
    tracked = run("git", "ls-files", "jobs", cwd=ROOT).split()
    assert set(tracked) <= names
    assert {Path(name).suffix for name in names} >= {".html", ".css", ".js", ".mo", ".py", ".typed"}
    metadata = zipfile.ZipFile(wheel).read(f"notifier-{version()}.dist-info/METADATA").decode()
    assert "License-Expression: MIT" in metadata
    assert re.search(r"^Requires-Dist: django<7,>=5\.2$", metadata, re.MULTILINE)


def test_the_queue_runs_without_admin_users_and_sessions(tmp_path):
    (tmp_path / "shop.py").write_text(
        "SECRET_KEY = 'x' * 50\nUSE_TZ = True\nINSTALLED_APPS = ['jobs', 'django_q', 'orders']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'shop.sqlite3'}}\n"
        "TASKS = {'default': {'BACKEND': 'jobs.tasks.Backend'}}\n"
    )
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / "__init__.py").touch()
    (tmp_path / "orders" / "tasks.py").write_text(TASKS.replace(NEW_IMPORT, OLD_IMPORT))
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": f"{tmp_path}:{ROOT}", "DJANGO_SETTINGS_MODULE": "shop"}
    for command in ("migrate", "check", "jobs list", "jobs stats", "prune_jobs"):
        run(sys.executable, "-m", "django", *command.split(), cwd=tmp_path, env=variables)
    enqueue = "from orders.tasks import add; add.enqueue(2, 3)"
    run(sys.executable, "-m", "django", "shell", "--command", enqueue, cwd=tmp_path, env=variables)
    listed = run(sys.executable, "-m", "django", "jobs", "list", "--json", cwd=tmp_path, env=variables)
    assert '"type": "task:orders.tasks.add"' in listed


def test_a_package_of_the_project_that_hides_the_queue_is_named(tmp_path):
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "__init__.py").touch()
    check = [sys.executable, "-m", "notifier_check"]
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    found = subprocess.run(check, cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert found.returncode == 1
    assert f"own package {tmp_path / 'jobs'}" in found.stderr
    (tmp_path / "jobs" / "__init__.py").unlink()
    (tmp_path / "jobs").rmdir()
    assert run(*check, cwd=tmp_path, env=variables).startswith("jobs is the queue's package")


def test_every_setting_of_the_page_has_its_default():
    from jobs.conf import QueueSettings, Setting

    rows = dict(re.findall(r"^\| `(\w+)` \| `(.+)` \|$", PAGE, re.MULTILINE))
    defaults = {name: each.default for name, each in vars(QueueSettings).items() if isinstance(each, Setting)}
    assert rows == {name: repr(value).replace("'", '"') for name, value in defaults.items()}


@pytest.mark.world
def test_a_project_on_postgresql_follows_the_page(checkout, tmp_path, own_postgres):
    place = {"HOST": "127.0.0.1", "PORT": own_postgres.port, "USER": "postgres", "NAME": "postgres"}
    database = {"ENGINE": "django.db.backends.postgresql", **place}
    settings = SETTINGS.partition("DATABASES[")[0] + f'DATABASES = {{"default": {database!r}}}\n'
    project = Project(sys.executable, tmp_path)
    assert follow(project, checkout, "django>=5.2,<5.3", OLD_IMPORT, settings) == "5"

"""A project that `startproject` made, with the five lines of clients/python/README.md, as its own process."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlencode

from tests.support.machine import HERE, eventually
from tests.support.ports import free_port
from tests.support.postgres import die_with_parent
from tests.support.site import ROOT

CLIENT = ROOT / "clients" / "python"
README = (CLIENT / "README.md").read_text()
EMAIL, PASSWORD = "bat@example.mn", "a long pass phrase"
CUSTOM_USER = """
import uuid
from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models

class PeopleManager(UserManager):
    def create_superuser(self, email, password, **fields):
        user = self.model(email=email, is_staff=True, is_superuser=True, **fields)
        user.set_password(password)
        user.save()
        return user

class Person(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    username = None
    email = models.EmailField(unique=True)
    USERNAME_FIELD, REQUIRED_FIELDS = "email", []
    objects = PeopleManager()
"""


def build_wheel(folder: Path) -> Path:
    """Build the client's wheel from a copy, so that nothing is written into the checkout."""
    left_out = shutil.ignore_patterns("build", "*.egg-info", "__pycache__", ".*_cache")
    copy = shutil.copytree(CLIENT, folder / "source", ignore=left_out)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, copy)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_environment(folder: Path, wheel: Path) -> Path:
    """Make an environment with the wheel and, without a download, this environment's Django. Return its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "these.pth").write_text(sysconfig.get_path("purelib"))
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index", wheel)
    return python


def run(*command: str | Path, **options: object) -> str:
    """Run a program to its end and return what it printed. Fail when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def lines_for(file: str) -> str:
    """Return the lines that the README adds to a file of a project."""
    return re.search(rf"At the end of `{file}`:\n\n```python\n(.*?)```", README, re.DOTALL)[1]


class DjangoProject:
    """A stock project, its database and its server. custom_user: with an email address instead of a user name."""

    def __init__(self, python: Path, folder: Path, *, notifier: str, custom_user: bool, **environment: str) -> None:
        self.python, self.folder = python, folder
        self.port = free_port()
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        self.environment = {**kept, **environment}
        folder.mkdir()
        run(python, "-m", "django", "startproject", "shop", folder, env=kept)
        if custom_user:
            self._add_user_model()
        settings = lines_for("settings.py").replace("https://notifier.example.mn", notifier)
        self._append("settings.py", settings)
        self._append("urls.py", lines_for("urls.py"))
        self.user = {"email": EMAIL} if custom_user else {"email": EMAIL, "username": "bat"}

    def _add_user_model(self) -> None:
        self.manage("startapp", "people")
        (self.folder / "people" / "models.py").write_text(CUSTOM_USER)
        self._append("settings.py", 'INSTALLED_APPS += ["people"]\nAUTH_USER_MODEL = "people.Person"\n')
        self.manage("makemigrations", "people")

    def _append(self, file: str, lines: str) -> None:
        with (self.folder / "shop" / file).open("a") as settings:
            settings.write(f"\n{lines}")

    def manage(self, *arguments: str) -> str:
        """Run a command of the project and return what it printed."""
        return run(self.python, "manage.py", *arguments, cwd=self.folder, env=self.environment)

    def prepare(self) -> None:
        """Create the tables and the user."""
        self.manage("migrate", "--verbosity", "0")
        superuser = {f"DJANGO_SUPERUSER_{name.upper()}": value for name, value in self.user.items()}
        self.environment |= {**superuser, "DJANGO_SUPERUSER_PASSWORD": PASSWORD}
        self.manage("createsuperuser", "--noinput")

    def set_session_engine(self, engine: str) -> None:
        """Choose where sessions are stored."""
        self._append("settings.py", f'SESSION_ENGINE = "django.contrib.sessions.backends.{engine}"\n')

    def __enter__(self) -> Self:
        with (self.folder / "errors.log").open("ab") as errors:
            self.server = subprocess.Popen(
                [self.python, "manage.py", "runserver", "--noreload", f"{HERE}:{self.port}"],
                cwd=self.folder,
                env=self.environment,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                preexec_fn=die_with_parent,
            )
        eventually(lambda: self.server.poll() is not None or Visitor(self).reaches("/admin/login/"))
        assert self.server.poll() is None, (self.folder / "errors.log").read_text()
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, _: TracebackType | None) -> None:
        self.server.terminate()
        self.server.wait(20)
        if exc:
            print((self.folder / "errors.log").read_text()[-5000:])  # noqa: T201  (pytest shows it with the failure)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


class Visitor:
    """A browser with its cookies."""

    def __init__(self, project: DjangoProject, user_agent: str = "") -> None:
        self.user_agent = user_agent
        self.url = f"http://{HERE}:{project.port}"
        self.project = project
        self.cookies = CookieJar()
        processor = urllib.request.HTTPCookieProcessor(self.cookies)
        self.opener = urllib.request.build_opener(processor, _NoRedirect)

    def send(self, path: str, body: bytes | None = None, **headers: str) -> int:
        """Return the status of a GET, or of a POST of a body."""
        request = urllib.request.Request(self.url + path, body, {"User-Agent": self.user_agent, **headers})
        try:
            with self.opener.open(request, timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code

    def reaches(self, path: str) -> bool:
        """Return whether a page is there."""
        try:
            return self.send(path) == 200
        except OSError:
            return False

    def sign_in(self) -> None:
        """Sign in at the admin."""
        self.send("/admin/login/")
        token = next(cookie.value for cookie in self.cookies if cookie.name == "csrftoken")
        name = self.project.user.get("username", EMAIL)
        form = {"username": name, "password": PASSWORD, "csrfmiddlewaretoken": token, "next": "/admin/"}
        assert self.send("/admin/login/", urlencode(form).encode()) == 302

    def is_signed_in(self) -> bool:
        """Return whether the admin shows its first page."""
        return self.send("/admin/") == 200

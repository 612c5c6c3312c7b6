"""Every dotted path in a string of the three packages and of the settings leads to code, a model or a permission.

Django and django-q2 import such paths late, and django-q2 takes a path that leads nowhere for None.
"""

import ast
import importlib.util
import pydoc
import re
from importlib import import_module

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_permission_codename
from django.utils.module_loading import import_string
from django_q.brokers import Broker

from jobs.brokers import messages
from jobs.conf import BROKERS
from tests.support.site import ROOT

DOTTED = re.compile(r"(?:notifier|accounts|jobs)(?:\.[A-Za-z_]\w*)+")
CHECK_OR_FILE = re.compile(r"\w+\.([EWI]\d{3}|sqlite3)")
NAMES_OF_OTHER_THINGS = {"dispatch_uid", "salt", "id"}
"""Keyword arguments whose values only look like a path."""


def paths() -> dict[str, str]:
    """Return each dotted path in the packages with the file that holds it."""
    found = {}
    for package in ("notifier", "accounts", "jobs"):
        for file in sorted((ROOT / package).rglob("*.py")):
            if "migrations" not in file.parts:
                found |= {path: str(file.relative_to(ROOT)) for path in strings(ast.parse(file.read_text()))}
    return found


def strings(tree: ast.Module) -> set[str]:
    """Return the strings of a module that are dotted paths."""
    apart = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg in NAMES_OF_OTHER_THINGS
    }
    values = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in apart}
    dotted = {value for value in values if isinstance(value, str) and DOTTED.fullmatch(value)}
    return {value for value in dotted if not CHECK_OR_FILE.fullmatch(value)}


def is_module(path: str) -> bool:
    try:
        return importlib.util.find_spec(path) is not None
    except ModuleNotFoundError:
        return False


def labels() -> set[str]:
    """Return the labels of all models and the names of all permissions."""
    found = set()
    for model in apps.get_models():
        options = model._meta
        codes = [get_permission_codename(action, options) for action in options.default_permissions]
        codes += [code for code, _name in options.permissions]
        found |= {options.label, *(f"{options.app_label}.{code}" for code in codes)}
    return found


def test_each_path_of_the_packages_is_a_module_an_object_a_model_or_a_permission():
    known = labels()
    lost = {
        path: file
        for path, file in paths().items()
        if not (path in known or is_module(path) or pydoc.locate(path) is not None)
    }
    assert lost == {}


def test_the_paths_in_messages_are_functions():
    assert callable(pydoc.locate(messages.RUN))
    assert callable(pydoc.locate(messages.RUN_MANY))


@pytest.mark.parametrize("name", BROKERS)
def test_each_broker_is_a_broker(name):
    assert issubclass(import_string(BROKERS[name]), Broker)


@pytest.mark.parametrize("name", ["ROOT_URLCONF", "SESSION_ENGINE"])
def test_a_module_of_the_settings_imports(name):
    assert import_module(getattr(settings, name))


@pytest.mark.parametrize(
    "path",
    [
        *settings.MIDDLEWARE,
        *settings.AUTHENTICATION_BACKENDS,
        *settings.ACCOUNT_FORMS.values(),
        *(processor for engine in settings.TEMPLATES for processor in engine["OPTIONS"]["context_processors"]),
        *(cache["BACKEND"] for cache in settings.CACHES.values()),
        *(storage["BACKEND"] for storage in settings.STORAGES.values()),
        settings.WSGI_APPLICATION,
        settings.ACCOUNT_ADAPTER,
        settings.SOCIALACCOUNT_ADAPTER,
        settings.ACCOUNT_PASSWORD_RESET_TOKEN_GENERATOR,
    ],
)
def test_an_object_of_the_settings_imports(path):
    assert import_string(path) is not None

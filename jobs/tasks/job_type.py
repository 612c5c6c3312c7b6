"""The job types of tasks: made when a job needs one, so that a worker knows a task whose module it has not imported."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.conf import settings
from django.utils.module_loading import autodiscover_modules, module_has_submodule

from jobs.conf import conf
from jobs.core import job_types
from jobs.core.job_types import Execution, JobType
from jobs.tasks import finishing, names
from jobs.tasks.compat import Task
from jobs.tasks.options import pick_unique, policy_of
from jobs.tasks.run import run_task

MODULES = "tasks"  # of installed apps: imported at the start
PATH = "jobs.tasks.Backend"


def connect() -> None:
    """Make tasks known to the queue; called once, when the apps are ready.

    Imports the `tasks` modules of installed apps if TASKS names this backend, so that the system checks see the
    options of their tasks, and operators their names.
    """
    job_types.register_resolver(names.PREFIX, resolve)
    if any(entry.get("BACKEND") == PATH for entry in getattr(settings, "TASKS", {}).values()):
        autodiscover_modules(MODULES)
        for task in _discovered():
            job_types.get(names.type_name(task))


def _discovered() -> Iterator[Task]:
    """Yield the tasks in the `tasks` modules of installed apps, each once, that run on this backend."""
    for module in _modules():
        for name, found in list(vars(module).items()):
            mine = isinstance(found, Task) and found.module_path == f"{module.__name__}.{name}"
            if mine and settings.TASKS.get(found.backend, {}).get("BACKEND") == PATH:
                yield found


def _modules() -> Iterator[ModuleType]:
    for app in apps.get_app_configs():
        if app.module is not None and module_has_submodule(app.module, MODULES):
            yield import_module(f"{app.name}.{MODULES}")


def resolve(name: str) -> JobType:
    """Return the job type of a task. Raises LookupError when this version of the site has no such task.

    Each task has a time limit of its own, and so runs in no thread.
    """
    task = names.load(name)
    policy = policy_of(task)
    if policy.timeout is None:
        policy = replace(policy, timeout=conf.JOB_TIMEOUT_SECONDS)
    if policy.unique is not None:
        policy = replace(policy, unique=replace(policy.unique, pick=partial(pick_unique, task, policy.unique.key)))
    if finishing.settled not in job_types.settled_receivers(name):
        job_types.on_settled(name, finishing.settled)
    lane, execution = names.lane_of(task.priority), Execution(settles_alone=True)
    return JobType(name, handler=run_task, lane=lane, policy=policy, execution=execution)

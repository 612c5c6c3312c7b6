"""The job type of a task, "task:" and the path of its function, by which operators pause, filter and count; its lane."""

from django.utils.module_loading import import_string

from jobs.brokers.django_q import TaskTimeout
from jobs.core.job_types import MAX_NAME
from jobs.core.pauses import Lane
from jobs.tasks.compat import InvalidTask, Task

PREFIX = "task:"
URGENT_FROM = 50  # priority


def type_name(task: Task) -> str:
    """Return the name of a task's job type."""
    return PREFIX + task.module_path


def load(name: str) -> Task:
    """Import the task of a job type.

    Raises LookupError when this version of the site has no such task.
    """
    path = name.removeprefix(PREFIX)
    try:
        found = import_string(path)
    except TaskTimeout:
        raise
    except BaseException as error:  # importing a module may raise anything, SystemExit too
        raise LookupError(f"the task {path} cannot be imported: {type(error).__name__}: {error}") from error
    if not isinstance(found, Task):
        raise LookupError(f"{path} is not a task in this version of the site: it has no @task")
    return found


def check_path(task: Task) -> None:
    """Check that a worker could find the task by the path of its function. Raises InvalidTask."""
    function, path = task.func, task.module_path
    if function.__module__ == "__main__":
        raise InvalidTask(f"{path}: a worker cannot import __main__; define the task in a module.")
    if "<" in function.__qualname__ or "." in function.__qualname__:
        raise InvalidTask(f"{path}: a task must be a named function of a module, not a lambda, method or inner function.")
    if len(type_name(task)) > MAX_NAME:
        raise InvalidTask(f"{path}: the path of a task has at most {MAX_NAME - len(PREFIX)} characters.")


def check_found(task: Task) -> None:
    """Check that the path of the task's function leads to a task of that function. Raises InvalidTask."""
    try:
        found = load(type_name(task))
    except LookupError as error:
        raise InvalidTask(f"No worker would find this task: {error}") from error
    if found.func is not task.func:
        raise InvalidTask(f"No worker would find this task: {task.module_path} is another one.")


def lane_of(priority: int) -> str:
    """Return the lane of a priority (-100 to 100)."""
    if priority >= URGENT_FROM:
        return str(Lane.URGENT)
    if priority > 0:
        return str(Lane.ALERT)
    return str(Lane.DEFAULT if priority == 0 else Lane.BULK)

"""The arguments of a task by the names of its parameters: what `unique` compares."""

import inspect
from typing import Any

from jobs.tasks.compat import Task


def parameters(task: Task) -> list[str]:
    """Return the names of the task's parameters, without the context."""
    names = list(inspect.signature(task.func).parameters)
    return names[1:] if task.takes_context else names


def pick_unique(task: Task, key: tuple[str, ...], payload: dict[str, Any]) -> Any:
    """Return the arguments of a payload that `unique` compares, by name; those in `key`, or all for ().

    Arguments that do not fit the function are compared as they are.
    """
    args, kwargs = payload["args"], payload["kwargs"]
    try:
        bound = inspect.signature(task.func).bind(*([None] if task.takes_context else []), *args, **kwargs)
    except TypeError:
        return [args, kwargs]
    given = dict(bound.arguments)
    if task.takes_context:
        given.pop(next(iter(given)), None)
    return {name: given.get(name) for name in key} if key else given

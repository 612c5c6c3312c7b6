"""The newcomer's walk: which files one sign-in runs through, from the signal to the settlement of its job.

A call is part of the walk when it leads to a statement in the database or to bytes for the mail server. Calls that only
compute (mask, format, parse, count in memory) are helpers: the document lists their files behind the walk.
"""

import inspect
import smtplib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("accounts/", "jobs/", "notifier/")
DOCUMENT = ROOT / "CONTRIBUTING.md"
MARKS = ("<!-- walk:begin (scripts/walk) -->\n", "<!-- walk:end -->\n")
MOST_FILES = 18
RETURNS_ALLOWED = {
    "jobs/core/job.py",  # claim, then complete
    "accounts/notices/sign_in.py",  # enqueue, then deliver
    "jobs/brokers/orm.py",  # store the message, then delete it: one class has both, which django-q2 calls
}
DRIVER = "jobs/core/sql/"  # the SQL that differs by database: a part of each statement, as the database is


@dataclass
class Call:
    """One call of a function of the project."""

    file: str  # path below ROOT
    function: str
    caller: str  # file of the nearest caller in the project, "" when there is none
    has_effect: bool = False  # whether it led to a statement or to bytes for the mail server


class Recorder:
    """Records the calls of this thread, in their order."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._of_frame: dict[FrameType, Call] = {}  # a generator that is resumed has its call already

    @contextmanager
    def running(self) -> Iterator[None]:
        """Record while the block runs."""
        before = sys.gettrace()
        with connection.execute_wrapper(self._note_statement):
            sys.settrace(self._note_call)
            try:
                yield
            finally:
                sys.settrace(before)
                self._of_frame.clear()

    def _note_call(self, frame: FrameType, event: str, _: Any) -> None:
        if frame.f_code.co_filename == smtplib.__file__:
            self._mark_effect(frame)
        file = _own_file(frame)
        if file and frame not in self._of_frame:
            call = Call(file, frame.f_code.co_qualname, next(map(_own_file, _own_frames(frame.f_back)), ""))
            self._of_frame[frame] = call
            self.calls.append(call)

    def _mark_effect(self, frame: FrameType) -> None:
        for own in _own_frames(frame):
            if own in self._of_frame:
                self._of_frame[own].has_effect = True

    def _note_statement(self, execute: Callable[..., Any], *arguments: Any) -> Any:
        self._mark_effect(sys._getframe())
        return execute(*arguments)


@dataclass(frozen=True)
class Walk:
    """What the document shows of the recorded calls."""

    entries: list[Call]  # calls with an effect into a file, from another one; a repeated entry appears once
    files: list[str]  # in order of first entry
    returns: list[Call]  # entries into a file that was entered before
    helpers: list[str]  # files that were called without an effect, sorted


def make_walk(calls: list[Call]) -> Walk:
    """Return the walk of recorded calls."""
    entries: list[Call] = []
    for call in calls:
        if (
            call.has_effect
            and call.file != call.caller
            and not call.file.startswith(DRIVER)
            and (not entries or entries[-1].file != call.file)
        ):
            entries.append(call)
    files = list(dict.fromkeys(call.file for call in entries))
    first = {id(next(call for call in entries if call.file == file)) for file in files}
    returns = [call for call in entries if id(call) not in first]
    return Walk(entries, files, returns, sorted({call.file for call in calls} - set(files)))


def replace_walk(document: str, walk: Walk) -> str:
    """Return the document with `walk` between its marks."""
    begin, end = MARKS
    before, _, rest = document.partition(begin)
    return before + begin + render_walk(walk) + end + rest.partition(end)[2]


def render_walk(walk: Walk) -> str:
    """Return the walk as Markdown."""
    lines = ["| | file | function | called by |", "|---|---|---|---|"]
    for call in walk.entries:
        again = any(call is entry for entry in walk.returns)
        number = "again" if again else str(walk.files.index(call.file) + 1)
        lines.append(f"| {number} | `{call.file}` | `{call.function}` | {f'`{call.caller}`' if call.caller else '-'} |")
    helpers = ", ".join(f"`{file}`" for file in walk.helpers)
    return "\n".join([*lines, "", f"Helpers on the way: {helpers}.", ""])


def _own_file(frame: FrameType) -> str:
    """Return the frame's path below ROOT; "" for code of others and for the body of a module or class."""
    path = frame.f_code.co_filename.removeprefix(f"{ROOT}/")
    is_function = frame.f_code.co_flags & inspect.CO_NEWLOCALS
    return path if is_function and path.startswith(PACKAGES) else ""


def _own_frames(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield the project's frames from `frame` down to the bottom of the stack."""
    while frame:
        if _own_file(frame):
            yield frame
        frame = frame.f_back

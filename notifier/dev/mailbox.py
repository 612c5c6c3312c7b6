"""The folder of the local mail catcher: one .eml file for each email, named after its time of arrival."""

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from pathlib import Path

MAX_EMAILS = 500
NAME = re.compile(r"[0-9]{19}")  # time.time_ns()
HEAD = 65_536  # bytes read of an email for the list


@dataclass(frozen=True)
class Envelope:
    """The parts of an email that the list shows."""

    name: str
    caught_at: datetime
    to: str
    subject: str


@dataclass(frozen=True)
class Mail(Envelope):
    """A whole email."""

    headers: list[tuple[str, str]]  # in the order they were sent, decoded
    html: str  # the first part of this kind; empty when there is none
    text: str  # the first part of this kind; empty when there is none
    size: int  # bytes


class Mailbox:
    """A folder with the last MAX_EMAILS emails. Only one process, the catcher, writes to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latest = 0

    def add(self, content: bytes) -> str:
        """Store an email atomically, delete the oldest ones, and return the new name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.latest = max(time.time_ns(), self.latest + 1)
        name = str(self.latest)
        unfinished = self.folder / f"{name}.part"
        unfinished.write_bytes(content)
        unfinished.replace(self._file(name))
        for old in self.names()[MAX_EMAILS:]:
            self._file(old).unlink(missing_ok=True)
        return name

    def names(self) -> list[str]:
        """Return the names of all emails, the newest first."""
        found = os.listdir(self.folder) if self.folder.is_dir() else []  # noqa: PTH208  (a fifth of iterdir's time)
        return sorted(
            (name[:-4] for name in found if name.endswith(".eml") and NAME.fullmatch(name[:-4])), reverse=True
        )

    def envelopes(self) -> Iterator[Envelope]:
        """Yield the envelopes of all emails, the newest first."""
        for name in self.names():
            with contextlib.suppress(FileNotFoundError), self._file(name).open("rb") as mail:
                headers = _headers(BytesHeaderParser().parsebytes(mail.read(HEAD)))
                yield Envelope(name, *_summary(name, headers))

    def raw(self, name: str) -> bytes:
        """Return an email as it arrived. Raises FileNotFoundError when it does not exist."""
        if not NAME.fullmatch(name):
            raise FileNotFoundError(name)
        return self._file(name).read_bytes()

    def mail(self, name: str) -> Mail:
        """Return an email, parsed. Raises FileNotFoundError when it does not exist."""
        content = self.raw(name)
        message = message_from_bytes(content)
        headers = _headers(message)
        html, text = _part(message, "text/html"), _part(message, "text/plain")
        return Mail(name, *_summary(name, headers), headers, html, text, len(content))

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.eml"


def _summary(name: str, headers: list[tuple[str, str]]) -> tuple[datetime, str, str]:
    first = {key.lower(): value for key, value in reversed(headers)}
    caught_at = datetime.fromtimestamp(int(name) / 1e9, UTC)
    return caught_at, first.get("to") or first.get("delivered-to", ""), first.get("subject", "")


def _headers(message: Message) -> list[tuple[str, str]]:
    return [(key, _decoded(value)) for key, value in message.items()]


def _decoded(value: object) -> str:
    """Decode a header. Text that cannot be decoded stays as it was sent."""
    try:
        text = str(make_header(decode_header(value)))  # type: ignore[arg-type]
    except (ValueError, LookupError):
        text = str(value)
    return " ".join(text.split())


def _part(message: Message, kind: str) -> str:
    for part in message.walk():
        if part.get_content_type() == kind and part.get_content_disposition() != "attachment":
            content = part.get_payload(decode=True)
            assert isinstance(content, bytes)  # noqa: S101  (a text part has no parts of its own)
            with contextlib.suppress(LookupError):
                return content.decode(part.get_content_charset("utf-8"), "replace")
            return content.decode("utf-8", "replace")
    return ""

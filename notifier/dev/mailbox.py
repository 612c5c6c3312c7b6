"""The folder of the local catcher: one .eml file a mail, named for the moment it came."""

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

KEPT = 500
NAME = re.compile(r"[0-9]{19}")  # time.time_ns()
HEAD = 65_536  # bytes read of a mail for the list


@dataclass(frozen=True)
class Envelope:
    """What the list shows of a mail."""

    name: str
    caught_at: datetime
    to: str
    subject: str


@dataclass(frozen=True)
class Mail(Envelope):
    """headers: as they were sent, decoded. html, text: the first part of each kind, empty where there is none."""

    headers: list[tuple[str, str]]
    html: str
    text: str
    size: int


class Mailbox:
    """A folder of mails that keeps the last KEPT. One process writes to it, the catcher."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.latest = 0

    def add(self, content: bytes) -> str:
        """Stores a mail, whole or not at all, and drops the oldest; its name."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.latest = max(time.time_ns(), self.latest + 1)
        name = str(self.latest)
        unfinished = self.folder / f"{name}.part"
        unfinished.write_bytes(content)
        unfinished.replace(self._file(name))
        for old in self.names()[KEPT:]:
            self._file(old).unlink(missing_ok=True)
        return name

    def names(self) -> list[str]:
        """Of all mails, the newest first."""
        found = os.listdir(self.folder) if self.folder.is_dir() else []  # noqa: PTH208  (a fifth of iterdir's time)
        return sorted(
            (name[:-4] for name in found if name.endswith(".eml") and NAME.fullmatch(name[:-4])), reverse=True
        )

    def envelopes(self) -> Iterator[Envelope]:
        """Of all mails, the newest first."""
        for name in self.names():
            with contextlib.suppress(FileNotFoundError), self._file(name).open("rb") as mail:
                headers = _headers(BytesHeaderParser().parsebytes(mail.read(HEAD)))
                yield Envelope(name, *_summary(name, headers))

    def raw(self, name: str) -> bytes:
        """A mail as it came. FileNotFoundError when it is not there (any more)."""
        if not NAME.fullmatch(name):
            raise FileNotFoundError(name)
        return self._file(name).read_bytes()

    def mail(self, name: str) -> Mail:
        """A mail, read. FileNotFoundError when it is not there (any more)."""
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
    """A header as a person reads it; as it was sent, where it cannot be decoded."""
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

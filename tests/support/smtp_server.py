"""A real SMTP server for tests, in a thread of the test or as a process of its own, that misbehaves on command.

    server = SmtpServer()                 in a test: server.start(), server.behave(...), server.mails, server.stop()
    python -m tests.support.smtp_server --port 21000 --log mails.jsonl [--control behaviour.json] [--pipelining]

The process writes one JSON line for each mail whose content it has taken, and looks into the control file at every
step of a dialogue: a JSON object with the fields of `Behaviour`; no file or `{}` is a server in good health.
"Taken" means the whole content was received and not refused; a server that dies or hangs after DATA has taken it too.
"""

import argparse
import asyncio
import json
import signal
import ssl
import threading
import time
from dataclasses import asdict, dataclass, field
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.support.ports import free_port

LONG = 3600.0


@dataclass
class Behaviour:
    """What goes wrong, and where. `at`: CONNECT, EHLO, MAIL, RCPT, DATA (its end: the content is there) or ANY.

    answer: said instead of the usual, e.g. "550 5.1.1 no such user"; 421 also closes. hang: says nothing for an hour.
    delay: seconds before each answer at that step. die: closes without a word. times: how often, 0 for always.
    only: for recipients (RCPT, DATA) that hold this text. login: "user:password" that is asked for at MAIL (530, 535).
    """

    at: str = "RCPT"
    answer: str = ""
    hang: bool = False
    delay: float = 0.0
    die: bool = False
    times: int = 0
    only: str = ""
    login: str = ""


@dataclass(frozen=True)
class Mail:
    """One mail that was taken."""

    message_id: str
    rcpt: list[str]
    raw: bytes
    sender: str = ""
    at: float = field(default_factory=time.time)

    @property
    def message(self) -> Message:
        return message_from_bytes(self.raw)

    def part(self, subtype: str) -> str:
        """The decoded text of the part text/`subtype`."""
        part = next(p for p in self.message.walk() if p.get_content_type() == f"text/{subtype}")
        return part.get_payload(decode=True).decode("utf-8")  # type: ignore[union-attr]


class Server(SMTP):
    """aiosmtpd's protocol, whose greeting can misbehave too."""

    async def _handle_client(self) -> None:
        try:
            verdict = await self.event_handler.step("CONNECT", self)
        except asyncio.CancelledError:  # since Python 3.12 a server that stops waits for its connections
            self.transport.abort()
            raise
        if verdict:
            await self.push(verdict)
            self.transport.close()
        elif not self.transport.is_closing():
            await super()._handle_client()


class Misbehaving:
    """aiosmtpd's handler: keeps the mails and does as its behaviour says."""

    def __init__(self, log: Path | None = None, control: Path | None = None, pipelining: bool = False) -> None:
        self.pipelining = pipelining
        self.mails: list[Mail] = []
        self.connections = 0
        self.behaviour = Behaviour()
        self.log, self.control = log, control
        self._used = 0
        self._read_at = 0

    def behave(self, **fields: Any) -> None:
        """From now on as `Behaviour(**fields)`; without fields in good health."""
        self.behaviour, self._used = Behaviour(**fields), 0

    def _look(self) -> None:
        if self.control is None:
            return
        try:
            changed = self.control.stat().st_mtime_ns
            if changed != self._read_at:
                self.behave(**json.loads(self.control.read_text() or "{}"))
                self._read_at = changed
        except FileNotFoundError:
            if self._read_at:
                self.behave()
                self._read_at = 0
        except ValueError:
            return  # half written: the next step reads it again

    def _ill(self, at: str, recipients: list[str] | None) -> bool:
        b = self.behaviour
        meant = b.at in (at, "ANY") and (not b.only or any(b.only in one for one in recipients or []))
        return meant and not (b.times and self._used >= b.times)

    async def step(self, at: str, server: SMTP, recipients: list[str] | None = None) -> str:
        """What to answer at this step instead of the usual; empty: the usual."""
        self._look()
        if at == "CONNECT":
            self.connections += 1
        if not self._ill(at, recipients):
            return ""
        b = self.behaviour
        self._used += 1
        await asyncio.sleep(LONG if b.hang else b.delay)
        if b.die:
            server.transport.abort()
        elif b.answer.startswith("421"):
            server.loop.call_later(0.05, server.transport.close)
        return b.answer

    async def handle_EHLO(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, host: str, answers: list[str]
    ) -> list[str]:
        verdict = await self.step("EHLO", server)
        session.host_name = host
        if self.pipelining:
            answers.insert(1, "250-PIPELINING")
        return [verdict] if verdict else answers

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if verdict := await self.step("MAIL", server):
            return verdict
        if self.behaviour.login and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (verdict := await self.step("RCPT", server, [address])) and not verdict.startswith("2"):
            return verdict
        envelope.rcpt_tos.append(address)
        return verdict or "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self._look()
        refused = self.behaviour.answer and not self.behaviour.answer.startswith("2")
        if taken := not (refused and self._ill("DATA", envelope.rcpt_tos)):
            self._take(envelope)
        try:
            return await self.step("DATA", server, envelope.rcpt_tos) or "250 2.0.0 taken"
        finally:  # also when the sender hangs up, which cancels this
            if taken:
                server.loop.call_soon(self._note_answer)  # after the answer that this returns is on its way

    def _note_answer(self) -> None:
        if self.log:
            with answers_of(self.log).open("a") as out:
                out.write("\n")

    def _take(self, envelope: Envelope) -> None:
        raw = envelope.original_content or b""
        message_id = str(message_from_bytes(raw)["Message-ID"] or "").strip()
        mail = Mail(message_id, list(envelope.rcpt_tos), raw, envelope.mail_from or "")
        self.mails.append(mail)
        if self.log:
            line = {**asdict(mail), "raw": raw.decode("ascii", "replace")}
            with self.log.open("a") as out:
                out.write(json.dumps(line) + "\n")

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        self._look()
        given = f"{data.login.decode()}:{data.password.decode()}" if isinstance(data, LoginPassword) else ""
        return AuthResult(success=given == self.behaviour.login, handled=False)


def answers_of(log: Path) -> Path:
    """The file with a line for each mail of the log whose sender was answered, or hung up on."""
    return log.with_suffix(".answers")


class SmtpServer(Controller):
    """The server in a thread, on a free port if none is given; `start` and `stop` as often as wanted."""

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        log: Path | None = None,
        control: Path | None = None,
        pipelining: bool = False,
    ) -> None:
        self.handler = Misbehaving(log, control, pipelining)
        super().__init__(
            self.handler,
            hostname=host,
            port=port or free_port(),
            tls_context=tls,
            authenticator=self.handler.authenticate,
            auth_require_tls=False,
            timeout=LONG,
        )

    @property
    def mails(self) -> list[Mail]:
        return self.handler.mails

    @property
    def connections(self) -> int:
        """How many there have been since `clear`."""
        return self.handler.connections

    def behave(self, **fields: Any) -> None:
        """From now on as `Behaviour(**fields)` says; without fields in good health."""
        self.handler.behave(**fields)

    def clear(self) -> None:
        """Good health, and nothing seen."""
        self.handler.behave()
        self.handler.mails.clear()
        self.handler.connections = 0

    def factory(self) -> SMTP:
        return Server(self.handler, **self.SMTP_kwargs)

    def start(self) -> None:
        if self.loop.is_closed():
            self.loop = asyncio.new_event_loop()
        super().start()

    def _trigger_server(self) -> None:
        """aiosmtpd would connect and wait for a greeting, which may be one that never comes."""
        self._factory_invoker()


def main() -> None:
    """The server as a process, until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--control", type=Path)
    parser.add_argument("--pipelining", action="store_true", help="offer PIPELINING")
    given = parser.parse_args()
    done = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: done.set())
    server = SmtpServer(given.port, host=given.host, log=given.log, control=given.control, pipelining=given.pipelining)
    server.start()
    done.wait()
    server.stop()


if __name__ == "__main__":
    main()

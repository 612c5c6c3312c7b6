"""The mail server of the chaos run: tests/support/smtp_server.py as a process."""

import json
import subprocess
import sys
from pathlib import Path

from tests.support.postgres import die_with_parent
from tests.support.smtp_server import answers_of

TAKES, LATE = 0.1, 0.05  # seconds that it takes for a mail, and by how much a busy machine may be late


class MailServer:
    """`log` has a line for each mail it took. In good health it takes a tenth of a second for each."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port, self.log, self.control = port, folder / "mails.jsonl", folder / "behaviour.json"
        self.process: subprocess.Popen[bytes] | None = None
        self.unanswered = 0  # mails that it had taken whenever it was killed, and never said so
        self.heal()

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.support.smtp_server", "--port", str(self.port)]
        command += ["--log", str(self.log), "--control", str(self.control), "--pipelining"]
        self.process = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent)

    def kill(self) -> int:
        """SIGKILL; how many mails it had taken and not yet said so."""
        if not self.process:
            return 0
        self.process.kill()
        self.process.wait()
        answers = answers_of(self.log)
        unanswered = len(self.mails()) - (len(answers.read_text()) if answers.exists() else 0)
        before, self.unanswered = self.unanswered, unanswered
        return unanswered - before

    def heal(self) -> None:
        """It takes TAKES for a mail, so that workers are busy."""
        self.behave(at="DATA", delay=TAKES)

    def behave(self, **behaviour: object) -> None:
        """From now on it does as `Behaviour` of tests/support/smtp_server.py says."""
        fresh = self.control.with_suffix(".new")
        fresh.write_text(json.dumps(behaviour))
        fresh.rename(self.control)

    def mails(self) -> list[dict]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [json.loads(line) for line in lines]

    def taken(self) -> int:
        """Grows with each mail."""
        return self.log.stat().st_size if self.log.exists() else 0

"""`python -m notifier.dev.catcher --port N --folder DIR`: an SMTP server that stores each email in a folder."""

import argparse
import asyncio
import signal
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from notifier.dev.mailbox import Mailbox

MAX_BYTES = 20 * 1024 * 1024


class MailHandler:
    """An aiosmtpd handler that accepts every email and adds its envelope as headers, as mailbox servers do."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Store the email and return the SMTP reply."""
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        lines = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {address}" for address in envelope.rcpt_tos)]
        head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
        name = self.mailbox.add(head + content)
        print(f"caught an email: {name}", flush=True)  # noqa: T201  (a process of its own, without Django's logging)
        return f"250 OK {name}"


async def serve(port: int, mailbox: Mailbox) -> None:
    """Serve until SIGTERM. A sender that is cut off has no reply 250 yet, so it tries again."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)

    def session() -> SMTP:
        return SMTP(
            MailHandler(mailbox),
            hostname="localhost",
            data_size_limit=MAX_BYTES,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    server = await loop.create_server(session, "127.0.0.1", port)
    print(f"catching mail at 127.0.0.1:{port}", flush=True)  # noqa: T201
    await stop.wait()
    server.close()


def main() -> None:
    """Run the mail catcher until it is stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, Mailbox(options.folder)))


if __name__ == "__main__":
    main()

"""`python -m notifier.dev.catcher --port N --folder DIR`: a real SMTP server that keeps what it is sent in a folder."""

import argparse
import asyncio
import signal
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from notifier.dev.mailbox import Mailbox

LARGEST = 20 * 1024 * 1024


class Keeper:
    """aiosmtpd's handler: every mail is taken, with its envelope as headers, as a mailbox's server writes them."""

    def __init__(self, mailbox: Mailbox) -> None:
        self.mailbox = mailbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Stores the mail; the reply."""
        content = envelope.content if isinstance(envelope.content, bytes) else str(envelope.content).encode()
        lines = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {address}" for address in envelope.rcpt_tos)]
        head = "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")
        name = self.mailbox.add(head + content)
        print(f"caught a mail: {name}", flush=True)  # noqa: T201  (a process of its own, without Django's logging)
        return f"250 OK {name}"


async def serve(port: int, mailbox: Mailbox) -> None:
    """Until SIGTERM. A sender that is cut off was not told "250", so it tries again."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)

    def session() -> SMTP:
        return SMTP(Keeper(mailbox), hostname="localhost", data_size_limit=LARGEST, enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(session, "127.0.0.1", port)
    print(f"catching mail at 127.0.0.1:{port}", flush=True)  # noqa: T201
    await stop.wait()
    server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    asyncio.run(serve(options.port, Mailbox(options.folder)))


if __name__ == "__main__":
    main()

"""A mail server that stores nothing: it counts emails and records their arrival. Its replies can be delayed.

    python -m benchmarks.sink SMTP_PORT CONTROL_PORT

It is one process without threads, so cheap that it does not distort the measurement. Pipelined commands may arrive in
one segment, with the content and the next email's commands. The control port accepts one JSON list in each line and
replies with one JSON line: ["reset", delay in ms], ["offer", whether PIPELINING], ["count"] (emails, distinct
references, first and last arrival), ["arrivals", prefix of the references]. Times are time.monotonic(), equal in all
processes.
"""

import asyncio
import json
import sys
import time

REFERENCE = b"\nX-Entity-Ref-ID:"
MAX_REFERENCE = 200  # bytes of a reference, with the fold before it
END = b"\r\n.\r\n"


class Tally:
    """The emails since the last reset, and the server's behaviour."""

    def __init__(self) -> None:
        self.reset(0)
        self.offer(pipelining=True)

    def reset(self, delay_ms: float) -> None:
        self.delay = delay_ms / 1000
        self.mails: list[tuple[str, float]] = []

    def offer(self, *, pipelining: bool) -> None:
        middle = b"250-PIPELINING\r\n" if pipelining else b""
        self.hello = b"250-sink\r\n%b250-SIZE 36700160\r\n250 8BITMIME\r\n" % middle

    def take(self, buffer: bytearray, end: int) -> None:
        """Record the email at the beginning of the buffer. Its reference is the text before an @."""
        at = buffer.find(REFERENCE, 0, end)
        begin = at + len(REFERENCE)
        reference = bytes(buffer[begin : begin + MAX_REFERENCE]).partition(b"@")[0] if at >= 0 else b""
        self.mails.append((reference.strip().decode(), time.monotonic()))

    def count(self) -> list[float | None]:
        first, last = (self.mails[0][1], self.mails[-1][1]) if self.mails else (None, None)
        return [len(self.mails), len({reference for reference, _ in self.mails}), first, last]


class Smtp(asyncio.Protocol):
    """One client. Replies are in order: while that to an email is delayed, later commands wait."""

    def __init__(self, tally: Tally) -> None:
        self.tally, self.buffer = tally, bytearray()
        self.in_content = self.delayed = self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._reply()

    def _reply(self) -> None:
        """Reply to all complete commands with one write."""
        replies = b""
        while not self.delayed and not self.over:
            reply = self._content() if self.in_content else self._command()
            if reply is None:
                break
            replies += reply
        if replies and not self.transport.is_closing():
            self.transport.write(replies)
        if self.over:
            self.transport.close()

    def _command(self) -> bytes | None:
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return None
        verb = bytes(self.buffer[:4]).upper()
        del self.buffer[: end + 2]
        if verb == b"DATA":
            self.in_content = True
            return b"354 go on\r\n"
        if verb == b"QUIT":
            self.over = True
            return b"221 bye\r\n"
        return self.tally.hello if verb in (b"EHLO", b"HELO") else b"250 ok\r\n"

    def _content(self) -> bytes | None:
        """Return the reply to a whole email; b"" when it is delayed."""
        empty = self.buffer.startswith(END[2:])
        end = 0 if empty else self.buffer.find(END)
        if end < 0:
            return None
        self.tally.take(self.buffer, end)
        del self.buffer[: end + (3 if empty else 5)]
        self.in_content = False
        if not self.tally.delay:
            return b"250 taken\r\n"
        self.delayed = True
        asyncio.get_running_loop().call_later(self.tally.delay, self._release)
        return b""

    def _release(self) -> None:
        self.delayed = False
        if not self.transport.is_closing():
            self.transport.write(b"250 taken\r\n")
        self._reply()


async def control(tally: Tally, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reply to the benchmark's requests until it disconnects."""
    while line := await reader.readline():
        match json.loads(line):
            case ["reset", delay]:
                tally.reset(delay)
                response: object = True
            case ["offer", pipelining]:
                tally.offer(pipelining=pipelining)
                response = True
            case ["count"]:
                response = tally.count()
            case ["arrivals", prefix]:
                response = [each for each in tally.mails if each[0].startswith(prefix)]
            case unknown:
                raise ValueError(f"{unknown}?")
        writer.write(json.dumps(response).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main(smtp_port: int, control_port: int) -> None:
    """Serve until killed."""
    tally, loop = Tally(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Smtp(tally), "127.0.0.1", smtp_port, backlog=512)
    await asyncio.start_server(lambda r, w: control(tally, r, w), "127.0.0.1", control_port)  # last: it means "ready"
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))

"""A mail server that keeps nothing: counts mails, and notes when each came. Answers after a delay that can be set.

    python -m benchmarks.sink SMTP_PORT CONTROL_PORT

One process, no threads: cheap enough not to be what is measured. Pipelined commands may come in one segment, with the
content and with the next mail's commands. The control port takes one JSON list a line and answers with one JSON line:
["reset", delay in ms], ["offer", whether PIPELINING], ["count"] (mails, distinct references, first and last arrival),
["arrivals", how their references begin]. Times are time.monotonic(), the same for every process of the machine.
"""

import asyncio
import json
import sys
import time

REFERENCE = b"\nX-Entity-Ref-ID:"
LONGEST = 200  # bytes of a reference, with the fold before it
END = b"\r\n.\r\n"


class Tally:
    """What has come since the last reset, by reference. delay: seconds before a mail is taken. hello: to EHLO."""

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
        """A mail that is the beginning of the buffer; a reference is what stands before an @."""
        at = buffer.find(REFERENCE, 0, end)
        begin = at + len(REFERENCE)
        reference = bytes(buffer[begin : begin + LONGEST]).partition(b"@")[0] if at >= 0 else b""
        self.mails.append((reference.strip().decode(), time.monotonic()))

    def count(self) -> list[float | None]:
        first, last = (self.mails[0][1], self.mails[-1][1]) if self.mails else (None, None)
        return [len(self.mails), len({reference for reference, _ in self.mails}), first, last]


class Smtp(asyncio.Protocol):
    """One client. Commands are answered in order; while a mail's answer is delayed, what follows waits."""

    def __init__(self, tally: Tally) -> None:
        self.tally, self.buffer = tally, bytearray()
        self.in_content = self.held = self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"220 sink\r\n")

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        self._go_on()

    def _go_on(self) -> None:
        """Answers all that is complete, with one write."""
        answers = b""
        while not self.held and not self.over:
            answer = self._content() if self.in_content else self._command()
            if answer is None:
                break
            answers += answer
        if answers and not self.transport.is_closing():
            self.transport.write(answers)
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
        """The answer to a whole mail; b"" when it comes later."""
        empty = self.buffer.startswith(END[2:])
        end = 0 if empty else self.buffer.find(END)
        if end < 0:
            return None
        self.tally.take(self.buffer, end)
        del self.buffer[: end + (3 if empty else 5)]
        self.in_content = False
        if not self.tally.delay:
            return b"250 taken\r\n"
        self.held = True
        asyncio.get_running_loop().call_later(self.tally.delay, self._release)
        return b""

    def _release(self) -> None:
        self.held = False
        if not self.transport.is_closing():
            self.transport.write(b"250 taken\r\n")
        self._go_on()


async def control(tally: Tally, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers what the benchmark asks, until it hangs up."""
    while line := await reader.readline():
        match json.loads(line):
            case ["reset", delay]:
                tally.reset(delay)
                answer: object = True
            case ["offer", pipelining]:
                tally.offer(pipelining=pipelining)
                answer = True
            case ["count"]:
                answer = tally.count()
            case ["arrivals", prefix]:
                answer = [each for each in tally.mails if each[0].startswith(prefix)]
            case unknown:
                raise ValueError(f"{unknown}?")
        writer.write(json.dumps(answer).encode() + b"\n")
        await writer.drain()
    writer.close()


async def main(smtp_port: int, control_port: int) -> None:
    """Serves until killed."""
    tally, loop = Tally(), asyncio.get_running_loop()
    await asyncio.start_server(lambda r, w: control(tally, r, w), "127.0.0.1", control_port)
    server = await loop.create_server(lambda: Smtp(tally), "127.0.0.1", smtp_port, backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))

"""A DNS with records of the test's own; as a program, `manage.py` that asks it instead of the machine's.

python -m tests.support.scripted_dns PORT doctor --json
"""

import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import dns.message
import dns.rdatatype
import dns.resolver
import dns.rrset

RECORDS = {
    "example.mn": "v=spf1 -all",
    "_dmarc.example.mn": "v=DMARC1; p=none",
    "s1._domainkey.example.mn": "v=DKIM1; p=abc",
}
"""Those of a domain in order."""


class Dns(socketserver.UDPServer):
    records: dict[str, str]
    """TXT records by name."""
    hosts: set[str]
    """Names that have an address."""


class Answer(socketserver.BaseRequestHandler):
    server: Dns

    def handle(self) -> None:
        data, out = self.request
        asked = dns.message.from_wire(data)
        name, kind = asked.question[0].name, asked.question[0].rdtype
        host = name.to_text().rstrip(".")
        answer = dns.message.make_response(asked)
        if kind == dns.rdatatype.A and host in self.server.hosts:
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "192.0.2.1"))
        elif kind == dns.rdatatype.TXT and (text := self.server.records.get(host)):
            answer.answer.append(dns.rrset.from_text(name, 60, "IN", "TXT", f'"{text}"'))
        out.sendto(answer.to_wire(), self.client_address)


@contextmanager
def running() -> Iterator[Dns]:
    """A DNS on a free port of 127.0.0.1; its `records` and `hosts` may be changed."""
    with Dns(("127.0.0.1", 0), Answer) as server:
        server.records, server.hosts = dict(RECORDS), set()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def resolver(port: int) -> dns.resolver.Resolver:
    """A resolver that asks the DNS at this port alone."""
    made = dns.resolver.Resolver(configure=False)
    made.nameservers, made.port = ["127.0.0.1"], port
    return made


if __name__ == "__main__":
    import manage

    dns.resolver.default_resolver = resolver(int(sys.argv.pop(1)))
    manage.main()

"""A notification that is right in every field, and bodies that no honest client sends."""

import json
import random
from datetime import UTC, datetime
from typing import Any


def notification(**fields: Any) -> dict[str, Any]:
    """A body of POST PATH, with `fields` instead of its own; a field given as ... is left out."""
    body = {
        "userId": "42",
        "email": "bat@example.mn",
        "name": "Бат",
        "provider": "github",
        "ipAddress": "203.0.113.7",
        "userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/126.0.0.0 Safari/537.36",
        "timestamp": datetime.now(UTC).isoformat(),
        **fields,
    }
    return {name: value for name, value in body.items() if value is not ...}


VALUES = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        10**400,
        "42",
        [],
        {},
        [[]],
        {"a": {}},
        ["x"] * 1000,
        "",
        " ",
        "\t",
        "\r\nBcc: x@y.mn",
    ),
    *(
        "\x00",
        "a\x00b",
        "\ud800",
        "a\udfffb",
        "\u202e",
        "\ufeff",
        "﷽" * 50,
        "x" * 129,
        "x" * 5000,
        "é@x.mn",
        "a@b",
        "@",
    ),
    *("a@@b.mn", "a@b.mn\n", "a@b..mn", '"a b"@x.mn', "a@[127.0.0.1]", f"{'a' * 65}@b.mn", "a@" + "b." * 126 + "mn"),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00"),
    *("2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:60Z", "2026-01-01", "20260101T000000Z", "now"),
    *("2026-01-01T00:00:00", "2026-01-01T00:00:00+99:99", "2026-01-01T00:00:00.1234567890Z", "٢٠٢٦-01-01T00:00:00Z"),
    *("256.1.1.1", "1.2.3", "::1%eth0", "fe80::1%<b>", "1.2.3.4:80", "[::1]", ":::", "0x7f.1", "١.١.١.١"),
    *(
        "../../etc/passwd",
        "' OR 1=1 --",
        "{{7*7}}",
        "<script>",
        "%00",
        "${jndi:ldap://x}",
        "Asia/Atlantis",
        "/etc/localtime",
    ),
    *("MN", "mn-MN", "../mn", "a/b", "a b", "\x7f", "-" * 64),
]
FIELDS = [*notification(), "jobId", "locale", "timezone", "newDevice", "status", "__proto__", "user_id", ""]
WHOLE = [
    *(b"", b" ", b"null", b"[]", b"1", b'"x"', b"{", b"}", b'{"a"', b"{} {}", b"\xff\xfe{\x00}\x00", b"\xef\xbb\xbf{}"),
    *(b"NaN", b'{"a":NaN}', b'{"a":Infinity}', b"[" * 60_000, b'{"a":' * 12_000, b"[" * 30_000 + b"]" * 30_000),
    *(
        b'{"userId":"\xc3\x28"}',
        b'{"userId":"\xed\xa0\x80"}',
        b'{"userId":"\\ud800"}',
        b"9" * 60_000,
        b"-",
        b"1e999999",
    ),
    *(b"a=1&b=2", b"<xml/>", b"\x00" * 100, b'{"a":1}' * 9000, bytes(range(256)), b'{"userId":"1","userId":2}'),
]


def hostile(chance: random.Random) -> bytes:
    """A body that is wrong: as a whole, in some fields, or by a few bytes."""
    if chance.random() < 0.15:
        return chance.choice(WHOLE)
    body = notification()
    for field in chance.sample(FIELDS, chance.choice([1, 1, 1, 2, 5])):
        body[field] = chance.choice(VALUES)
        if chance.random() < 0.1:
            del body[field]
    raw = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    if chance.random() < 0.2:
        place = chance.randrange(len(raw))
        raw = raw[:place] + chance.randbytes(chance.choice([1, 1, 4])) + raw[place + chance.choice([0, 1, 4]) :]
    return raw

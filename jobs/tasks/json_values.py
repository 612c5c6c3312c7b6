"""Arguments and return values: JSON, as the database stores it."""

import json
import re
from typing import Any

from jobs.tasks.compat import normalize_json

LONGEST = 256 * 1024  # bytes of the arguments of one task, and of its return value
ENCODER = json.JSONEncoder(allow_nan=False, ensure_ascii=False)
NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # a NUL as JSON writes it: PostgreSQL stores none


def as_stored(value: Any, what: str) -> Any:
    """Return a value as it will be read again: tuples become lists, the keys of dicts texts, bytes text.

    what: how the error names it. Raises TypeError for a value that is not JSON, and ValueError for one that is too
    large, nested too deeply, or that PostgreSQL cannot store (NaN, infinity, a NUL, half of a surrogate pair).
    """
    try:
        text = ENCODER.encode(normalize_json(value))
        size = len(text.encode())
    except RecursionError:
        raise ValueError(f"{what}: nested too deeply, or contains itself") from None
    except UnicodeEncodeError:
        raise ValueError(f"{what}: contains half of a surrogate pair, which cannot be stored") from None
    except TypeError as error:
        raise TypeError(f"{what}: not JSON ({error})") from error
    except ValueError as error:
        raise ValueError(f"{what}: not JSON ({error})") from error
    if size > LONGEST:
        raise ValueError(f"{what}: {size:,} bytes as JSON, and {LONGEST:,} are the limit; store it, and pass its key")
    if NUL.search(text):
        raise ValueError(f"{what}: contains a NUL character, which cannot be stored")
    return json.loads(text)

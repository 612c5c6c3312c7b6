"""The hash of passwords: Argon2id, with as much memory as a small server has for each of its threads."""

from django.contrib.auth.hashers import Argon2PasswordHasher


class Argon2idPasswordHasher(Argon2PasswordHasher):
    """Argon2id with the parameters that OWASP's Password Storage Cheat Sheet names first.

    Django's own take 100 MB and eight threads for each hash.
    """

    time_cost = 2
    memory_cost = 19 * 1024  # KiB
    parallelism = 1

"""Passwords are hashed with Argon2id and little memory; a hash of an earlier version is replaced at a sign-in."""

import pytest
from argon2 import extract_parameters
from django.contrib.auth.hashers import PBKDF2PasswordHasher, identify_hasher, make_password, verify_password

from notifier.settings import PASSWORD_HASHERS

PASSWORD = "seven-Steppe-horses"


@pytest.fixture(autouse=True)
def shipped(settings):
    settings.PASSWORD_HASHERS = PASSWORD_HASHERS


def test_a_new_hash_is_argon2id_with_19_mib_two_rounds_and_one_thread():
    kind, _, rest = make_password(PASSWORD).partition("$")
    used = extract_parameters(f"${rest}")
    assert (kind, rest.partition("$")[0]) == ("argon2", "argon2id")
    assert (used.memory_cost, used.time_cost, used.parallelism) == (19 * 1024, 2, 1)


def test_a_hash_is_verified_and_stays():
    assert verify_password(PASSWORD, make_password(PASSWORD)) == (True, False)
    assert verify_password("another", make_password(PASSWORD)) == (False, False)


def test_a_hash_of_an_earlier_version_is_verified_and_then_replaced():
    former = PBKDF2PasswordHasher().encode(PASSWORD, "a-salt-of-22-characters")
    assert verify_password(PASSWORD, former) == (True, True)
    assert verify_password("another", former)[0] is False


def test_an_unknown_account_costs_the_hash_that_a_known_one_does():
    """Django hashes the password with the first hasher when there is no account."""
    assert identify_hasher(make_password(PASSWORD)).algorithm == "argon2"

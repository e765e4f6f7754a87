"""Claims about guessable secrets: what is made at random is none, in whatever form it comes."""

from base64 import b64encode, urlsafe_b64encode
from hashlib import sha256, sha512

import pytest

from watchword.shared_secrets import is_guessable

DJANGO = "abcdefghijklmnopqrstuvwxyz0123456789!@#$%^&*(-_=+)"
"""What ``get_random_secret_key`` takes 50 of: one key in fifty holds ``$(``."""


def test_what_is_made_at_random_is_not_guessable() -> None:
    """Bytes that are no text, the forms in which ``openssl rand`` and ``secrets`` write them, digits, Django's keys."""
    for seed in range(500):
        made = sha256(str(seed).encode()).digest()
        digits = str(int.from_bytes(made, "big"))[:40].encode()
        django = "".join(DJANGO[each % 50] for each in sha512(made).digest()[:50]).encode()
        for secret in (made, made.hex().encode(), b64encode(made), urlsafe_b64encode(made), digits, django):
            assert not is_guessable(secret), seed


@pytest.mark.parametrize("secret", [b"\xff" * 40, b"\0" * 64, "é".encode() * 20, b"\xffsecret" * 10])
def test_bytes_are_judged_as_texts_are(secret: bytes) -> None:
    """One of few values, or well-known words among them, is guessable whether or not it is UTF-8."""
    assert is_guessable(secret)


@pytest.mark.parametrize(
    "secret",
    [
        "a-string-secret-at-least-256-bits-long",
        "a-valid-string-secret-that-is-at-least-512-bits-long-which-is-very-long",
        "thisisaverylongsecretthatnobodyknows",
        "0123456789abcdef" * 2,
        "abcdefghijklmnopqrstuvwxyz123456",
        "ZYXWVUTSRQPONMLKJIHGFEDCBA9876543210",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "404E635266556A586E3272357538782F413F4428472B4B6250645367566B5970",
        "3cfa76ef14937c1c0ea519f8fc057a80fcd04a7420f8e8bcd0a7567c272e007b",
        "413F4428472B4B6250655368566D5970337336763979244226452948404D6351",
        "JWTAuthenticationHIGHsecuredPasswordVVVp1OH7Xzyr",
        "======================BezKoder=Spring===========================",
        "qwertyuiopasdfghjklzxcvbnm123456",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
        "correct horse battery staple" * 2,
        "the quick brown fox jumps over the lazy dog",
        "x7Kp2mQ9vR4t" * 3,
        "x7Kp2mQ9vR4t" * 3 + "x7Kp2m",
        "147258369" * 3 + "14725",
        "aabbccddeeffgghhiijjkkllmmnnooppqqrrssttuuvvwwxxyyzz",
        "31415926535897932384626433832795",
        '"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"',
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf" * 2,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
        "your-super-secret-jwt-token-with-at-least-32-characters-long",
        "reallyreallyreallyreallyverysafe",
        "DO NOT USE THIS VALUE. INSTEAD, CREATE A COMPLEX SECRET AND KEEP IT SAFE OUTSIDE OF THE SOURCE CODE.",
        "THIS IS USED TO SIGN AND VERIFY JWT TOKENS, REPLACE IT WITH YOUR OWN SECRET, IT CAN BE ANY STRING",
        "c292a0a3aa32397cdb050e233733900f",
        "6116487b-cda1-52c2-b5b5-c8022c45e263",
        "000102030405060708090a0b0c0d0e0f",
        "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
    ],
)
def test_what_everybody_copies_is_guessable(secret: str) -> None:
    """Row 92: the default of jwt.io, those of tutorials, and what one types who needs 32 characters."""
    assert is_guessable(secret.encode())


@pytest.mark.parametrize(
    "secret",
    [
        "/run/secrets/watchword_secret_key",
        "instance/secret_key_of_the_service",
        "'/etc/watchword2/SECRET_KEY.production'",
        "~/Library/Application Support/WatchWord/secret",
        "C:\\ProgramData\\Watchword\\secret_key",
        "$(openssl rand -base64 48 | tr -d '\\n')",
        "$(</run/secrets/watchword_secret_key)",
        "$(WATCHWORD_SECRET_KEY_PRODUCTION)",
        "base64:${WATCHWORD_SECRET_KEY:?set this first}",
        "{{ lookup('env', 'WATCHWORD_SECRET_KEY') }}",
        "<%= ENV.fetch('WATCHWORD_SECRET_KEY') %>",
        "%env(resolve:WATCHWORD_SECRET_KEY)%",
        "`openssl rand -base64 48 | tr -d '\\n'`",
        "'`/usr/bin/head -c 32 /dev/urandom | base64`'\n",
        "$WATCHWORD_SECRET_KEY_FROM_VAULT_PROD",
        '"%WATCHWORD_SECRET_KEY_PRODUCTION%"',
        "<your-generated-secret-goes-here-now>",
        "<YOUR_SECRET_KEY_GOES_IN_THIS_PLACE>",
        "<your-random-secret-of-at-least-32-bytes>",
        "<64-hex-digits-from-openssl-go-here>",
        "<output of `openssl rand -base64 48`>",
        "<<insert: output of openssl rand here>>",
        "$(WATCHWORD_SECRET_KEY_1_PRODUCTION)",
        "$env:WATCHWORD_SECRET_KEY_PRODUCTION",
        "#{WATCHWORD_SECRET_KEY_FROM_VAULT}#",
        "#{secret-key-of-the.watchword-service}",
        "__WATCHWORD_SECRET_KEY_FROM_CI_VARIABLES__",
        "%(WATCHWORD_SECRET_KEY_PRODUCTION)s",
        "{WATCHWORD_SECRET_KEY_OF_PRODUCTION}",
        "@WATCHWORD_SECRET_KEY_PRODUCTION_2@",
        "[[ secret-key-of-the.watchword-service ]]",
        "[paste-the-output-of-openssl-rand-here]",
        "$lower_case_name_of_the_secret_key_2",
        "[PASTE-YOUR-GENERATED-KEY-HERE-IN-BASE64!!]",
        "<put your 32 random bytes in here, please!>",
        "$$watchword_secret_key_production",
        "{{ lookup('vault', 'secret=secret/data/watchword:key') }}",
        '{{ required "the key is required!" .Values.secretKey }}',
        "${{ secrets.WATCHWORD_SECRET_KEY && secrets.B || 'x' }}",
        '<%= ENV.fetch("WATCHWORD_SECRET_KEY") { raise } %>',
        "${WATCHWORD_SECRET_KEY_PRODUCTION%$}",
        "{watchword_secret_key_production_2}",
    ],
)
def test_what_says_where_the_secret_is_is_guessable(secret: str) -> None:
    """A ``_FILE`` forgotten behind a setting's name, or a template that nothing filled in: all documentation has it."""
    assert is_guessable(secret.encode())

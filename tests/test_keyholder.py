"""The keys of one process in memory: what is on the ring at a moment, and what never is."""

from dataclasses import replace
from math import isnan
from typing import Any

import pytest

from watchword.key_states import OUTLIVES, PUBLISH_AHEAD, rotated, started
from watchword.keyholder import KeyHolder
from watchword.keys import ASYMMETRIC_ALGORITHMS, KeyRefused
from watchword.model import SealedKey

NOW = 1_800_000_000
OLD, NEW = b"o" * 32, b"n" * 32


def holder(*secrets: bytes, algorithm: str = "ES256") -> KeyHolder:
    """A process's keys."""
    return KeyHolder(algorithm=algorithm, secret=secrets[0], fallbacks=secrets[1:])


def two_keys(keys: KeyHolder) -> list[SealedKey]:
    """One that signs and one that is published."""
    first = started([], algorithm=keys.algorithm, first=keys.make(now=NOW), now=NOW)
    return rotated(first, new=keys.make(now=NOW), now=NOW)


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA"])
def test_the_ring_goes_with_the_time(algorithm: str) -> None:
    """Row 93: each second has its signer, its published keys, and one version for as long as they are the same."""
    keys = holder(OLD, algorithm=algorithm)
    first, second = stored = two_keys(keys)
    moments = [
        (0, first.kid, {first.kid, second.kid}),
        (PUBLISH_AHEAD, second.kid, {first.kid, second.kid}),
        (PUBLISH_AHEAD + OUTLIVES, second.kid, {second.kid}),
    ]
    versions = []
    keys.learn(stored, now=NOW)
    for after, signer, published in moments:
        for second_after in (0, 1):
            keys.turn(now=NOW + after + second_after)
            assert keys.ring.signer.kid == signer
            assert {jwk["kid"] for jwk in keys.ring.jwks()["keys"]} == published
            versions.append(keys.ring.version)
    assert len(set(map(id, versions))) == 3


def test_its_age_is_that_of_the_key_that_signs() -> None:
    """It begins anew with each key; where none signs there is no number."""
    keys = holder(OLD)
    assert isnan(keys.age(now=NOW))
    keys.learn(two_keys(keys), now=NOW + 5)
    assert keys.age(now=NOW + 5) == 5
    keys.turn(now=NOW + PUBLISH_AHEAD)
    assert keys.age(now=NOW + PUBLISH_AHEAD + 1) == 1


def test_a_key_that_does_not_open_takes_no_other_away() -> None:
    """All others are taken over before the refusal is told."""
    first, second = two_keys(holder(OLD))
    foreign = holder(NEW).make(now=NOW)
    keys = holder(OLD)
    with pytest.raises(KeyRefused, match=foreign.kid):
        keys.learn([first, second, foreign], now=NOW)
    assert (keys.ring.signer.kid, keys.count) == (first.kid, 2)


SPOILT: list[dict[str, Any]] = [
    {"signs_from": "abc"},
    {"signs_from": b"x"},
    {"verifies_until": "abc"},
    {"verifies_until": 1.5},
    {"generation": "abc"},
]


@pytest.mark.parametrize("cell", [*SPOILT, {"sealed": 5}])
def test_a_row_with_a_cell_of_another_kind_takes_no_other_away(cell: dict[str, Any]) -> None:
    """Whoever can add a row to SQLite must not keep a retirement from biting."""
    first, second = two_keys(holder(OLD))
    keys = holder(OLD)
    keys.learn([first, second], now=NOW + PUBLISH_AHEAD)
    foreign = replace(holder(OLD).make(now=NOW), **cell)
    with pytest.raises(KeyRefused, match=foreign.kid):
        keys.learn([second, foreign], now=NOW + PUBLISH_AHEAD)
    assert {key.kid for key in keys.ring} == {second.kid}


@pytest.mark.parametrize("cell", SPOILT)
def test_a_key_whose_row_is_spoilt_stays_what_it_was(cell: dict[str, Any]) -> None:
    """It signs at its time, and the other verifies until its own."""
    first, second = two_keys(holder(OLD))
    keys = holder(OLD)
    keys.learn([first, second], now=NOW)
    with pytest.raises(KeyRefused, match=second.kid):
        keys.learn([first, replace(second, **cell)], now=NOW)
    keys.turn(now=NOW + PUBLISH_AHEAD)
    assert (keys.ring.signer.kid, len(keys.ring)) == (second.kid, 2)


def test_what_was_opened_is_not_opened_again() -> None:
    """Sealed anew under a secret that is not known here, a key is still the one that it was."""
    first, second = two_keys(holder(OLD))
    keys = holder(OLD)
    keys.learn([first, second], now=NOW)
    other = holder(NEW, OLD)
    other.learn([first, second], now=NOW)
    keys.learn(other.resealed([first, second]), now=NOW)
    assert keys.count == 2
    keys.learn([first], now=NOW)
    with pytest.raises(KeyRefused):
        keys.learn(other.resealed([first, second]), now=NOW)  # forgotten with its row


def test_only_what_a_fallback_opened_is_sealed_anew() -> None:
    """What the secret itself opens stays as it is to the byte, and so does what nothing opens."""
    sealed = two_keys(holder(OLD))
    foreign = holder(b"f" * 32).make(now=NOW)
    keys = holder(NEW, OLD)
    with pytest.raises(KeyRefused):
        keys.learn([*sealed, foreign], now=NOW)
    anew = keys.resealed([*sealed, foreign])
    assert [a == b for a, b in zip(anew, [*sealed, foreign], strict=True)] == [False, False, True]
    assert keys.resealed(anew) == anew
    holder(NEW).learn(anew[:2], now=NOW)


def test_nothing_that_could_sign_is_shown() -> None:
    """Neither a secret nor a sealed part is in what a log might be given."""
    keys = holder(OLD, NEW)
    stored = two_keys(keys)
    keys.learn(stored, now=NOW)
    shown = repr(keys) + repr(stored) + repr(keys.ring.signer)
    assert not any(repr(part)[2:12] in shown for part in (OLD, NEW, *(key.sealed for key in stored)))


@pytest.mark.parametrize("algorithm", [*ASYMMETRIC_ALGORITHMS, "HS256"])
def test_all_but_hs256_rotate(algorithm: str) -> None:
    """Under HS256 the secret is the key."""
    assert holder(OLD, algorithm=algorithm).rotates is (algorithm != "HS256")

"""The rules of signing keys, without a database: what each is for, and that no rotation loses a token."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.errors import RotationRefused, UnknownSigningKey
from watchword.key_states import (
    HEAD_START,
    OUTLIVES,
    PUBLISH_AHEAD,
    ROTATE_AFTER,
    KeyState,
    is_due,
    retired,
    rotated,
    started,
    states,
)
from watchword.model import SealedKey
from watchword.tokens import CLOCK_SKEW, MAX_LIFETIME

NOW = 1_800_000_000
PUBLISHED, SIGNING, VERIFYING, DEAD = KeyState


def a_key(kid: str, *, algorithm: str = "ES256", generation: int = 1, signs_from: int = NOW) -> SealedKey:
    """A stored key; nobody opens it here."""
    return SealedKey(kid, algorithm, generation, b"", signs_from, signs_from)


def seen(keys: list[SealedKey], *, now: int, algorithm: str = "ES256") -> list[KeyState]:
    """The states, in the keys' order."""
    found = states(keys, algorithm=algorithm, now=now)
    return [found[key.kid] for key in keys]


FIRST = started([], algorithm="ES256", first=a_key("one"), now=NOW)
SECOND = rotated(FIRST, new=a_key("two"), now=NOW)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0, [SIGNING, PUBLISHED]),
        (PUBLISH_AHEAD - 1, [SIGNING, PUBLISHED]),
        (PUBLISH_AHEAD, [VERIFYING, SIGNING]),
        (PUBLISH_AHEAD + OUTLIVES - 1, [VERIFYING, SIGNING]),
        (PUBLISH_AHEAD + OUTLIVES, [DEAD, SIGNING]),
        (10 * ROTATE_AFTER, [DEAD, SIGNING]),
    ],
)
def test_the_life_of_a_key_and_its_successor(after: int, expected: list[KeyState]) -> None:
    """Row 93: published, signing, verifying, dead, each from its second on."""
    assert seen(SECOND, now=NOW + after) == expected


def test_a_key_is_published_for_longer_than_the_key_set_is_kept() -> None:
    """Whoever keeps the set for its ``max-age`` of 600 s, and asks just before the key is made, has it in time."""
    assert PUBLISH_AHEAD > 600 + 60


def test_a_key_outlives_every_token_that_a_guard_takes() -> None:
    """However long tokens lived when it signed, and whichever clock is asked."""
    assert OUTLIVES > MAX_LIFETIME + CLOCK_SKEW


def test_the_first_key_signs_at_once_also_by_a_clock_that_is_behind() -> None:
    """It has no predecessor that could sign meanwhile."""
    assert seen(FIRST, now=NOW - 5) == [SIGNING]
    assert seen(rotated(FIRST, new=a_key("two"), now=NOW), now=NOW - 5) == [SIGNING, PUBLISHED]


def test_one_that_waits_is_not_followed_but_brought_forward() -> None:
    """A second rotation is refused; at once means the same key, sooner, and its predecessor ends sooner too."""
    with pytest.raises(RotationRefused, match="two is published already"):
        rotated(SECOND, new=a_key("three"), now=NOW + 10)
    one, two = rotated(SECOND, new=a_key("three"), now=NOW + 10, at_once=True)
    assert (two.kid, two.generation, two.signs_from) == ("two", 2, NOW + 10 + HEAD_START)
    assert one.verifies_until == two.signs_from + OUTLIVES
    assert rotated([one, two], new=a_key("three"), now=NOW + 11, at_once=True) == [one, two]


def test_in_an_emergency_a_key_signs_after_some_seconds() -> None:
    """Every process of ours has read it by then."""
    keys = rotated(FIRST, new=a_key("two"), now=NOW, at_once=True)
    assert seen(keys, now=NOW + HEAD_START - 1) == [SIGNING, PUBLISHED]
    assert seen(keys, now=NOW + HEAD_START) == [VERIFYING, SIGNING]


def test_the_next_key_is_due_once_and_in_time() -> None:
    """So early that it signs when its predecessor is thirty days old; not again while it waits, or when it signs."""
    due = NOW + ROTATE_AFTER - PUBLISH_AHEAD
    assert not is_due(FIRST, algorithm="ES256", now=due - 1)
    assert is_due(FIRST, algorithm="ES256", now=due)
    keys = rotated(FIRST, new=a_key("two"), now=due)
    assert keys[1].signs_from == NOW + ROTATE_AFTER
    for later in (0, PUBLISH_AHEAD, PUBLISH_AHEAD + OUTLIVES):
        assert not is_due(keys, algorithm="ES256", now=due + later)
    assert is_due([], algorithm="ES256", now=NOW)


def test_the_key_that_signs_is_not_retired() -> None:
    """The refusal says what to do first; a key that nobody has is told too."""
    with pytest.raises(RotationRefused, match="rotate --now"):
        retired(SECOND, kid="one", algorithm="ES256", now=NOW)
    with pytest.raises(UnknownSigningKey):
        retired(SECOND, kid="three", algorithm="ES256", now=NOW)


def test_the_key_that_signs_for_another_algorithm_is_not_retired() -> None:
    """A shell without the service's ALGORITHM takes nobody's only key; once a service has left it, it can go."""
    for algorithm in ("RS256", "HS256"):
        for keys in (FIRST, SECOND):  # the successor that waits has given the second one an end
            with pytest.raises(RotationRefused, match="WATCHWORD_ALGORITHM=ES256 watchword keys rotate --now"):
                retired(keys, kid="one", algorithm=algorithm, now=NOW)
        followed = retired(SECOND, kid="one", algorithm=algorithm, now=NOW + PUBLISH_AHEAD)
        assert [key.kid for key in followed] == ["two"]
        assert retired(SECOND, kid="two", algorithm=algorithm, now=NOW) == FIRST
        left = started(SECOND, algorithm=algorithm, now=NOW)
        assert [key.kid for key in retired(left, kid="one", algorithm=algorithm, now=NOW)] == ["two"]


def test_a_retired_key_is_gone() -> None:
    """Row 93: one that verified, by whatever clock; and one that waited, whose predecessor goes on without an end."""
    assert [key.kid for key in retired(SECOND, kid="one", algorithm="ES256", now=NOW + PUBLISH_AHEAD)] == ["two"]
    assert retired(SECOND, kid="two", algorithm="ES256", now=NOW) == FIRST


def test_another_algorithm_ends_the_keys_of_the_former() -> None:
    """They verify as long as their tokens may live; going back in time finds the key, and has it followed."""
    keys = started(FIRST, algorithm="EdDSA", first=a_key("other", algorithm="EdDSA"), now=NOW + 50)
    assert seen(keys, now=NOW + 50, algorithm="EdDSA") == [VERIFYING, SIGNING]
    assert seen(keys, now=NOW + 50 + OUTLIVES, algorithm="EdDSA") == [DEAD, SIGNING]
    back = started(keys, algorithm="ES256", first=a_key("unused"), now=NOW + 60)
    assert seen(back, now=NOW + 60) == [SIGNING, VERIFYING]
    assert is_due(back, algorithm="ES256", now=NOW + 60)
    followed = rotated(back, new=a_key("two"), now=NOW + 60)
    assert seen(followed, now=NOW + 60 + PUBLISH_AHEAD) == [VERIFYING, VERIFYING, SIGNING]
    assert [key.verifies_until for key in followed] == [
        NOW + 60 + PUBLISH_AHEAD + OUTLIVES,
        NOW + 60 + OUTLIVES,
        None,
    ]


def test_under_hs256_no_stored_key_signs() -> None:
    """Those of before verify until their tokens are dead."""
    keys = started(FIRST, algorithm="HS256", now=NOW + 1)
    assert seen(keys, now=NOW + 1, algorithm="HS256") == [VERIFYING]
    assert seen(keys, now=NOW + 1 + OUTLIVES, algorithm="HS256") == [DEAD]


@dataclass
class World:
    """Keys, tokens that were signed with them, and the time."""

    now: int = NOW
    keys: list[SealedKey] = field(default_factory=lambda: list(FIRST))
    tokens: list[tuple[str, int]] = field(default_factory=list)
    made: int = 1

    def rotate(self, *, at_once: bool) -> None:
        """A rotation that may be refused, which changes nothing."""
        self.made += 1
        try:
            self.keys = rotated(self.keys, new=a_key(f"key{self.made}"), now=self.now, at_once=at_once)
        except RotationRefused:
            assert not at_once

    def retire_what_waits(self) -> None:
        """The only retirement that costs no token; by a clock that is ahead, a key that is about to sign has signed."""
        for key in self.keys:
            if key.signs_from > self.now + CLOCK_SKEW:
                self.keys = retired(self.keys, kid=key.kid, algorithm="ES256", now=self.now)

    def sign(self, *, skew: int) -> None:
        """The longest token of a process with a clock of its own."""
        found = states(self.keys, algorithm="ES256", now=self.now + skew)
        (signing,) = [kid for kid, state in found.items() if state is SIGNING]
        self.tokens.append((signing, self.now + skew + MAX_LIFETIME))

    def verify(self, *, skew: int) -> None:
        """Every token that is not over, by a process with a clock of its own, now and in its last second."""
        now = self.now + skew
        assert list(states(self.keys, algorithm="ES256", now=now).values()).count(SIGNING) == 1
        for kid, expires_at in self.tokens:
            for moment in (now, expires_at - 1) if expires_at > now else ():
                assert states(self.keys, algorithm="ES256", now=moment)[kid] is not DEAD, (kid, moment)


SKEWS = st.integers(-CLOCK_SKEW, CLOCK_SKEW)
ACTIONS = st.sampled_from(["rotate", "rotate at once", "retire", "nothing"])
WAITS = st.sampled_from([0, 1, HEAD_START, PUBLISH_AHEAD - 1, MAX_LIFETIME, OUTLIVES])


@given(st.lists(st.tuples(ACTIONS, WAITS), max_size=20), SKEWS, SKEWS)
def test_no_rotation_loses_a_token(steps: list[tuple[str, int]], signers: int, verifiers: int) -> None:
    """Whatever is rotated and when, one key signs by every clock, and whatever was signed verifies until it expires."""
    world = World()
    for action, wait in steps:
        if action == "retire":
            world.retire_what_waits()
        elif action != "nothing":
            world.rotate(at_once=action == "rotate at once")
        world.now += wait
        world.sign(skew=signers)
        world.verify(skew=verifiers)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 2 * OUTLIVES)), max_size=12), st.integers(1, 3 * OUTLIVES))
def test_with_time_a_key_only_goes_forward(rotations: list[tuple[bool, int]], later: int) -> None:
    """Published, signing, verifying, dead: no passage of time brings a key back."""
    world = World()
    for at_once, after in rotations:
        world.rotate(at_once=at_once)
        world.now += after
    before = states(world.keys, algorithm="ES256", now=world.now)
    after_that = states(world.keys, algorithm="ES256", now=world.now + later)
    order = list(KeyState)
    assert all(order.index(before[kid]) <= order.index(state) for kid, state in after_that.items())


def test_times_are_changed_and_nothing_else() -> None:
    """No rule touches what a key is."""
    keys = rotated(SECOND, new=a_key("three"), now=NOW + 1, at_once=True)
    assert [replace(key, signs_from=0, verifies_until=None) for key in keys] == [
        replace(key, signs_from=0, verifies_until=None) for key in SECOND
    ]

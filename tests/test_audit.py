"""The chain of audit events: whatever is done to it without the key is found, and nothing else is."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchword.audit import Anchor, Entry, Event, Outcome, Seals
from watchword.errors import ChainBroken

SECRET, OTHER = b"a root secret of thirty-two bytes or more", b"another root secret of thirty-two bytes"
SEALS = Seals(SECRET)
LENGTH = 12


def chained(seals: Seals = SEALS, *, writer: str = "w", length: int = LENGTH) -> list[Entry]:
    """What a writer writes."""
    entries: list[Entry] = []
    for seq in range(1, length + 1):
        fields = (
            writer,
            seq,
            1000 * seq,
            Event.LOGIN_FAIL,
            Outcome.FAILURE,
            "",
            "user",
            f"u{seq % 3}",
            "",
            "::/64",
            "r",
        )
        previous = entries[-1].digest if entries else b""
        entries.append(Entry(*fields, digest=seals.digest(fields, previous=previous)))
    return entries


def check(
    entries: Sequence[Entry],
    *,
    numbers: Iterable[int] = range(5, 99),
    seals: Seals = SEALS,
    anchor: Anchor | None = None,
) -> None:
    """Follow a writer's chain to its end; in the table there are events of others before it."""
    chain = seals.follow("w", anchor=anchor)
    for number, entry in zip(numbers, entries, strict=False):
        chain.check(number, entry)


def anchor_at(seq: int, *, seals: Seals = SEALS) -> Anchor:
    """What is kept when the first events are removed."""
    chain = seals.follow("w")
    for number, entry in enumerate(chained(seals)[:seq], start=1):
        chain.check(number, entry)
    return chain.anchor(at=1000 * seq)


def test_what_was_written_verifies() -> None:
    """From its beginning, as far as it goes, and as it comes back from a database, where every word is plain text."""
    entries = chained()
    for length in range(LENGTH + 1):
        check(entries[:length])
    check([entry._replace(event=str(entry.event), outcome=str(entry.outcome)) for entry in entries])


@pytest.mark.parametrize("numbers", [(0, 1, 2), (-3, 1, 2), (1, 3, 2), (1, 2, 2), (7, 5, 6)])
def test_a_place_in_the_table_that_no_append_gives_is_found(numbers: tuple[int, ...]) -> None:
    """Numbers that do not rise from 1 on; no digest covers them, and exports are in their order."""
    with pytest.raises(ChainBroken, match=r"event \d of writer w was moved in the order of the table"):
        check(chained(), numbers=numbers)


@given(place=st.integers(0, LENGTH - 1), field=st.sampled_from(Entry._fields), data=st.data())
def test_a_change_of_any_field_is_found(place: int, field: str, data: st.DataObject) -> None:
    """Another value of any kind, in any field of any event."""
    entries = chained()
    before = getattr(entries[place], field)
    values = st.one_of(st.text(max_size=5), st.integers(), st.binary(max_size=40), st.none(), st.floats())
    value: Any = data.draw(values.filter(lambda value: value != before))
    entries[place] = entries[place]._replace(**{field: value})
    with pytest.raises(ChainBroken):
        check(entries)


@given(st.permutations(range(LENGTH)), st.integers(0, LENGTH))
def test_what_is_removed_or_moved_is_found(order: list[int], length: int) -> None:
    """Whatever is left, in whatever order, verifies only if it is the beginning; renumbered or not."""
    entries = chained()
    left = [entries[place] for place in order[:length]]
    renumbered = [entry._replace(seq=seq) for seq, entry in enumerate(left, start=1)]
    if order[:length] == list(range(length)):
        check(left)
        return
    for found in (left, renumbered):
        with pytest.raises(ChainBroken):
            check(found)


@given(st.integers(0, LENGTH - 1), st.integers(0, LENGTH - 1))
def test_what_is_inserted_is_found(place: int, copied: int) -> None:
    """A copy of an event anywhere but at the end of all, numbers moved on or not; one of another secret even there."""
    entries = chained()
    forged = chained(Seals(OTHER))[copied]
    for extra in (entries[copied], forged):
        grown = [*entries[:place], extra, *entries[place:]]
        with pytest.raises(ChainBroken):
            check(grown)
        with pytest.raises(ChainBroken):
            check([entry._replace(seq=seq) for seq, entry in enumerate(grown, start=1)])
    with pytest.raises(ChainBroken):
        check([*entries, chained(Seals(OTHER), length=LENGTH + 1)[-1]])


def test_a_chain_that_was_made_anew_is_found() -> None:
    """Who can write the whole table and does not know SECRET_KEY cannot chain it again."""
    with pytest.raises(ChainBroken, match="event 1 of writer w is not as it was written"):
        check(chained(Seals(OTHER)))


def test_a_chain_of_another_writer_is_found() -> None:
    """Events of one process are not those of another, under whatever name."""
    with pytest.raises(ChainBroken):
        check([entry._replace(writer="w") for entry in chained(writer="v")])


@given(st.integers(1, LENGTH))
def test_the_rest_of_a_chain_hangs_on_its_anchor(seq: int) -> None:
    """After old events were removed the others verify from there, and from no other place."""
    entries, anchor = chained(), anchor_at(seq)
    check(entries[seq:], anchor=anchor)
    for start in set(range(LENGTH)) - {seq}:
        with pytest.raises(ChainBroken):
            check(entries[start:], anchor=anchor)
    if seq < LENGTH:
        with pytest.raises(ChainBroken, match="event 1 of writer w is missing"):
            check(entries[seq:])


@given(seq=st.integers(1, LENGTH - 1), field=st.sampled_from(["seq", "digest", "mac"]), data=st.data())
def test_an_anchor_that_nobody_of_us_made_holds_nothing(seq: int, field: str, data: st.DataObject) -> None:
    """Who removes the beginning cannot make it look as if it had been old."""
    entries, anchor = chained(), anchor_at(max(1, seq - 1))
    changed: dict[str, Any] = {"seq": seq, "digest": entries[seq - 1].digest, "mac": data.draw(st.binary(max_size=40))}
    for forged in (anchor._replace(**changed), anchor._replace(**{field: changed[field]})):
        if forged != anchor:
            with pytest.raises(ChainBroken):
                check(entries[seq:], anchor=forged)
    with pytest.raises(ChainBroken):
        check(entries[seq:], anchor=anchor_at(seq, seals=Seals(OTHER)))


@pytest.mark.parametrize(
    ("field", "value"), [("seq", "5"), ("seq", 5.0), ("digest", "x"), ("digest", None), ("mac", "x")]
)
def test_an_anchor_of_another_kind_holds_nothing(field: str, value: object) -> None:
    """SQLite gives back what was stored, whatever the column is for; that is a broken chain and no other error."""
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ChainBroken, match="event 1 of writer w is missing"):
        check(chained()[5:], anchor=anchor_at(5)._replace(**changes))


def test_events_of_a_former_secret_verify_while_it_is_a_fallback() -> None:
    """Also behind an anchor; one writer has one secret, so that a chain cannot change over in the midst."""
    former, both = Seals(OTHER), Seals(SECRET, [OTHER])
    check(chained(former), seals=both)
    check(chained(former)[5:], seals=both, anchor=anchor_at(5, seals=former))
    mixed = chained(former)
    fields = mixed[5][:-1]
    mixed[5] = mixed[5]._replace(digest=SEALS.digest(fields, previous=mixed[4].digest))
    with pytest.raises(ChainBroken, match="event 6 "):
        check(mixed, seals=both)
    with pytest.raises(ChainBroken, match=r"event 1 .* a SECRET_KEY that is not given"):
        check(chained(former))

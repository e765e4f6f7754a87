"""A statement is written once and understood by both databases."""

from watchword.store.connection import Statement


def test_parameters_are_named_for_the_one_and_numbered_for_the_other() -> None:
    """Each name has one number, however often it stands there; a cast is no parameter."""
    statement = Statement("SELECT :b, :a, :b, x::text FROM t")
    assert statement.named == "SELECT :b, :a, :b, x::text FROM t"
    assert statement.numbered == "SELECT $1, $2, $1, x::text FROM t"
    assert statement.names == ("b", "a")


def test_what_only_postgresql_needs_is_a_comment_to_sqlite() -> None:
    """Without its marks it is a part of the statement for PostgreSQL alone."""
    statement = Statement("SELECT id FROM t WHERE id = :id /* PostgreSQL: FOR UPDATE SKIP LOCKED */ LIMIT 1")
    assert statement.numbered == "SELECT id FROM t WHERE id = $1 FOR UPDATE SKIP LOCKED LIMIT 1"
    assert statement.named.count("/*") == 1

"""Secrets of clients: random, one spelling each, and nothing but the whole of one opens."""

import re

import pytest

from tests.builders import a_client
from watchword import client_secrets
from watchword.identifiers import new_id


def test_a_secret_names_its_client_and_never_comes_twice() -> None:
    """Id and 256 random bits, in characters that Basic, forms and bearer tokens carry as they are (row 75)."""
    client_id = new_id()
    made = {client_secrets.make(client_id) for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(rf"wws_{re.escape(client_id)}\.[A-Za-z0-9_-]{{43}}", each) for each in made)
    assert {client_secrets.client_id_of(each) for each in made} == {client_id}


def test_only_its_own_secret_opens_a_client() -> None:
    """Another secret of the same client does not, nor one with a changed end that decodes to the same bytes."""
    client, secret = a_client()
    assert client_secrets.opens(secret, client)
    assert not client_secrets.opens(client_secrets.make(client.id), client)
    for last in set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") - {secret[-1]}:
        assert not client_secrets.opens(secret[:-1] + last, client)


def test_nothing_of_a_secret_is_kept() -> None:
    """What is stored is a digest, and a client that is printed does not even show that."""
    client, secret = a_client()
    assert len(client.secret_digest) == 32
    assert secret.rpartition(".")[2].encode() not in client.secret_digest
    assert "secret_digest" not in repr(client)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: "",
        lambda text: text[:-1],
        lambda text: f"{text}A",
        lambda text: f"{text}=",
        lambda text: f" {text[1:]}",
        lambda text: f"{text[:-1]}\n",
        lambda text: text.replace(".", "_"),
        lambda text: text.replace("wws_", "wwr_"),
        lambda text: text.upper(),
        lambda text: f"{text[:-1]}\u0665",
        lambda text: f"{text[:-1]}\udcff",
        lambda text: text * 100_000,
    ],
)
def test_what_is_no_secret_is_nobodys(change: object) -> None:
    """Cut, extended, of another kind or alphabet: it never comes to a look-up (row 76)."""
    assert callable(change)
    assert client_secrets.client_id_of(change(a_client()[1])) is None

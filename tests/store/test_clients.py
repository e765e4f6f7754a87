"""The table of clients, the same on both databases."""

from functools import partial

import pytest

from tests.builders import a_client
from watchword.errors import ClientExists, UnknownClient
from watchword.store import Store, clients


async def test_a_client_comes_back_as_it_was_stored(store: Store) -> None:
    """Every field survives, the digest's bytes included; another id is nobody's."""
    client, _ = a_client("reports", secret_digest=bytes(range(224, 256)))
    await store.write_one(partial(clients.insert, client=client))
    assert await store.read(partial(clients.find, client_id=client.id)) == client
    assert await store.read(partial(clients.find, client_id="nobody's")) is None


async def test_a_name_is_of_one_client(store: Store) -> None:
    """The second of a name is refused and changes nothing; another case is another name."""
    first, second, third = (a_client(name)[0] for name in ("reports", "reports", "Reports"))
    await store.write_one(partial(clients.insert, client=first))
    with pytest.raises(ClientExists):
        await store.write_one(partial(clients.insert, client=second))
    await store.write_one(partial(clients.insert, client=third))
    page = await store.read(partial(clients.page, after="", limit=10))
    assert sorted(page, key=lambda client: client.id) == sorted((first, third), key=lambda client: client.id)


async def test_clients_are_read_page_by_page(store: Store) -> None:
    """In the order of their names, none twice and none left out."""
    names = [f"service-{number}" for number in range(5)]
    for name in reversed(names):
        await store.write_one(partial(clients.insert, client=a_client(name)[0]))
    read: list[str] = []
    while page := await store.read(partial(clients.page, after=read[-1] if read else "", limit=2)):
        read += [client.name for client in page]
    assert read == names


async def test_a_client_is_removed_once(store: Store) -> None:
    """Gone is gone, a second time there is nobody of the name, and then the name is free."""
    client, _ = a_client("reports")
    await store.write_one(partial(clients.insert, client=client))
    await store.write_one(partial(clients.delete, name="reports"))
    assert await store.read(partial(clients.find, client_id=client.id)) is None
    with pytest.raises(UnknownClient):
        await store.write_one(partial(clients.delete, name="reports"))
    await store.write_one(partial(clients.insert, client=a_client("reports")[0]))

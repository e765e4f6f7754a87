"""Changing a password: proven like a login, counted like a login, and it overtakes nobody."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from tests.builders import PASSWORD, add_user, an_asker, log_in
from watchword import tokens
from watchword.errors import InvalidCredentials, InvalidToken, WeakPassword
from watchword.flows import Tools
from watchword.flows.logout import Scope, log_out
from watchword.flows.password import change_password
from watchword.model import AccessToken
from watchword.passwords import Hasher

ANOTHER = "another long password"


async def bearer(tools: Tools) -> AccessToken:
    """A token of a new login."""
    text = (await log_in(tools)).token
    return tokens.verify(text, find_key=tools.ring.find, profile=tools.profile, now=tools.clock())


def counted(tools: Tools, outcome: str, reason: str = "") -> Any:
    """How many attempts have ended so."""
    value = tools.metrics.registry.get_sample_value("watchword_logins_total", {"outcome": outcome, "reason": reason})
    return value or 0


async def test_every_attempt_counts_as_a_login_does(tools: Tools) -> None:
    """Right, wrong, and of a user who is gone; a new password that is too weak is no attempt."""
    await add_user(tools)
    token = await bearer(tools)
    before = counted(tools, "success")
    with pytest.raises(WeakPassword):
        await change_password(tools, token=token, current_password="wrong", new_password="short", asker=an_asker(tools))
    assert counted(tools, "refused", "weak_password") == 0
    with pytest.raises(InvalidCredentials):
        await change_password(tools, token=token, current_password="wrong", new_password=ANOTHER, asker=an_asker(tools))
    assert counted(tools, "failure", "wrong_password") == 1
    await change_password(tools, token=token, current_password=PASSWORD, new_password=ANOTHER, asker=an_asker(tools))
    assert counted(tools, "success") == before + 1


@pytest.mark.parametrize("scope", [Scope.LOCAL, Scope.GLOBAL])
async def test_a_session_that_ends_meanwhile_changes_nothing(tools: Tools, scope: Scope) -> None:
    """Row 63: the token is looked at before the body is there and a hash has its turn, and may be over since."""
    await add_user(tools)
    token = await bearer(tools)
    await log_out(tools, token=token, scope=scope, asker=an_asker(tools))
    with pytest.raises(InvalidToken):
        await change_password(
            tools, token=token, current_password=PASSWORD, new_password=ANOTHER, asker=an_asker(tools)
        )
    assert (await log_in(tools)).token


async def test_the_new_password_waits_among_those_of_its_network(tools: Tools) -> None:
    """Row 91: its hash has its turn as the present one's has, and not one that all changes of all networks share."""
    places = []

    class Noting(Hasher):
        async def hash(self, password: str, *, claimant: str = "", network: str = "") -> str:
            places.append((claimant, network))
            return await super().hash(password, claimant=claimant, network=network)

    await add_user(tools)
    hasher = Noting(tools.hasher.parameters, threads=1, max_wait=60.0)
    await change_password(
        replace(tools, hasher=hasher),
        token=await bearer(tools),
        current_password=PASSWORD,
        new_password=ANOTHER,
        asker=an_asker(tools, network="192.0.2.7"),
    )
    hasher.close()
    assert places == [("alice", "192.0.2.7")]


async def test_of_two_changes_at_once_one_counts(tools: Tools) -> None:
    """Who proved a password that is no longer the one has changed nothing."""
    await add_user(tools)
    first, second = await bearer(tools), await bearer(tools)
    outcomes = await asyncio.gather(
        *(
            change_password(
                tools,
                token=token,
                current_password=PASSWORD,
                new_password=f"{ANOTHER} {number}",
                asker=an_asker(tools),
            )
            for number, token in enumerate((first, second), start=1)
        ),
        return_exceptions=True,
    )
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["InvalidCredentials", "NoneType"]
    winner = 1 + outcomes.index(None)
    assert (await log_in(tools, password=f"{ANOTHER} {winner}")).token

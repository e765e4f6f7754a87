"""The page of security: each attack once, and every test that it names is there."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "security.md").read_text()
ROW = re.compile(r"^\| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)
NAMED = re.compile(r"`([a-z_0-9/]+\.py)(?:::(\w+))?`")
NOT_APPLICABLE = {"32"}


@cache
def names_in(path: Path) -> set[str]:
    """Every function and class of a file."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


def test_each_attack_is_there_once() -> None:
    """The rows go from 1 to 100, and none is left out or said twice."""
    assert [row[1] for row in ROW.finditer(PAGE)] == [str(number) for number in range(1, 101)]


def test_each_has_a_proof_that_exists() -> None:
    """A test that was renamed is no proof any more; a row without one says why it does not apply."""
    for number, _, proofs in ROW.findall(PAGE):
        named = NAMED.findall(proofs)
        assert bool(named) is (number not in NOT_APPLICABLE), number
        for file, name in named:
            assert (TESTS / file).exists(), file
            assert not name or name in names_in(TESTS / file), f"{file}::{name}"

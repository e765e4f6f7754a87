"""The tour through the house: each file that it names is where it says."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSE = ROOT / "src" / "watchword"
PAGE = ROOT / "docs" / "tour.md"


def test_each_file_is_there() -> None:
    """A file that was moved or renamed is named by its new name; ``bodies.py`` beside another stands for its folder."""
    named = set(re.findall(r"`([a-z0-9_/]+\.py)`", PAGE.read_text()))
    assert named
    for path in named:
        assert (HOUSE / path).exists() or (HOUSE / "endpoints" / path).exists(), path


def test_each_link_leads_somewhere() -> None:
    """To a file beside the page."""
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE.read_text()):
        assert (PAGE.parent / target).exists(), target

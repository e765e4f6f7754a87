"""Commands that are told an id of ours, of which one in 64 begins like an option."""

from typing import Any, Final

TAKES_AN_ID: Final[dict[str, Any]] = {"ignore_unknown_options": True, "help_option_names": ["--help"]}
"""Settings of such a command's context. There is no -h: click would find it in ``-8q06h…`` too."""

"""The schema's life: bring a database up to date with Alembic, which is loaded for that alone."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

from watchword.errors import SchemaRefused, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

HEAD: Final = "0006"
"""The migration that this version's code is written for."""

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of each plugin that it loads


def upgrade(url: str) -> None:
    """Bring a database to the schema of this version; do nothing to one that is there already.

    Blocking, and to be called where no event loop runs. Several processes may do it at once.

    Raises:
        Unavailable: the database cannot be reached.
        SchemaRefused: the database is at a schema that this version does not know, or not in UTF-8.
    """
    from alembic import command
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    config = _config()
    config.attributes["url"] = url
    try:
        command.upgrade(config, "head")
    except CommandError as fault:
        raise SchemaRefused(
            "WATCHWORD_DATABASE_URL: the database is at a schema that this version does not know;"
            " it needs a newer Watchword"
        ) from fault
    except (SQLAlchemyError, OSError, ValueError) as fault:  # the last is of what can be no host name, or no file's
        reason = str(getattr(fault, "orig", None) or fault).partition("\n")[0]
        raise Unavailable(f"the database answers: {reason}") from fault
    except ModuleNotFoundError as fault:  # the driver of PostgreSQL is an extra
        raise Unavailable(f"needs {fault.name}; install watchword[postgresql]") from fault


def knows(version: str) -> bool:
    """Whether a database may be at a schema, this one or one before it."""
    from alembic.script import ScriptDirectory

    revisions = ScriptDirectory.from_config(_config()).walk_revisions()
    return version in {revision.revision for revision in revisions}


def _config() -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_scripts()).replace("%", "%%"))
    return config


def _scripts() -> Path:
    """The migrations beside the installed package, or at the top of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parents[1] / "alembic"

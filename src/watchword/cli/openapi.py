"""The command that describes the HTTP interface."""

import os
import secrets

import click

from watchword.endpoints.openapi import document
from watchword.settings import Settings

SECRET = "WATCHWORD_SECRET_KEY"


@click.command()
def openapi() -> None:
    """Print the OpenAPI description of the HTTP interface, as the service answers it at /openapi.json.

    It needs neither a database nor a secret; where the settings ISSUER and PASSWORD_MIN_LENGTH are set, they are in it.
    """
    environ = {name: value for name, value in os.environ.items() if name not in {SECRET, f"{SECRET}_FILE"}}
    settings = Settings.read({**environ, SECRET: secrets.token_urlsafe(48)})  # any secret will do where none is told
    described = document(issuer=settings.issuer, password_min_length=settings.password_min_length)
    click.echo(described, nl=False)  # the bytes as they are

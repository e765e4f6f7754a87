"""The command that measures password hashing on this machine and says what to set."""

import json
import sys

import click
from rich.console import Console
from rich.progress import track

from watchword.calibration import Calibration
from watchword.calibration import calibrate as measure
from watchword.cli.numbers import NumberRange
from watchword.passwords.guides import GUIDES
from watchword.processors import cores
from watchword.settings import most_passes

HEADINGS = f"{'settings to paste':<56} {'one hash':>9} {'logins/s':>9} {'full pool':>10}  allowed by"


@click.command()
@click.option("--target-ms", type=NumberRange(1, 10_000), help="Raise the passes until one hash takes about so long.")
@click.option("--seconds", type=NumberRange(0.1, 60), default=1.0, show_default=True, help="For each set.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per set.")
def calibrate(target_ms: float | None, seconds: float, as_json: bool) -> None:
    """Measure what password hashing costs here, for every parameter set that OWASP's guides allow.

    Run it on an idle machine: it keeps all cores busy for as long as it measures.
    """
    sets = measure(threads=cores(), seconds=seconds, target_ms=target_ms)
    terminal = Console(stderr=True)
    shown = track(sets, "Hashing", total=len(GUIDES), console=terminal, disable=not sys.stderr.isatty(), transient=True)
    measured = []
    for each in shown:
        measured.append(each)
        if as_json:
            click.echo(json.dumps(_fields(each)))
    if not as_json:
        click.echo(HEADINGS)
        for each in measured:
            click.echo(_row(each))
        click.echo(f"\nWith {measured[0].threads} threads, by {measured[0].backend}.")
    if target_ms is not None and any(map(_has_most_passes, measured)):
        click.echo(f"For {target_ms:g} ms some would need more passes than the settings take.", err=True)


def _has_most_passes(each: Calibration) -> bool:
    return each.parameters.passes == most_passes(each.parameters.memory_kib)


def _row(each: Calibration) -> str:
    return (
        f"{_settings(each):<56} {each.milliseconds:>6.1f} ms {each.logins_per_second:>9.0f}"
        f" {each.pool_mib:>6.0f} MiB  {each.allowed_by}"
    )


def _fields(each: Calibration) -> dict[str, object]:
    return {
        "memory_kib": each.parameters.memory_kib,
        "passes": each.parameters.passes,
        "allowed_by": each.allowed_by,
        "backend": each.backend,
        "threads": each.threads,
        "milliseconds": round(each.milliseconds, 2),
        "logins_per_second": round(each.logins_per_second, 1),
        "pool_mib": round(each.pool_mib, 1),
        "settings": _settings(each),
    }


def _settings(each: Calibration) -> str:
    cost = each.parameters
    return f"WATCHWORD_HASH_MEMORY_KIB={cost.memory_kib} WATCHWORD_HASH_PASSES={cost.passes}"

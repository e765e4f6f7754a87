"""Let a service work for some minutes and see whether it grows (F18).

    python -m tests.faults.soak 600

Two workers on SQLite, eight clients who log in, refresh, ask and log out; each ten seconds what the workers hold.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.faults.load import Load, check_refusals, tell, told
from tests.races.clients import add_users
from tests.servers import Server, watchword_server, workers_of

CLIENTS = 8
EVERY = 10.0
WARM_UP = 0.5
"""The part of the time that does not count."""


class Sample(NamedTuple):
    """What the workers hold, all together."""

    seconds: float
    kib: int
    descriptors: int
    threads: int


def sample(server: Server, began: float) -> Sample:
    """Look at the workers."""
    kib = descriptors = threads = 0
    for worker in workers_of(server):
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{worker}/status").read_text().splitlines())
        kib += int(fields["VmRSS"].split()[0])
        threads += int(fields["Threads"])
        descriptors += len(list(Path(f"/proc/{worker}/fd").iterdir()))
    return Sample(time.monotonic() - began, kib, descriptors, threads)


def stored(server: Server) -> int:
    """Bytes of the database."""
    return sum(file.stat().st_size for file in Path(server.environ["WATCHWORD_INSTANCE"]).glob("watchword.db*"))


async def soak(server: Server, seconds: float) -> None:
    """Work, look, and tell."""
    samples: list[Sample] = []
    async with Load(server).running(CLIENTS) as load:
        began = time.monotonic()
        while time.monotonic() < began + seconds:
            await asyncio.sleep(EVERY)
            samples.append(sample(server, began))
    told("F18", load.seen)
    check_refusals(load.seen)
    counted = samples[int(len(samples) * WARM_UP) :]
    for what in ("kib", "descriptors", "threads"):
        values = [float(getattr(each, what)) for each in counted]
        slope, _ = statistics.linear_regression([each.seconds for each in counted], values)
        tell(f"F18: {what} from {values[0]:.0f} to {values[-1]:.0f}, {100 * 3600 * slope / values[0]:+.1f} % an hour")
    logins = sum(each.what == "login" for each in load.seen)
    tell(f"F18: the database holds {stored(server) >> 10} KiB after {logins} logins\n")


def main() -> None:
    """Run it for the seconds that are given."""
    with (
        tempfile.TemporaryDirectory() as folder,
        # What has ended is remembered for as long as a token lives: that is to be in balance when counting begins.
        watchword_server(Path(folder) / "instance", workers=2, ACCESS_TOKEN_LIFETIME="60") as server,
    ):
        add_users(server, "alice")
        asyncio.run(soak(server, float(sys.argv[1])))


if __name__ == "__main__":
    main()

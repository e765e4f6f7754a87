"""A login service and two services behind it, and what happens to a token: one command shows it all.

    python examples/system/run.py [FOLDER]

Everything is in FOLDER, or in a temporary one, and listens on this machine alone. Ctrl-C ends it.
"""

import json
import os
import secrets
import signal
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
from processes import Processes, environment, free_port

from watchword.base64url import b64decode

HERE = Path(__file__).parent
SERVICES = ("figures", "reports")
USERS = {"alice": "reports:read figures:read", "bob": "reports:read"}


@dataclass
class System:
    """What runs, and how to ask it.

    Attributes:
        login, reports, figures: addresses of the three services.
        passwords: of each user.
        http: keeps connections.
    """

    login: str
    reports: str
    figures: str
    passwords: dict[str, str]
    http: httpx.Client

    def log_in(self, username: str) -> str:
        """A token."""
        body = {"username": username, "password": self.passwords[username]}
        answer = self.http.post(f"{self.login}/login", json=body).raise_for_status()
        token: str = answer.json()["token"]
        return token

    def ask(self, url: str, token: str) -> httpx.Response:
        """An answer to who shows a token."""
        return self.http.get(url, headers={"Authorization": f"Bearer {token}"})


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # also in a pipe one sees what happens
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.environ["no_proxy"] = "127.0.0.1"  # all of this is between programs on this machine
    with ExitStack() as ends, suppress(KeyboardInterrupt):
        folder = own_folder(*sys.argv[1:2]) if sys.argv[1:] else Path(ends.enter_context(tempfile.TemporaryDirectory()))
        issuer = f"http://127.0.0.1:{free_port()}"
        environ = environment(
            WATCHWORD_INSTANCE=str(folder / "instance"),
            WATCHWORD_ISSUER=issuer,
            WATCHWORD_METRICS_BIND="off",
        )
        processes = ends.enter_context(Processes(folder, environ))
        http = ends.enter_context(httpx.Client(timeout=30, limits=httpx.Limits(keepalive_expiry=1)))
        system = start(processes, folder, issuer, http)
        calls(system)
        rotation(system, processes)
        logout(system)
        print(f"All of it goes on until Ctrl-C; the logs are in {folder}. Alice's next token:")
        body = json.dumps({"username": "alice", "password": system.passwords["alice"]})
        print(f"  curl {system.login}/login -H 'Content-Type: application/json' -d '{body}'")
        signal.pause()


def own_folder(name: str) -> Path:
    """A folder that has nothing in it."""
    folder = Path(name).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise SystemExit(f"{folder} is not empty")
    return folder


def start(processes: Processes, folder: Path, issuer: str, http: httpx.Client) -> System:
    """Set up the login service with two users and two service accounts, and start all three."""
    print("Starting a login service, and two services that it guards…")
    processes.run("watchword", "init")
    passwords = {username: secrets.token_urlsafe(24) for username in USERS}
    lines = [json.dumps({"username": each, "password": passwords[each], "scope": USERS[each]}) for each in USERS]
    processes.run("watchword", "users", "import", "-", stdin="\n".join(lines))
    login = processes.serve("login", "watchword", "serve", port=int(issuer.rpartition(":")[2]))

    for name in SERVICES:
        secret = folder / f"{name}.secret"
        secret.touch(mode=0o600)
        secret.write_text(processes.run("watchword", "clients", "add", name, "--scope", "revocations:read"))
    processes.until_all_answer()

    def guarded(name: str, **addresses: str) -> str:
        token = {"WATCHWORD_SERVICE_TOKEN_FILE": str(folder / f"{name}.secret")}
        app = f"{HERE / name}:app"  # by its path: Hypercorn looks into the folder where we were started first
        return processes.serve(name, "hypercorn", "-w", "0", app, port=free_port(), **token, **addresses)

    figures = guarded("figures")
    reports = guarded("reports", FIGURES_SERVICE=figures)
    processes.until_all_answer()
    print(f"They are there: login at {login}, reports at {reports}, figures at {figures}.")
    return System(login, f"{reports}/reports", f"{figures}/figures", passwords, http)


def calls(system: System) -> None:
    """A call across both services, by who may make it and by who may not."""
    answer = system.ask(system.reports, system.log_in("alice"))
    print(f"Alice logs in and asks reports, which asks figures with her token: {answer.status_code} {answer.json()}")
    answer = system.ask(system.reports, system.log_in("bob"))
    print(f"Bob lacks the scope figures:read, and each service looks itself: {answer.status_code} {answer.json()}")
    answer = system.http.get(system.reports)
    print(f"Nobody's token: {answer.status_code} {answer.json()['code']}")


def rotation(system: System, processes: Processes) -> None:
    """Another key signs, while Alice works with her first token and with ever new ones."""
    first = system.log_in("alice")
    statuses = []
    command = processes.begin("watchword", "keys", "rotate", "--now", log="rotation")
    while command.poll() is None:
        statuses += [system.ask(system.reports, token).status_code for token in (first, system.log_in("alice"))]
        time.sleep(0.1)
    last = system.log_in("alice")
    statuses += [system.ask(system.reports, token).status_code for token in (first, last)]
    refused = sum(status != httpx.codes.OK for status in statuses)
    print(f"watchword keys rotate --now: another key signs, {key_of(last)}… after {key_of(first)}….")
    print(f"Meanwhile Alice has called {len(statuses)} times, half of it with fresh tokens: {refused} refused.")


def key_of(token: str) -> str:
    """The beginning of the id of the key that has signed a token."""
    kid: str = json.loads(b64decode(token.partition(".")[0]))["kid"]
    return kid[:8]


def logout(system: System) -> None:
    """A session ends, and both services hear of it."""
    token = system.log_in("alice")
    for url in (system.reports, system.figures):
        system.ask(url, token).raise_for_status()
    system.http.post(f"{system.login}/logout", headers={"Authorization": f"Bearer {token}"}).raise_for_status()
    began = time.monotonic()
    waiting = {"reports": system.reports, "figures": system.figures}
    print("Alice logs out. Her token would be good for a quarter of an hour, but the services follow logouts:")
    while waiting:
        for name, url in list(waiting.items()):
            answer = system.ask(url, token)
            if answer.status_code == httpx.codes.UNAUTHORIZED and "refused_by" not in answer.json():
                print(f"  {name} refuses it after {time.monotonic() - began:.2f} s")
                del waiting[name]


if __name__ == "__main__":
    main()

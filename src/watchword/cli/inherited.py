"""What whoever started us has left behind, and what must not reach a process that is ours alone, or its workers."""

import os
import signal
import sys


def settle() -> None:
    """See that children can be waited for and signals arrive, and that metrics stay in the process that counts them.

    Who ignores SIGCHLD or blocks signals hands that on to all that he starts. PROMETHEUS_MULTIPROC_DIR is another
    program's: with it Prometheus's library would write files there, or fail where there is no such folder.
    """
    if sys.platform != "win32":
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD})
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"):  # read when the library is loaded
        os.environ.pop(name, None)

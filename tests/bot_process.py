"""The bot in a process of its own, with a tiny network: begun in a moment, so that it can be killed often."""

import multiprocessing
import os
import signal
import time
from contextlib import suppress
from multiprocessing import forkserver
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FORKS = multiprocessing.get_context("forkserver")
QUICK = {"pause": 0.05, "reconnect": 0.2}  # seconds


def start_forks() -> None:
    """Start the server that imports torch, once: each process is a fork of it."""
    FORKS.set_forkserver_preload(["bot_worker"])
    with pytest.MonkeyPatch.context() as changed:  # Python 3.11 does not tell the server where modules are
        changed.setenv("PYTHONPATH", os.pathsep.join(map(str, (HERE, HERE.parent))))
        forkserver.ensure_running()


def _work(name: str, *given: object) -> None:
    import bot_worker

    getattr(bot_worker, name)(*given)


def make_run(root: Path) -> Path:
    """Have a run folder with a tiny network written; whoever asks needs no torch."""
    start_forks()
    made = FORKS.Process(target=_work, args=("make", root))
    made.start()
    made.join()
    assert made.exitcode == 0
    return root


class BotProcess:
    """A bot at work with a folder of its own for its journal and log; killed, it can be started again."""

    def __init__(self, server, root: Path, folder: Path):
        self.server, self.root, self.pace, self.quota = server, root, QUICK, 10**6
        self.journal, self.log = folder / "journal.sqlite", folder / "log.txt"
        self.process = None

    def start(self) -> "BotProcess":
        """Start, or start again."""
        given = ("work", self.server.url, self.root, self.journal, self.pace, self.quota, self.log)
        self.process = FORKS.Process(target=_work, args=given, daemon=True)
        self.process.start()
        return self

    def kill(self) -> None:
        """Kill the process at once, as by a power cut."""
        if self.process.is_alive():  # or else its number may be another's by now
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)

    def ended(self, patience: float = 60) -> int | None:
        """Wait until the process is gone; returns its exit status."""
        self.process.join(patience)
        return self.process.exitcode

    def said(self) -> str:
        """Return what it has written so far."""
        return self.log.read_text() if self.log.exists() else ""

    def memory(self) -> float:
        """Return the megabytes that it holds."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def until(holds, patience: float = 60) -> float:
    """Wait until something holds; returns the seconds that it took."""
    begun = time.monotonic()
    while not holds():
        assert time.monotonic() - begun < patience, "it never came"
        time.sleep(0.02)
    return time.monotonic() - begun

"""One process or many: what each needs to know about the others, as torchrun tells it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from selfie_utils.core.errors import SelfieError

PARENT = "SELFIE_PARENT"  # environment variable: process that must live, or the work ends
PATIENCE = timedelta(days=7)  # while the first process packs, the others wait; usual are ten minutes


@dataclass(frozen=True)
class Processes:
    """How many processes work together, which of them this is, and on which device it computes."""

    device: torch.device
    rank: int = 0
    size: int = 1
    patient: dist.ProcessGroup | None = None  # those who wait for each other for long

    @property
    def is_main(self) -> bool:
        """Tell whether this process is the one that writes and talks."""
        return self.rank == 0

    def mine(self, rows):
        """Return this process's share of a batch or list: every size-th of its rows."""
        return rows[self.rank :: self.size]

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all processes."""
        if self.size > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    def gather(self, value):
        """Return what each process has, in order of rank: a list as long as there are processes."""
        if self.size == 1:
            return [value]
        everyone = [None] * self.size
        dist.all_gather_object(everyone, value)
        return everyone

    @contextmanager
    def main_first(self) -> Iterator[None]:
        """Let the leading process go first, and the others when it is done."""
        if self.size > 1 and not self.is_main:
            dist.barrier(self.patient)
        yield
        if self.size > 1 and self.is_main:
            dist.barrier(self.patient)


def as_processes(device: "str | Processes") -> Processes:
    """Return processes as they are; of the name of a device, this one process on it."""
    return device if isinstance(device, Processes) else Processes(choose_device(device))


@contextmanager
def join_processes(device: str = "auto") -> Iterator[Processes]:
    """Meet the other processes that torchrun has started; without torchrun there is just this one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Processes(choose_device(device))
        return
    end_with_parent()
    where = choose_device(device)
    if where.type == "cuda":
        where = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(where)
    dist.init_process_group("nccl" if where.type == "cuda" else "gloo")
    try:
        patient = dist.new_group(timeout=PATIENCE, backend="gloo")
        assert not isinstance(patient, int), "a number only for those who are not in the group"
        yield Processes(where, dist.get_rank(), size, patient)
    finally:
        dist.destroy_process_group()


def read_device(device: str) -> tuple[str, int]:
    """Read a device and how many processes share it: "auto" takes every GPU, "cpu x 2" two processes."""
    name, times, processes = device.partition(" x ")
    if times and not (processes.isdigit() and int(processes)):
        raise SelfieError(f"device is {device!r}, expected a number of processes after x, such as cpu x 2.")
    if times:
        return name, int(processes)
    return name, max(1, torch.cuda.device_count()) if name in ("auto", "cuda") else 1


def launch(module: str, arguments: list[str], processes: int) -> None:
    """Run a module in several processes of this machine through torchrun, and pass on what they print.

    Raises SelfieError with the last line they wrote where one of them fails.
    """
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*torchrun, f"--nproc-per-node={processes}", "-m", module, *arguments]
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    watched = {PARENT: str(os.getpid()), "OMP_NUM_THREADS": threads}
    last = ""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ | watched
    ) as running:
        for line in running.stdout or ():
            last = line.strip() if line.startswith("Error:") else last
            print(line, end="", file=sys.stderr, flush=True)
    if running.returncode:
        raise SelfieError(
            last.removeprefix("Error: ")
            or f"{processes} processes of {module} ended with code {running.returncode}: see above."
        )


def end_with_parent() -> None:
    """End this process when the one that called `launch` is gone, even killed."""
    parent = int(os.environ.get(PARENT, "0"))
    if parent:
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:
    while True:
        try:
            os.kill(parent, 0)
        except OSError:
            os._exit(1)
        time.sleep(1)


def choose_device(device: str = "auto") -> torch.device:
    """Return the device to run on: "auto" takes a GPU where there is one, a missing one is a SelfieError."""
    device = device.partition(" x ")[0]  # "cpu x 2": in two processes, see processes.read_device
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there.get(device.split(":")[0], False):
        able = ", ".join(name for name, is_there in there.items() if is_there)
        raise SelfieError(f"device is {device!r}, but this kernel has only {able}: use auto or one of these.")
    return torch.device(device)

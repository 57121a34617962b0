"""Kernels that are there at once: forked from a process that has imported the large libraries already."""

import atexit
import multiprocessing
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, cast

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.manager import AsyncKernelManager
from jupyter_client.provisioning import LocalProvisioner

from selfie_utils.core.parallel import end_with_parent

# What most notebooks import, seconds each time; nothing of ours, which may change between two notebooks.
LIBRARIES = (
    "IPython", "ipykernel.kernelapp", "ipywidgets", "matplotlib.pyplot", "pandas", "pyarrow.parquet",
    "scipy.stats", "sklearn.linear_model", "sklearn.metrics", "timm", "torch", "torchvision",
)  # fmt: skip
LAUNCHER = "ipykernel_launcher"
INLINE = "module://matplotlib_inline.backend_inline"  # as every kernel tells matplotlib


def start_server() -> bool:
    """Start the process that kernels are forked from, where the system can do that; it imports meanwhile.

    Windows has no fork, and macOS's own libraries do not outlive one; a server needs a socket in the folder
    for temporary files, whose address may be too long, or its disk full.
    """
    if sys.platform != "linux":
        return False
    from multiprocessing import forkserver

    multiprocessing.get_context("forkserver").set_forkserver_preload(list(LIBRARIES))
    try:
        forkserver.ensure_running()
    except OSError:
        return False
    return True


class ForkingManager(AsyncKernelManager):
    """Starts kernels of this Python by a fork, and all others as always."""

    def __init__(self, **options: Any):
        super().__init__(**options)
        self.provisioner = ForkingProvisioner(kernel_id="", kernel_spec=self.kernel_spec, parent=self)


class ForkingProvisioner(LocalProvisioner):
    """Keeps one kernel: a process in a session of its own, as that of a kernel always is."""

    async def launch_kernel(self, cmd: list[str], **options: Any) -> KernelConnectionInfo:
        """Fork a kernel of this Python; start any other by its command, and where the server has died."""
        if cmd[0] != sys.executable or LAUNCHER not in cmd:
            return await super().launch_kernel(cmd, **options)
        given = (cmd[cmd.index(LAUNCHER) + 1 :], options["env"], options.get("cwd") or os.getcwd())
        process = multiprocessing.get_context("forkserver").Process(target=_be_kernel, args=given)
        try:
            with _without_main():
                process.start()
        except (OSError, EOFError):
            return await super().launch_kernel(cmd, **options)
        self.process, self.pid, self.cwd = cast(Any, _AsPopen(process)), process.pid, given[2]
        self.pgid = process.pid  # of the session that it opens first of all
        return self.connection_info


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide our main module: multiprocessing would import it in the kernel, which has one of its own."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


class _AsPopen:
    """A process of multiprocessing, with what the provisioner asks of one of subprocess."""

    stdin = stdout = stderr = None

    def __init__(self, process: BaseProcess):
        self.pid, self.kill, self.terminate = process.pid, process.kill, process.terminate
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int | None:
        self._process.join()
        return self._process.exitcode

    def send_signal(self, signal: int) -> None:
        if self.poll() is None:
            os.kill(cast(int, self.pid), signal)


def _be_kernel(arguments: list[str], environment: dict[str, str], folder: str) -> None:
    """Become a kernel, as `python -m ipykernel_launcher` does."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    end_with_parent()  # a kernel watches the process above it, which here is the server
    import matplotlib
    from ipykernel.kernelapp import IPKernelApp

    # It asked when it was imported where pictures go, and heard of no kernel.
    matplotlib.rcParams["backend"] = os.environ.get("MPLBACKEND") or INLINE
    sys.argv = [LAUNCHER, *arguments]
    # That somebody else watches over it: else it says on the terminal how to end it.
    IPKernelApp.launch_instance([*arguments, "--IPKernelApp.parent_handle=1"])
    atexit._run_exitfuncs()  # multiprocessing leaves them out

"""Kernels that notebooks run on: which are installed, and what one of them can do."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from selfie_utils.core.errors import SelfieError

# A kernel's own log would tell about its sockets in every run.
QUIET = ["--IPKernelApp.log_level=50"]


def check_kernel(name: str) -> None:
    """Raise SelfieError where no kernel `name` is installed, with the names of those that are."""
    from jupyter_client.kernelspec import KernelSpecManager

    installed = sorted(KernelSpecManager().find_kernel_specs())
    if name not in installed:
        raise SelfieError(f"There is no kernel {name!r}: installed are {', '.join(installed) or 'none'}.")


def kernel_command(name: str) -> list[str]:
    """Return the command that starts a kernel, by which two kernels of one name are told apart."""
    from jupyter_client.kernelspec import KernelSpecManager

    return KernelSpecManager().get_kernel_spec(name).argv


@contextmanager
def batch_environment() -> Iterator[None]:
    """Set the environment that kernels inherit, for a while, so that a batch run looks alike everywhere.

    The marks of front ends are hidden, hence notebooks show pictures without controls; progress bars don't
    take the width of whatever terminal is there.
    """
    from selfie_utils.show.display import LIVE_MARKS

    before = dict(os.environ)
    for mark in LIVE_MARKS:
        os.environ.pop(mark, None)
    os.environ |= {"TQDM_NCOLS": "96", "TQDM_NROWS": "24"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)

"""Look at an installation: packages, what the kernel sees, embedded data, disk space."""

import json
import os
import shutil
from collections.abc import Iterator

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import notebooks_root, project_root
from selfie_utils.posts.data_folder import DEMO, locate_celebrities, open_data
from selfie_utils.runner.freshness import versions
from selfie_utils.runner.jupyter import QUIET, check_kernel, kernel_command
from selfie_utils.runner.parameters import find_notebooks

# Run inside the kernel: it may belong to another environment than this command.
PROBE = """
import json, sys
found = {"python": sys.version.split()[0], "executable": sys.executable, "device": "no torch, hence no GPU"}
try:
    import selfie_utils
    found["library"] = True
except ImportError:
    found["library"] = False
try:
    import torch
    if torch.cuda.is_available():
        found["device"] = "cuda: " + torch.cuda.get_device_name(0)
    elif torch.backends.mps.is_available():
        found["device"] = "mps: Apple GPU"
    else:
        found["device"] = f"no GPU (torch {torch.__version__} sees the CPU only)"
except ImportError:
    pass
print(json.dumps(found))
"""


def diagnose(kernel: str) -> Iterator[tuple[str, str]]:
    """Yield topic and finding, one line each; raise SelfieError where the kernel does not work."""
    check_kernel(kernel)
    yield "project", str(project_root())
    yield "notebooks", notebooks_in_words()
    yield from versions().items()
    demo = open_data(DEMO)
    embedded = {"posts": demo.posts, "images": demo.images, "celebrities": locate_celebrities(DEMO)}
    for kind, path in embedded.items():
        yield f"demo {kind}", str(path) if path.exists() else f"MISSING: {path}"
    free = shutil.disk_usage(project_root()).free / 1e9
    yield "disk", f"{free:.0f} GB free" + (" (a run takes about 1 GB)" if free < 5 else "")
    yield "processor", f"{os.cpu_count()} cores"
    found = ask_kernel(kernel)
    yield "kernel", f"{kernel}: Python {found['python']}, {found['executable']}"
    yield "library in it", "found" if found["library"] else "MISSING: install selfie-suite for this kernel"
    yield "GPU", found["device"]


def notebooks_in_words() -> str:
    """Say where the notebooks that run here come from, and how many there are."""
    root = notebooks_root()
    try:
        found = f"{len(find_notebooks(root))} in {root / 'notebooks'}"
    except SelfieError as error:
        return f"MISSING: {error}"
    shipped = "" if root == project_root() else " (they came with the library; `selfie init DIR` copies them)"
    return found + shipped


def ask_kernel(kernel: str, patience: float = 120) -> dict:
    """Start a kernel and ask it for its Python, this library and its GPU; raise SelfieError if it is mute."""
    from jupyter_client.manager import start_new_kernel

    said: list[dict] = []
    manager = client = None
    try:
        manager, client = start_new_kernel(patience, kernel, extra_arguments=QUIET)
        client.execute_interactive(PROBE, timeout=patience, output_hook=said.append)
        text = "".join(m["content"].get("text", "") for m in said if m["msg_type"] == "stream")
        return json.loads(text.strip().splitlines()[-1])
    except Exception as error:  # a kernel can fail in many ways
        command = " ".join(kernel_command(kernel))
        raise SelfieError(
            f"The kernel {kernel!r} does not answer ({type(error).__name__}): try its command, {command}."
        ) from None
    finally:
        if manager and client:
            client.stop_channels()
            manager.shutdown_kernel(now=True)

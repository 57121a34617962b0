"""A forked kernel is like one that was started, but that the large libraries are there already."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

from selfie_utils.core.code import closure
from selfie_utils.runner import forked, reproduce
from selfie_utils.runner.forked import ForkingManager, start_server
from selfie_utils.runner.narration import Narrator

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux alone")
WHAT_ABOUT = """
import json, os, signal, sys
print(json.dumps({
    "folder": os.getcwd(), "python": sys.executable, "name": __name__, "arguments": len(sys.argv),
    "interrupts": str(signal.getsignal(signal.SIGINT)), "own session": os.getsid(0) == os.getpid(),
    "environment": {name: value for name, value in os.environ.items() if not name.startswith("JPY")},
}))
import matplotlib.pyplot as plt
plt.plot([1, 2])
"""
LOADED = """
import json, sys
print(json.dumps([name for name in sys.modules if name.split(".")[0] in ("torch", "pandas", "selfie_utils")]))
"""


@pytest.fixture(autouse=True, scope="module")
def server():
    assert start_server()


def told(code, manager, folder):
    """Run one cell on a kernel; returns what it printed, and the kinds of its other outputs."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(notebook, kernel_manager_class=manager, resources=resources, timeout=120).execute()
    outputs = notebook.cells[0].outputs
    kinds = [sorted(output.get("data", {})) for output in outputs if output.output_type != "stream"]
    return json.loads(outputs[0].text), kinds


@asynccontextmanager
async def kernel(**options):
    """A forked kernel that answers, with its client; it is gone in the end."""
    manager = ForkingManager(**options)
    await manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=120)
        yield manager, client
    finally:
        client.stop_channels()
        await manager.shutdown_kernel(now=True)


def wait_for(holds, seconds=30):
    """Wait until something holds; fails where it takes too long."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(process):
    """Tell whether a process is there, and not only waits for being noticed."""
    try:
        with open(f"/proc/{process}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_forked_kernel_is_what_a_started_one_is(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_WISH", "set after the server was started")
    assert told(WHAT_ABOUT, ForkingManager, tmp_path) == told(WHAT_ABOUT, AsyncKernelManager, tmp_path)


def test_libraries_are_there_and_of_ours_only_what_starts_it(tmp_path):
    """Whatever the process has imported that asks, as where the command `selfie` does."""
    code = (
        "import json, sys\nimport selfie_utils.apps.cli\nfrom test_forked import LOADED, told\n"
        "from selfie_utils.runner.forked import ForkingManager, start_server\n"
        "if __name__ == '__main__':\n    start_server()\n"
        "    print(json.dumps(told(LOADED, ForkingManager, '.')[0]))\n"
    )
    (tmp_path / "ask.py").write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    asked = subprocess.run([sys.executable, "ask.py"], cwd=tmp_path, env=environment, capture_output=True)
    loaded = set(json.loads(asked.stdout))  # and nothing else, such as how to end a kernel
    assert {"torch", "pandas"} <= loaded
    ours = {name for name in loaded if name.split(".")[0] == "selfie_utils"}
    assert "selfie_utils.runner.forked" in ours <= set(closure(["selfie_utils.runner.forked"]))
    assert told(LOADED, AsyncKernelManager, tmp_path) == ([], [])


def test_no_graphics_card_was_asked_for_anything_before_the_fork_which_it_would_not_outlive(tmp_path):
    asked = "import json, torch\nprint(json.dumps(torch.cuda.is_initialized()))"
    assert told(asked, ForkingManager, tmp_path) == (False, [])


def test_a_kernel_can_be_interrupted_and_its_death_is_noticed():
    async def interrupted_then_killed():
        async with kernel() as (manager, client):
            message = client.execute("import time\nprint('I am at it', flush=True)\ntime.sleep(60)")
            while (await client.get_iopub_msg(timeout=30))["msg_type"] != "stream":
                pass  # any earlier, and no cell would be interrupted
            await manager.interrupt_kernel()
            reply = await client.get_shell_msg(timeout=30)
            while reply["parent_header"].get("msg_id") != message:
                reply = await client.get_shell_msg(timeout=30)
            os.kill(manager.provisioner.pid, signal.SIGKILL)
            while await manager.is_alive():
                await asyncio.sleep(0.05)
            return reply["content"]["ename"]

    assert asyncio.run(asyncio.wait_for(interrupted_then_killed(), 120)) == "KeyboardInterrupt"


def test_a_kernel_ends_when_it_is_told_to_and_leaves_no_file():
    async def started_and_shut_down():
        async with kernel() as (manager, _):
            process, file = manager.provisioner.pid, manager.connection_file
            assert alive(process) and os.path.exists(file)
            await manager.shutdown_kernel()
            return process, file

    process, file = asyncio.run(started_and_shut_down())
    wait_for(lambda: not alive(process))
    assert not os.path.exists(file)


def test_a_kernel_does_not_outlive_who_asked_for_it(tmp_path):
    code = (
        "import asyncio, time\nfrom selfie_utils.runner.forked import ForkingManager, start_server\n"
        "if __name__ == '__main__':\n    start_server()\n    manager = ForkingManager()\n"
        "    asyncio.run(manager.start_kernel())\n    print(manager.provisioner.pid, flush=True)\n"
        "    time.sleep(300)\n"
    )
    (tmp_path / "ask.py").write_text(code)
    asker = subprocess.Popen([sys.executable, tmp_path / "ask.py"], stdout=subprocess.PIPE, text=True)
    process = int(asker.stdout.readline())
    assert alive(process)
    asker.kill()
    asker.wait()
    wait_for(lambda: not alive(process))


def test_a_kernel_of_another_python_is_started_by_its_command(tmp_path, monkeypatch):
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    place = tmp_path / "kernels" / "other"
    place.mkdir(parents=True)
    argv = [str(other), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (place / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Other", "language": "python"})
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))  # a link alone does not know its environment
    specs = KernelSpecManager(kernel_dirs=[str(tmp_path / "kernels")])

    async def kind():
        async with kernel(kernel_name="other", kernel_spec_manager=specs) as (manager, _):
            return type(manager.provisioner.process)

    assert asyncio.run(kind()) is subprocess.Popen


@pytest.mark.parametrize("length, started", [(0, "True"), (120, "False")])  # a socket takes 107
def test_without_a_place_for_its_socket_there_is_no_server_and_no_error(tmp_path, length, started):
    place = tmp_path / ("x" * length) if length else Path("/tmp")
    place.mkdir(exist_ok=True)
    code = "from selfie_utils.runner.forked import start_server; print(start_server())"
    environment = os.environ | {"TMPDIR": str(place)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    # From 3.14 on Python looks for a shorter place by itself.
    assert done.stdout.strip() in {started, "True"} and done.stderr == ""


def test_where_the_server_has_died_a_kernel_is_started_by_its_command(monkeypatch):
    def gone(process):
        raise EOFError

    async def kind():
        async with kernel() as (manager, _):
            return type(manager.provisioner.process)

    monkeypatch.setattr(ForkServerProcess, "start", gone)
    assert asyncio.run(kind()) is subprocess.Popen


@pytest.mark.parametrize(
    "count, imports, forked_at_all",
    [(4, "import selfie_utils", True), (3, "import selfie_utils", False), (4, "", False)],
)
def test_the_first_notebook_starts_its_kernel_and_others_are_forked_where_they_need_libraries(
    tmp_path, monkeypatch, count, imports, forked_at_all
):
    monkeypatch.chdir(tmp_path)
    for name in range(count):
        cell = nbformat.v4.new_code_cell(f"{imports}\nimport sys\nprint('torch' in sys.modules)")
        (tmp_path / "notebooks" / "parameters").mkdir(parents=True, exist_ok=True)
        nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "notebooks" / f"0{name}_toy.ipynb")
    file = tmp_path / "notebooks" / "parameters" / "demo.yaml"
    file.write_text("run_dir: run\n")
    monkeypatch.setattr(reproduce, "project_root", lambda: tmp_path)
    monkeypatch.setattr(reproduce, "notebooks_root", lambda: tmp_path)
    reproduce.reproduce(file, reproduce.Options(), Narrator(io.StringIO()))
    done = [nbformat.read(path, 4) for path in sorted((tmp_path / "run" / "notebooks").glob("*.ipynb"))]
    loaded = [cell.outputs[0].text for notebook in done for cell in notebook.cells if cell.outputs]
    assert loaded == [f"{number > 0 and forked_at_all}\n" for number in range(count)]


def test_nothing_of_ours_is_imported_before_the_fork():
    assert not [name for name in forked.LIBRARIES if name.startswith("selfie_utils")]

"""A real JupyterLab for tests of widgets: a server of its own, whose settings are nobody else's."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nbformat
from playwright.sync_api import Page

TESTS = Path(__file__).parent
STARTS_WITHIN = 120  # seconds, on a busy machine
RUN_ALL = """async () => {
  const panel = window.jupyterapp.shell.currentWidget;
  await panel.sessionContext.ready;  // or else it asks which kernel to run on
  const kernel = () => panel.sessionContext.session?.kernel;
  while (!kernel()) await new Promise((resolve) => setTimeout(resolve, 100));
  window.jupyterapp.commands.execute("notebook:run-all-cells");
}"""
SHUT_DOWN = "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }"
SAVE = "async () => { await window.jupyterapp.commands.execute('docmanager:save'); }"


@contextmanager
def jupyter_lab(folder: Path) -> Iterator[str]:
    """Serve the folder `notebooks` in `folder`; yields the address of one notebook, to be filled in."""
    runtime = folder / "runtime"
    settings = {
        name: str(folder / name.lower()) for name in ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    }
    environment = os.environ | settings | {"JUPYTER_RUNTIME_DIR": str(runtime)}
    environment["PYTHONPATH"] = os.pathsep.join([str(TESTS.parent), str(TESTS)])
    (folder / "notebooks").mkdir(exist_ok=True)
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--port=0"]
    command += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url="]
    command += [f"--ServerApp.root_dir={folder / 'notebooks'}", "--IdentityProvider.token=test"]
    with (folder / "lab.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            yield _address(runtime, server, folder / "lab.log") + "lab/tree/{}?token=test&reset"
        finally:
            _end(server)


def _end(server: subprocess.Popen) -> None:
    """Stop a server; one that waits for ever, since a page asks for a kernel that is gone, is killed."""
    server.terminate()
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        server.kill()  # its kernels notice, and end as well
        server.wait()


def _address(runtime: Path, server: subprocess.Popen, log: Path) -> str:
    """Wait until the server tells where it is."""
    end = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < end and server.poll() is None:
        for path in runtime.glob("jpserver-*.json"):
            return json.loads(path.read_text())["url"]
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def write_notebook(path: Path, *cells: str) -> None:
    """Write a notebook of code cells that has not run yet."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    made = nbformat.v4.new_notebook(metadata=kernel, cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nbformat.write(made, path)


def run_all(page: Page, address: str) -> None:
    """Open a notebook and run its cells; returns when they have been sent to the kernel."""
    page.goto(address, timeout=1000 * STARTS_WITHIN)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=1000 * STARTS_WITHIN)
    page.evaluate(RUN_ALL)


def save(page: Page) -> None:
    """Save the notebook in view, as Ctrl-S does."""
    page.evaluate(SAVE)


def reopen(page: Page, address: str) -> None:
    """Save the notebook in view, end its kernel, and open it again."""
    save(page)
    page.evaluate(SHUT_DOWN)
    page.goto(address)
    page.wait_for_selector(".jp-Notebook .jp-CodeCell")

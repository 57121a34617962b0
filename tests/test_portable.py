"""Nothing that is imported needs POSIX, so that a system without it can read the library."""

import json
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent
# Imports every module of the library twice: first as usual, so that other libraries, which choose by system,
# are there; then where modules and functions that only POSIX has are missing.
SCRIPT = """
import importlib, json, multiprocessing.context, os, pkgutil, signal, sys

POSIX = {"fcntl", "grp", "pty", "pwd", "resource", "syslog", "termios", "tty"}
PROCESSES = "ForkProcess ForkContext ForkServerProcess ForkServerContext".split()
FUNCTIONS = "fork getuid geteuid killpg mkfifo nice posix_fallocate sched_getaffinity setsid uname".split()


class Refusing:
    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"no {name} here", name=name)


def import_all():
    missing = {}
    import selfie_utils

    for module in pkgutil.walk_packages(selfie_utils.__path__, "selfie_utils."):
        try:
            importlib.import_module(module.name)
        except (ImportError, AttributeError) as error:
            missing[module.name] = error.name
    return missing


sys.meta_path.insert(0, Refusing({"bpy", "mathutils", "mastodon", "pillow_heif"}))  # extras
before = import_all()
for name in [name for name in sys.modules if name in POSIX or name.split(".")[0] == "selfie_utils"]:
    del sys.modules[name]
for name in FUNCTIONS:
    delattr(os, name)
for name in PROCESSES:
    delattr(multiprocessing.context, name)
del signal.SIGKILL, signal.SIGHUP
sys.meta_path.insert(0, Refusing(POSIX))
print(json.dumps([before, import_all(), sorted(sys.modules)]))
"""


def test_the_library_is_imported_where_posix_is_missing():
    done = subprocess.run([sys.executable, "-c", SCRIPT], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after, imported = json.loads(done.stdout.splitlines()[-1])
    assert after == before
    # Only rendering needs an extra before it is asked for.
    assert {name.split(".")[1] for name in before} == {"synthetic"} and set(before.values()) <= {"bpy"}
    assert {"selfie_utils.apps.cli", "selfie_utils.model.training", "selfie_utils.posts.gather"} <= set(
        imported
    )

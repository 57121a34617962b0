"""Try slips on a module, one at a time, and tell which of them no test notices.

    python tests/mutants.py labels posts            every slip of two modules
    python tests/mutants.py --sample 150 --seed 0   some of all modules that carry meaning, drawn at random

It works on a copy of the project. One process imports the large packages once and forks for each slip; there
run the test files that import or name the module, its own first, up to the first test that fails, without
those marked `whole`. What was found is kept in .mutants/, so that a run that was stopped goes on, and only
what was edited is tried again. The table is printed and written to .mutants/table.md.
"""

import argparse
import ast
import gc
import hashlib
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from slips import Slip, find_slips

PACKAGE = "selfie_utils"
CARRY_MEANING = (
    "labels", "table", "importers", "copies", "metrics", "shares", "base_rates", "planted", "ranking",
    "sheets", "map_layout", "neighbours", "attributes", "measure", "network", "training", "scorer",
    "scoring", "experiments", "freshness", "code", "artefacts", "parameters", "report_page", "takedown",
    "gather", "images",
)  # fmt: skip
HEAVY = (
    "torch", "torchvision.transforms", "timm", "pandas", "pyarrow.parquet", "sklearn.linear_model",
    "scipy.stats", "matplotlib.pyplot", "PIL.Image", "onnxruntime", "openTSNE",
)  # fmt: skip
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MOST_MEMORY = 8 << 30  # bytes; a slip may well ask for all there is
NOT_COPIED = shutil.ignore_patterns(".*", "runs", "__pycache__", "*.egg-info", "build", "dist")
EQUIVALENT = Path("tests/equivalent_mutants.yaml")


@dataclass(frozen=True)
class Outcome:
    """What became of a run of tests: noticed (by these), survived or late, and how long it took."""

    result: str
    by: tuple[str, ...]
    seconds: float


class Workshop:
    """A copy of a project in which tests run, each run in a process of its own."""

    def __init__(self, root: Path, scratch: Path):
        self.tree, self.scratch, self.count = scratch / "project", scratch, 0
        shutil.copytree(root, self.tree, ignore=NOT_COPIED)
        sources = "\n".join(path.read_text() for path in (self.tree / PACKAGE).rglob("*.py"))
        used = [
            name for name in HEAVY if re.search(rf"^\s*(import|from) {name.split('.')[0]}\b", sources, re.M)
        ]
        for name in ("pytest", "hypothesis", *used):  # once, for all that will be forked
            importlib.import_module(name)
        gc.freeze()  # or each child would look through all of it

    def modules(self, name: str) -> list[Path]:
        """Return the files of a module or of a folder of modules, whichever folder it lies in."""
        package = self.tree / PACKAGE
        found = [*package.rglob(f"{name}.py"), *package.rglob(f"{name}/*.py")]
        if not found:
            sys.exit(f"There is no module {name} in {PACKAGE}: give a file's name without .py.")
        return sorted(found)

    def tests_of(self, module: Path) -> list[Path]:
        """Return the test files that import a module or name it, its own first.

        A module that none of them names, such as a part of another, is tested by those of its importers.
        """
        package, files = self.tree / PACKAGE, sorted((self.tree / "tests").rglob("test_*.py"))
        names = {self._name(module)}
        if not any(names & names_in(file) for file in files):
            names = {self._name(other) for other in package.rglob("*.py") if names & names_in(other)}
        own = {f"test_{part}" for name in names for part in name.split(".")[1:]}
        return sorted((f for f in files if names & names_in(f)), key=lambda file: file.stem not in own)

    def _name(self, module: Path) -> str:
        name = ".".join(module.relative_to(self.tree).with_suffix("").parts)
        return name.removesuffix(".__init__")

    def with_slip(self, module: Path, slip: Slip, tests: list[str], limit: float) -> Outcome:
        """Run tests while a slip stands in a module."""
        before, dates = module.read_text(), module.stat()
        module.write_text(slip.source)
        self.count += 1
        os.utime(module, (self.count, self.count))  # as new each time, or Python would take the compiled one
        try:
            return self.run([*tests, "-x"], limit)
        finally:
            module.write_text(before)
            os.utime(module, ns=(dates.st_atime_ns, dates.st_mtime_ns))

    def run(self, arguments: list[str], limit: float) -> Outcome:
        """Run pytest in a forked process, and end that with all that it started."""
        witness = self.scratch / "failed.txt"
        witness.unlink(missing_ok=True)
        begun = time.monotonic()
        child = os.fork()
        if not child:
            self._be_child(arguments, witness)
        try:
            code = wait_for(child, limit)
        finally:
            end_group(child)
        by = tuple(dict.fromkeys(witness.read_text().splitlines())) if witness.exists() else ()
        # 5: no test is left. What else than 0 ended it was noticed: a failed test, a crash, an import.
        result = "late" if code is None else {0: "survived", 5: "survived"}.get(code, "noticed")
        return Outcome(result, by, round(time.monotonic() - begun, 1))

    def _be_child(self, arguments: list[str], witness: Path) -> None:
        try:
            os.setsid()
            resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))
            log = os.open(self.scratch / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            for stream in (1, 2):
                os.dup2(log, stream)
            os.chdir(self.tree)
            sys.path[:0] = [str(self.tree), str(self.tree / "tests")]
            os.environ["PYTHONPATH"] = str(self.tree)  # for processes that tests start
            os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # a second of imports that no test needs
            ours = [
                "-q",
                "-o",
                "addopts=",
                "-p",
                "no:cacheprovider",
                "-m",
                "not whole and not kills and not suites",
            ]
            ours += ["--basetemp", str(self.scratch / "tmp")]
            os._exit(sys.modules["pytest"].main([*ours, *arguments], plugins=[Witness(witness)]))
        finally:
            os._exit(70)


class Witness:
    """A plugin of pytest that writes down which tests failed, as soon as they do."""

    def __init__(self, path: Path):
        self.path = path

    def pytest_runtest_logreport(self, report) -> None:
        if report.failed:
            with self.path.open("a") as file:
                file.write(report.nodeid + "\n")

    pytest_collectreport = pytest_runtest_logreport


def wait_for(child: int, limit: float) -> int | None:
    """Return the exit code of a process, or None where it takes longer than `limit` seconds."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    return None


def end_group(child: int) -> None:
    """Kill what is left of a process and of those that it started."""
    try:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def names_in(file: Path) -> set[str]:
    """Return the modules that a test file imports, and those that a text in it names."""
    found, text = set(), file.read_text()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    named = re.findall(
        rf"\b{PACKAGE}(?:\.[a-z_]\w*)+", text
    )  # of selfie_utils.posts.labels.draw, the module as well
    return found | {name.rsplit(".", cut)[0] for name in named for cut in (0, 1, 2)}


class Notes:
    """What earlier runs found, a line of JSON each, in a file that is only added to."""

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.known = {key: Outcome(**outcome) for key, outcome in map(json.loads, lines)}

    def once(self, key: str, find) -> Outcome:
        """Return what is known under a key, or find it out and write it down."""
        if key not in self.known:
            self.known[key] = find()
            with self.path.open("a") as file:
                file.write(json.dumps([key, asdict(self.known[key])]) + "\n")
        return self.known[key]


def key_of(*parts: str | Path) -> str:
    """Hash texts and the content of files."""
    contents = (part.read_text() if isinstance(part, Path) else part for part in parts)
    return hashlib.sha256("\0".join(contents).encode()).hexdigest()[:20]


class Trial:
    """Slips tried in a workshop; before them each test file without any, for what is red anyway."""

    def __init__(self, workshop: Workshop, notes: Notes):
        self.workshop, self.notes = workshop, notes
        self.code = key_of(*sorted((workshop.tree / PACKAGE).rglob("*.py")))

    def clean(self, file: Path) -> Outcome:
        """Run a test file without any slip."""

        def find() -> Outcome:
            found = self.workshop.run([str(file)], limit=1200)
            if found.result == "late" or (found.result == "noticed" and not found.by):
                sys.exit(
                    f"{file.name} cannot be run:\n{(self.workshop.scratch / 'log.txt').read_text()[-3000:]}"
                )
            told = f"; red without any slip, left out: {', '.join(found.by)}" if found.by else ""
            print(f"clean {file.name}: {found.seconds} s{told}", flush=True)
            return found

        return self.notes.once(key_of("clean", self.code, file.read_text()), find)

    def __call__(self, module: Path, slip: Slip) -> Outcome:
        files = self.workshop.tests_of(module)
        if not files:
            return Outcome("survived", (), 0.0)
        clean = [self.clean(file) for file in files]
        limit = 10 + 3 * sum(outcome.seconds for outcome in clean)
        red = [f"--deselect={test}" for outcome in clean for test in outcome.by]
        key = key_of(slip.source, *files, *red)
        return self.notes.once(
            key, lambda: self.workshop.with_slip(module, slip, [*map(str, files), *red], limit)
        )


def draw(slips: list[tuple[Path, Slip]], sample: int, seed: int) -> list[tuple[Path, Slip]]:
    """Return a random sample in the order of the modules, or everything where it is 0."""
    chosen = random.Random(seed).sample(range(len(slips)), min(sample or len(slips), len(slips)))
    return [slips[place] for place in sorted(chosen)]


def known_equivalents(file: Path) -> dict[tuple[str, str, str], str]:
    """Read which slips change nothing that anybody could notice, and why."""
    listed = yaml.safe_load(file.read_text()) if file.exists() else None
    return {(one["module"], one["before"], one["after"]): one["why"] for one in listed or []}


def report(found: Iterable[tuple[str, Slip, Outcome]], equivalent: dict[tuple[str, str, str], str]) -> str:
    """Write the table by module, and below it each survivor."""
    counts, told = {}, []
    for module, slip, outcome in found:
        why = equivalent.get((module, slip.before, slip.after), "")
        result = "equivalent" if why and outcome.result == "survived" else outcome.result
        for row in (module, "all"):
            counts.setdefault(row, Counter())[result] += 1
        if outcome.result == "survived":
            told.append(f"\n{module}:{slip.line} {slip.kind}" + (f" (equivalent: {why})" if why else ""))
            told += ["```diff", *_lines("-", slip.before), *_lines("+", slip.after), "```"]
    rows = ["| module | made | noticed | survived | equivalent | of the rest |", "|---|---|---|---|---|---|"]
    rows += [_row(name, counts[name]) for name in sorted(counts, key=lambda name: (name == "all", name))]
    return "\n".join([*rows, *told, ""])


def _row(name: str, count: Counter) -> str:
    made, same, noticed = count.total(), count["equivalent"], count["noticed"] + count["late"]
    share = f"{noticed / (made - same):.0%}" if made > same else ""
    return f"| {name} | {made} | {noticed} | {count['survived']} | {same} | {share} |"


def _lines(sign: str, text: str) -> list[str]:
    return [f"{sign} {line.strip()}" for line in text.splitlines()]


def main() -> None:
    """Try slips as the command line asks."""
    parser = argparse.ArgumentParser(description="Which slips does no test notice?")
    parser.add_argument("modules", nargs="*", help="names without .py; all that carry meaning by default")
    parser.add_argument("--sample", type=int, default=0, help="so many slips, drawn at random; 0: all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument(
        "--root", type=Path, default=Path(__file__).parent.parent, help="the project's folder"
    )
    asked = parser.parse_args()
    os.environ.update(ONE_THREAD | {"PYTHONDONTWRITEBYTECODE": ""})
    sys.dont_write_bytecode = False  # the copy is compiled once, not by every child
    with tempfile.TemporaryDirectory(prefix="mutants_") as scratch:
        workshop = Workshop(asked.root, Path(scratch))
        files = [file for name in asked.modules or CARRY_MEANING for file in workshop.modules(name)]
        slips = [(file, slip) for file in files for slip in find_slips(file.read_text())]
        chosen, found = draw(slips, asked.sample, asked.seed), []
        trial = Trial(workshop, Notes(asked.root / ".mutants" / "found.jsonl"))
        for number, (file, slip) in enumerate(chosen, 1):
            outcome = trial(file, slip)
            found.append((str(file.relative_to(workshop.tree / PACKAGE)), slip, outcome))
            print(
                f"[{number}/{len(chosen)}] {file.name}:{slip.line} {slip.kind}: {outcome.result}, "
                f"{outcome.seconds} s {' '.join(outcome.by[:1])}",
                flush=True,
            )
        table = report(found, known_equivalents(asked.root / EQUIVALENT))
        (asked.root / ".mutants" / "table.md").write_text(table)
        print(table)


if __name__ == "__main__":
    main()

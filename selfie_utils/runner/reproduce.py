"""Run the notebooks of a reproduction in order, each only where something it depends on has changed."""

import datetime
import json
import logging
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from selfie_utils.core.artefacts import Artefacts, artefacts_of, only, readers_after_writers, upstream
from selfie_utils.core.code import SUITE, fingerprint
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked, write_json, written_whole
from selfie_utils.core.run_folder import from_root, notebooks_root, project_root
from selfie_utils.runner import freshness
from selfie_utils.runner.jupyter import QUIET, batch_environment, check_kernel, kernel_command
from selfie_utils.runner.narration import Bars, Narrator
from selfie_utils.runner.parameters import (
    ParameterFile,
    assign_parameters,
    declared_parameters,
    find_notebooks,
    full_name,
    read_parameter_file,
    read_settings,
)

STATE = "state.json"  # what ran, when, for how long and on what, beside the artefacts
WORTH_A_SERVER = 3  # notebooks; for fewer it imports longer than it saves
# In a run folder, and no artefact of one notebook; tiles of the picker are drawn again where they are gone.
OURS = {"notebooks", "reports", "tables", "metrics.json", STATE, ".lock", "picker"}


@dataclass(frozen=True)
class Options:
    """What the command line asks for beyond the parameter file."""

    run_dir: str | None = None
    only: tuple[str, ...] = ()
    start: str | None = None
    force: bool = False
    kernel: str = "python3"
    data: str | None = None
    network: str | None = None
    group_size: int | None = None  # posts of like audience that are compared with each other
    ask: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One notebook with the values that it is given."""

    name: str
    notebook: Path
    given: dict[str, Any]
    defaults: dict[str, Any]
    artefacts: Artefacts = field(default_factory=Artefacts)


@dataclass
class Reproduction:
    """One run folder being filled: its jobs, what is known of earlier runs, and who is told."""

    run: Path
    jobs: list[Job]
    kernel: str
    cell_timeout: int
    narrator: Narrator = field(default_factory=Narrator)

    def __post_init__(self):
        self.state = read_state(self.run)

    def fingerprint(self, job: Job) -> dict[str, Any]:
        """Return everything that the results of a notebook depend on, part by part."""
        values = {**job.defaults, **job.given}
        return {
            "source": freshness.source_fingerprint(job.notebook),
            "parameters": job.given,
            "library": freshness.code_fingerprint(job.notebook),
            "kernel": kernel_command(self.kernel),
            "inputs": freshness.input_stamps(values),
            "upstream": freshness.read_stamps(job.artefacts.reads, self.run),
        }

    def remember(self, job: Job, entry: dict[str, Any]) -> None:
        """Keep what became of a notebook."""
        entry["finished"] = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
        self.state["notebooks"][job.name] = entry
        write_json(self.run / STATE, self.state)


def read_state(run: Path) -> dict[str, Any]:
    """Read what the runner knows of a run folder; one that is missing or damaged counts as empty."""
    try:
        state = json.loads((run / STATE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        state = {}
    return {"facts": {}, "notebooks": {}, **(state if isinstance(state, dict) else {})}


def reproduce(file: str | Path, options: Options | None = None, narrator: Narrator | None = None) -> Path:
    """Run what is due of the notebooks, write the report site and return the run folder.

    The plan is shown first. Raises SelfieError where the parameter file, the options or a notebook is at
    fault; nothing is written before all of them have been checked.
    """
    options = options or Options()
    asked = read_parameter_file(file)
    asked = replace(asked, run_dir=options.run_dir or asked.run_dir)
    notebooks = find_notebooks(notebooks_root())
    chosen = choose(list(notebooks), options, asked.leave_out)
    check_kernel(options.kernel)
    jobs = make_jobs(asked, notebooks, options)
    run = _run_folder(asked.run_dir, chosen, list(notebooks))
    told = f"{run} is being filled by process {{process}}: wait for it, or give another --run."
    with locked(run / ".lock", told):
        for left in [*run.glob("notebooks/.*.running.ipynb"), *run.rglob(".*.part*")]:  # by a killed run
            left.unlink(missing_ok=True)
        work = Reproduction(run, jobs, options.kernel, asked.cell_timeout)
        work.narrator = narrator or work.narrator
        _run_all(work, chosen, options.force)
    return run


def choose(names: list[str], options: Options, leave_out: Sequence[str] = ()) -> list[str]:
    """Return the notebooks that `--only` and `--from` leave; `leave_out` must be named to run."""
    chosen = names[names.index(full_name(options.start, names)) :] if options.start else names
    wanted = {full_name(name, names) for name in options.only}
    unasked = {full_name(name, names) for name in leave_out}
    return [name for name in chosen if (name in wanted if wanted else name not in unasked)]


def make_jobs(asked: ParameterFile, notebooks: dict[str, Path], options: Options) -> list[Job]:
    """Pair every notebook with checked values."""
    declared = _declared(notebooks, read_state(from_root(asked.run_dir)))
    given = assign_parameters(asked, declared, own_values(options, declared))
    artefacts = {name: artefacts_of(path) for name, path in notebooks.items()}
    order = readers_after_writers(artefacts)
    return [Job(name, notebooks[name], given[name], declared[name], artefacts[name]) for name in order]


def _declared(notebooks: dict[str, Path], state: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what each notebook declares; one that ran as it is was looked at then: no papermill."""
    declared = {}
    for name, path in notebooks.items():
        before = state["notebooks"].get(name, {})
        same = "defaults" in before and before["fingerprint"]["source"] == freshness.source_fingerprint(path)
        declared[name] = before["defaults"] if same else declared_parameters(path)
    return declared


def own_values(options: Options, declared: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what the options of the command line mean for the notebooks; `--set` outranks the others."""
    # Whoever gives a parameter file, or accepts the demo's, has said what network the run shall have.
    own: dict[str, dict[str, Any]] = {
        n: {"replace": True} for n, names in declared.items() if "replace" in names
    }
    if options.data:
        from selfie_utils.photos.images import open_images
        from selfie_utils.posts.data_folder import open_data
        from selfie_utils.posts.table import read_posts

        data = open_data(_from_here(options.data))
        read_posts(data.posts)
        open_images(data.images)
        own["00_data"] = {"data": _from_here(options.data)}
    if options.group_size is not None:
        from selfie_utils.posts.labels import LabelRules

        own.setdefault("00_data", {})["group_size"] = LabelRules(group_size=options.group_size).group_size
    if options.network:
        from selfie_utils.core.run_folder import open_run

        network = _from_here(options.network)
        open_run(network).need("network/network.json")
        own["01_train"] = own.get("01_train", {}) | {"weights": network, "epochs": 0}
    if options.ask:
        for name in (name for name, defaults in declared.items() if "ask" in defaults):
            own[name] = own.get(name, {}) | {"ask": list(options.ask)}
    for name, values in read_settings(options.settings, declared).items():
        own[name] = own.get(name, {}) | values
    return own


def _from_here(path: str) -> str:
    """Make a path typed in a subfolder of the project absolute, where that is what it means."""
    return str(Path(path).absolute()) if Path(path).exists() else path


def _run_folder(run_dir: str, chosen: list[str], names: list[str]) -> Path:
    """Make the run folder, or refuse to where the first notebook is left out and there is none."""
    run = from_root(run_dir)
    if run.exists() and not run.is_dir():
        raise SelfieError(f"{run} is a file, not a folder: choose another run folder.")
    if not chosen:
        raise SelfieError("--only and --from leave no notebook to run: give one of them.")
    if not run.exists() and names[0] not in chosen:
        raise SelfieError(f"There is no run folder {run}: run {names[0]} first.")
    run.mkdir(parents=True, exist_ok=True)
    return run


def _run_all(work: Reproduction, chosen: list[str], force: bool) -> None:
    """Show the plan, run what is due, and write the report site even where a notebook failed."""
    reasons = make_plan(work, chosen, force)
    _show_plan(work, chosen, reasons)
    due = [job for job in work.jobs if job.name in reasons]
    if due:
        facts = {"kernel": work.kernel, "cores": os.cpu_count(), "versions": freshness.versions()}
        work.state["facts"] = facts
        try:
            _run_due(work, due)
        except SelfieError:
            _write_site(work)
            raise
    _write_site(work)


def _run_due(work: Reproduction, due: list[Job]) -> None:
    """Run notebooks in order; one that fails stops only those that read what it writes.

    The report is written before each, so that the first pages can be read while others run. The first failure
    is raised in the end.
    """
    work.narrator.say(f"Read along: {(work.run / 'reports' / 'index.html').absolute().as_uri()}")
    declared = {job.name: job.artefacts for job in work.jobs}
    failed: dict[str, SelfieError] = {}
    with batch_environment():
        served = _serve_kernels(due[1:])
        for number, job in enumerate(due, 1):
            title = f"[{number}/{len(due)}] {job.name}"
            missing = [name for name in upstream(job.name, declared) if name in failed]
            if missing:
                work.narrator.say(f"{title} not run: {missing[0]} failed")
                failed[job.name] = failed[missing[0]]
                continue
            with suppress(OSError):  # on a full disk the notebooks say what has no room
                _write_site(work, [later.name for later in due[number - 1 :]])
            try:
                run_job(work, job, title, forked=served and number > 1)
            except SelfieError as error:
                failed[job.name] = error
    if failed:
        raise next(iter(failed.values()))


def _serve_kernels(later: Sequence[Job]) -> bool:
    """Have a process get ready, while the first notebook runs, that the kernels of others are forked from."""
    from selfie_utils.runner.forked import start_server

    heavy = [job for job in later if SUITE in job.notebook.read_text(encoding="utf-8")]
    return len(heavy) >= WORTH_A_SERVER and start_server()


def make_plan(work: Reproduction, chosen: list[str], force: bool) -> dict[str, str]:
    """Return the notebooks that have to run, each with the reason."""
    reasons, declared = {}, {job.name: job.artefacts for job in work.jobs}
    for job in work.jobs:
        if job.name not in chosen:
            continue
        reason = "asked for" if force else _why(work, job)
        above = [name for name in upstream(job.name, declared) if name in reasons]
        reason = reason or (f"after {above[-1]}" if above else None)
        if reason:
            reasons[job.name] = reason
    return reasons


def _why(work: Reproduction, job: Job) -> str | None:
    return freshness.why_due(work.fingerprint(job), work.state["notebooks"].get(job.name), work.run)


def _show_plan(work: Reproduction, chosen: list[str], reasons: dict[str, str]) -> None:
    """Print the table of what will run and what will not."""
    work.narrator.say(f"Run folder {work.run}, kernel {work.kernel}")
    width = max(len(job.name) for job in work.jobs)
    for job in work.jobs:
        rest = "skip  unchanged" if job.name in chosen else "skip  not asked for"
        what = f"run   {reasons[job.name]}" if job.name in reasons else rest
        work.narrator.say(f"  {job.name:<{width}}  {what}")


def run_job(work: Reproduction, job: Job, title: str, forked: bool = False) -> None:
    """Run one notebook; keep it, its outputs and its time, or the failed notebook and raise SelfieError."""
    work.narrator.begin(title)
    begun, before, now = time.monotonic(), _listing(work.run), work.fingerprint(job)
    running = work.run / "notebooks" / f".{job.name}.running.ipynb"
    running.parent.mkdir(exist_ok=True)
    try:
        with only(job.artefacts):
            error = _execute(work, job, running, forked)
        seconds = round(time.monotonic() - begun, 1)
        _keep_notebook(running, job.name, "failed" if error else "done")
    finally:
        running.unlink(missing_ok=True)
    if error:
        work.remember(job, {"status": "failed", "error": error, "seconds": seconds})
        work.narrator.end(f"failed after {seconds:.1f} s")
        raise SelfieError(_advice(work.run, job.name, error))
    after = _listing(work.run)
    pages = [
        name for name in job.artefacts.writes if name.startswith("reports/") and (work.run / name).exists()
    ]
    changed = [name for name in after if after[name] != before.get(name)]
    outputs = [f"notebooks/{job.name}.ipynb", *pages, *changed]
    done = {"status": "done", "seconds": seconds, "defaults": job.defaults}
    work.remember(job, done | {"fingerprint": now, "outputs": outputs})
    work.narrator.end(f"{seconds:.1f} s")


def _execute(work: Reproduction, job: Job, running: Path, forked: bool) -> str | None:
    """Execute a notebook into the file `running`; return what went wrong, or None."""
    import papermill
    from jupyter_client.manager import AsyncKernelManager

    from selfie_utils.runner.forked import ForkingManager

    papermill.log.logger.addHandler(logging.NullHandler())  # we tell what it would, in our own words
    try:
        papermill.execute_notebook(
            job.notebook,
            running,
            parameters=job.given,
            kernel_name=work.kernel,
            cwd=project_root(),  # what relative paths mean, wherever the notebook itself lies
            progress_bar=False,
            stdout_file=Bars(work.narrator),
            stderr_file=work.narrator,
            start_timeout=120,
            execution_timeout=work.cell_timeout,
            iopub_timeout=60,  # a busy machine may take longer than the usual 4 s to deliver a picture
            extra_arguments=QUIET,
            kernel_manager_class=ForkingManager if forked else AsyncKernelManager,
            coalesce_streams=True,  # of a progress bar, only its last state is kept
        )
    except Exception as error:  # a cell's error, a dead or silent kernel, a timeout, a full disk
        return _what_happened(running, error)
    return _what_happened(running, None)


def _what_happened(running: Path, error: Exception | None) -> str | None:
    """Describe a failure in one line, with its cell; None where every cell ran to its end."""
    cells = json.loads(running.read_text(encoding="utf-8"))["cells"] if running.exists() else []
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    begun = [cell for cell in code if cell["metadata"].get("papermill", {}).get("start_time")]
    told = [o for cell in begun for o in cell["outputs"] if o["output_type"] == "error"]
    if error and type(error).__name__ != "PapermillExecutionError":
        what = _in_words(error)
    elif told:  # SystemExit too, which papermill takes for success
        what = _cell_error(told[0]["ename"], told[0]["evalue"])
    else:
        return None
    return f"cell [{len(begun)}]: {what}" if begun else what


def _cell_error(kind: str, text: str) -> str:
    """Write a cell's exception in one line; our own errors are sentences that need no class name."""
    return _one_line(text) if kind == "SelfieError" else f"{kind}: {_one_line(text)}".rstrip(" :")


def _in_words(error: Exception) -> str:
    """Say what an exception of the machinery means."""
    kind = type(error).__name__
    if kind == "DeadKernelError":
        return "the kernel died: it was killed, most often for lack of memory"
    if kind == "CellTimeoutError":
        return "the cell took longer than cell_timeout allows"
    return f"{kind}: {_one_line(str(error))}"


def _one_line(text: str) -> str:
    return " ".join(text.split())[:500]


def _advice(run: Path, name: str, error: str) -> str:
    return (
        f"{name} failed, {error.rstrip('.')}. The notebook is kept as "
        f"{run / 'notebooks' / name}.failed.ipynb; go on with --from {name} when that is fixed."
    )


def _keep_notebook(running: Path, name: str, status: str) -> None:
    """Move an executed notebook to its place; of a good and a failed one, the older goes."""
    good, failed = (running.with_name(f"{name}{suffix}") for suffix in (".ipynb", ".failed.ipynb"))
    keep, drop = (good, failed) if status == "done" else (failed, good)
    if running.exists():
        content = json.loads(running.read_text(encoding="utf-8"))
        # Paths of this machine have no place in a notebook that may be passed on.
        for key in ("input_path", "output_path"):
            content["metadata"].get("papermill", {})[key] = keep.name
        with written_whole(keep) as partial:
            partial.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    drop.unlink(missing_ok=True)


def _listing(run: Path) -> dict[str, tuple[int, int]]:
    """Return size and date of every artefact in the run folder."""
    found = {}
    for path in sorted(run.rglob("*")):
        name = path.relative_to(run)
        is_lock = path.name.endswith((".lock", ".lock.process"))
        if name.parts[0] not in OURS and not is_lock and path.is_file():
            found[name.as_posix()] = (path.stat().st_size, path.stat().st_mtime_ns)
    return found


def _write_site(work: Reproduction, due: Sequence[str] = ()) -> None:
    """Write the report site, unless it shows just this already; `due` are the notebooks still to run."""
    if not due and work.state.get("site") == _site_stamp(work.run):
        return
    from selfie_utils.runner.report_site import (
        write_site,  # seconds to import, spared where nothing has changed
    )

    index = write_site(work.run, work.state, due)
    if due:
        return
    work.state["site"] = _site_stamp(work.run)
    write_json(work.run / STATE, work.state)
    work.narrator.say(f"Report: {index}")


def _site_stamp(run: Path) -> list[str]:
    """Stamp everything that the report site is made of, and the site."""
    code = fingerprint("selfie_utils.runner.report_site")
    made_of = [Path(__file__).with_name("templates")]
    made_of += [run / name for name in ("notebooks", "metrics.json", "reports")]
    return [code, *(freshness.stamp(path) for path in made_of)]

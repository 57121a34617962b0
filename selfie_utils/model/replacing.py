"""A network is not replaced by that of another recipe unless somebody says so."""

from dataclasses import asdict
from typing import Any

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder, open_run
from selfie_utils.model.recipe import Recipe

WEIGHTS = "network/model.safetensors"


def check_replaceable(run: RunFolder, wanted: Recipe | str, replace: bool) -> None:
    """Refuse to replace the network of a run by one that another recipe makes, unless `replace` says so.

    `wanted` is the recipe that would make the new one, or the run folder that it would be brought from. The
    same recipe may train again, on other labels or with other code. Raises SelfieError.
    """
    if replace or not run.place(WEIGHTS).exists():
        return
    why = _other_than(run, wanted) if isinstance(wanted, Recipe) else _brought_anew(run, wanted)
    if why:
        raise SelfieError(
            f"{run.root} holds a network that {why}: give another run_dir, or replace=True to replace it."
        )


def _other_than(run: RunFolder, wanted: Recipe) -> str:
    """Say how the network of a run was made otherwise than by a recipe; nothing where it was not."""
    described = run.read_json("network/network")
    if described.get("teachers", {}).get("elsewhere"):
        return "was taught in another run"
    kept: dict[str, Any] = described["recipe"]
    changed = [
        f"{name} {kept.get(name)!r}, not {value!r}"
        for name, value in asdict(wanted).items()
        if kept.get(name) != value
    ]
    return f"another recipe has made ({', '.join(changed)})" if changed else ""


def _brought_anew(run: RunFolder, source: str) -> str:
    """Say that the network of a run is not that of the run `source`; nothing where it is."""
    theirs = open_run(source).need(WEIGHTS).read_bytes()
    return "" if run.place(WEIGHTS).read_bytes() == theirs else f"is not that of {source}"

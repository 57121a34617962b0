"""A finished network stays, unless somebody says that another may take its place."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.given import literals
from selfie_utils.core.run_folder import create_run
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.replacing import check_replaceable

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
KEPT = Recipe(epochs=5, learning_rate=6e-4)


def write_network(root, recipe=KEPT, weights=b"weights", **more):
    """Leave a network as a training of some recipe does."""
    run = create_run(root)
    (root / "network").mkdir(exist_ok=True)
    (root / "network" / "network.json").write_text(json.dumps({"recipe": asdict(recipe), **more}))
    (root / "network" / "model.safetensors").write_bytes(weights)
    return run


def test_the_same_recipe_may_train_again_and_an_empty_run_takes_any(tmp_path):
    check_replaceable(write_network(tmp_path / "run"), KEPT, False)
    check_replaceable(create_run(tmp_path / "new"), Recipe(epochs=1), False)


@pytest.mark.parametrize(
    "change",
    [{"epochs": 3}, {"learning_rate": 3e-4}, {"seed": 1}, {"targets": "ranks"}, {"backbone": "vgg16"}],
)
def test_another_recipe_is_refused_with_what_differs_unless_it_is_told_to(tmp_path, change):
    run, wanted = write_network(tmp_path / "run"), replace(KEPT, **change)
    with pytest.raises(SelfieError) as told:
        check_replaceable(run, wanted, False)
    ((name, value),) = change.items()
    assert f"{name} {getattr(KEPT, name)!r}, not {value!r}" in str(told.value)
    assert "give another run_dir, or replace=True" in str(told.value)
    check_replaceable(run, wanted, True)


def test_a_network_that_was_brought_is_replaced_neither_by_training_nor_by_another(tmp_path):
    taught = {"run": "other", "simulated": False, "elsewhere": True}
    run = write_network(tmp_path / "run", teachers=taught)
    with pytest.raises(SelfieError, match="was taught in another run"):
        check_replaceable(run, KEPT, False)
    write_network(tmp_path / "source")
    check_replaceable(run, str(tmp_path / "source"), False)  # the same one, brought again
    write_network(tmp_path / "source", weights=b"others")
    with pytest.raises(SelfieError, match=r"is not that of .*source: give another run_dir"):
        check_replaceable(run, str(tmp_path / "source"), False)
    check_replaceable(run, str(tmp_path / "source"), True)


def test_the_notebook_s_defaults_are_the_demo_s_recipe():
    cells = json.loads((NOTEBOOKS / "01_train.ipynb").read_text())["cells"]
    (cell,) = (c for c in cells if "parameters" in c["metadata"].get("tags", []))
    demo = yaml.safe_load((NOTEBOOKS / "parameters" / "demo.yaml").read_text())
    told = (literals("".join(cell["source"])), demo["notebooks"]["01_train"])
    named = ("backbone", "image_size", "epochs", "learning_rate")
    recipes = [
        Recipe(**{name: given[name] for name in named if name in given}).but(given["settings"])
        for given in told
    ]
    assert recipes[0] == recipes[1] and recipes[0].targets == "ranks" and recipes[0].epochs == 5

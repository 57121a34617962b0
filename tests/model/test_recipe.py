"""A recipe is read from texts, refuses what makes no sense, and has a name that changes with what made it."""

import os

import pytest

from selfie_utils.core import code
from selfie_utils.core.errors import SelfieError
from selfie_utils.model.recipe import Recipe

# Of each setting another value than the usual one.
OTHERS = {
    "backbone": "resnet50", "weights": "random", "image_size": 160, "epochs": 4, "batch_size": 33,
    "learning_rate": 1e-4, "optimizer": "sgd", "schedule": "cosine", "dropout": 0.5, "drop_path": 0.1,
    "targets": "ranks", "temperature": False, "seed": 1, "precision": "float32", "normalise_as": "vgg_face",
}  # fmt: skip


def test_each_setting_is_read_from_a_text_as_its_type_and_no_other_changes():
    assert set(OTHERS) == set(vars(Recipe()))
    for name, value in OTHERS.items():
        recipe = Recipe().but([f" {name} = {value} "])
        assert vars(recipe) == vars(Recipe()) | {name: value} == vars(Recipe().but([f"{name}: {value}"]))
        assert type(getattr(recipe, name)) is type(value)
        assert Recipe().but({name: value}) == recipe


def test_texts_may_be_written_in_several_ways():
    several = Recipe().but(
        ["epochs=2e1", "temperature=FALSE", "learning_rate=1e-3", "weights=/photos/a=b.pth"]
    )
    assert (several.epochs, several.temperature, several.learning_rate) == (20, False, 0.001)
    assert several.weights == "/photos/a=b.pth"
    assert several.but(["temperature=True"]).temperature is True
    assert Recipe().but([]) == Recipe()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("dropuot=0.5", r"no setting 'dropuot': .*dropout"),
        ("dropout", r"setting 'dropout' has no value: write it like dropout=0.5"),
        ("epochs=many", r"epochs is 'many', expected int such as 3"),
        ("learning_rate=fast", r"learning_rate is 'fast', expected float such as 0.0003"),
        ("temperature=warm", r"temperature is 'warm', expected bool such as True"),
        ("backbone=vgg16 drop_path=0.1", "no residual branches"),
        ("optimizer=adam", r"optimizer is 'adam', expected adamw or sgd"),
        ("schedule=step", r"schedule is 'step', expected one-cycle or cosine"),
        ("targets=likes", r"targets is 'likes', expected labels or ranks"),
        ("precision=float16", r"precision is 'float16', expected auto or float32 or bfloat16"),
        ("normalise_as=grey", r"normalise_as is 'grey', expected backbone or vgg_face"),
    ],
)
def test_misspelt_settings_are_refused_with_what_is_expected(wrong, told):
    with pytest.raises(SelfieError, match=told):
        Recipe().but(wrong.split())


@pytest.mark.parametrize("name", ["epochs", "batch_size", "learning_rate"])
def test_what_must_be_more_than_0_may_be_small_but_not_0(name):
    smallest = 1e-12 if name == "learning_rate" else 1
    assert getattr(Recipe(**{name: smallest}), name) == smallest
    for value in (0, -1):
        with pytest.raises(SelfieError, match=f"{name} is {value}, expected more than 0"):
            Recipe(**{name: value})


@pytest.mark.parametrize("name", ["dropout", "drop_path"])
def test_a_share_left_out_is_0_or_more_and_less_than_1(name):
    for value in (0, 0.999):
        assert getattr(Recipe(**{name: value}), name) == value
    for value in (-0.001, 1):
        with pytest.raises(SelfieError, match=f"{name} is {value}, expected 0 or more and less than 1"):
            Recipe(**{name: value})
    assert Recipe(backbone="vgg16", dropout=0.5).drop_path == 0  # which has no branches to drop


def test_another_file_of_weights_is_known_by_what_is_in_it(tmp_path, monkeypatch):
    weights = tmp_path / "faces.pth"
    weights.write_text("some")
    recipe = Recipe(weights=str(weights))
    before = recipe.made_by()
    assert before == recipe.made_by() != Recipe().made_by()
    os.utime(weights, ns=(1, 1))
    assert recipe.made_by() == before  # a date is not another content
    weights.write_text("else")  # as long as the other
    os.utime(weights, ns=(2, 2))
    assert recipe.made_by() != before
    monkeypatch.setenv("HOME", str(tmp_path))
    assert Recipe(weights="~/faces.pth").made_by() == recipe.made_by()
    # Not what is a folder, or nowhere: that is left to who opens it.
    assert (
        Recipe(weights=str(tmp_path)).made_by() == Recipe(weights="nowhere").made_by() == Recipe().made_by()
    )


def test_edited_code_is_another_maker_where_a_training_depends_on_it(monkeypatch):
    source = code._source

    def made_by(edited):
        monkeypatch.setattr(code, "_source", lambda module: source(module) + b"#" * (module == edited))
        code.fingerprint.cache_clear()
        return Recipe().made_by()

    before = made_by("")
    for module in ("model.training", "model.network", "model.recipe", "photos.pack", "photos.images"):
        assert made_by(f"selfie_utils.{module}") != before, module
    for module in ("show.charts", "analysis.ranking", "synthetic.people", "model.trials"):
        assert made_by(f"selfie_utils.{module}") == before, module
    code.fingerprint.cache_clear()

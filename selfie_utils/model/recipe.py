"""How the network is fine-tuned: every choice with its default, and choices read from texts."""

import hashlib
import re
from dataclasses import dataclass, fields, replace
from functools import cache
from pathlib import Path
from typing import Any

from selfie_utils.core.code import fingerprint
from selfie_utils.core.errors import SelfieError, did_you_mean

CHOICES = {
    "optimizer": ("adamw", "sgd"),
    "schedule": ("one-cycle", "cosine"),
    "targets": ("labels", "ranks"),
    "precision": ("auto", "float32", "bfloat16"),
    "normalise_as": ("backbone", "vgg_face"),
}


@dataclass(frozen=True)
class Recipe:
    """How the network is fine-tuned."""

    backbone: str = "efficientnet_lite0"
    weights: str = "imagenet"
    image_size: int = 128  # px
    epochs: int = 3
    batch_size: int = 32  # of all processes together
    learning_rate: float = 3e-4  # the highest of the schedule
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    dropout: float = (
        0.0  # share of fc7 (in a VGG, of fc6 too) left out; the article had better results without
    )
    drop_path: float = 0.0  # share of the deepest residual branches that a photo skips in training
    targets: str = "labels"  # what is learned: good or bad, or the rank by likes within the group, 0..1
    temperature: bool = (
        True  # scale log-odds on the validation split, so that scores are fit to be taken at their word
    )
    seed: int = 0
    precision: str = "auto"  # of the arithmetic; auto takes bfloat16 where the GPU or CPU has it and it pays
    normalise_as: str = "backbone"  # whose mean and standard deviation are taken off the photos

    def __post_init__(self):
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise SelfieError(f"{name} is {getattr(self, name)!r}, expected {' or '.join(known)}.")
        for name in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise SelfieError(f"{name} is {getattr(self, name)}, expected more than 0.")
        for name in ("dropout", "drop_path"):
            if not 0 <= getattr(self, name) < 1:
                raise SelfieError(f"{name} is {getattr(self, name)}, expected 0 or more and less than 1.")
        if self.backbone == "vgg16" and self.drop_path:
            raise SelfieError("A VGG has no residual branches to drop: leave out drop_path.")

    def made_by(self) -> str:
        """Return a short text that changes with the code that trains and with the file of weights, if any."""
        file, content = Path(self.weights).expanduser(), ""
        if file.is_file():
            content = _content(file, file.stat().st_mtime_ns)
        code = fingerprint("selfie_utils.model.training")
        return hashlib.sha256(f"{code} {content}".encode()).hexdigest()[:16]

    def but(self, settings: list[str] | dict[str, Any]) -> "Recipe":
        """Return this recipe with other settings, given as texts such as "dropout=0.5" or by name."""
        changes = settings if isinstance(settings, dict) else dict(map(_split, settings))
        kinds: dict[str, Any] = {field.name: field.type for field in fields(self)}
        for name in changes:
            if name not in kinds:
                raise SelfieError(f"A recipe has no setting {name!r}: {did_you_mean(name, set(kinds))}")
        return replace(self, **{name: _as(kinds[name], name, value) for name, value in changes.items()})


def kept_recipe(told: dict[str, Any]) -> Recipe:
    """Return the recipe that a network was kept with; raise SelfieError where it has settings unknown to us.

    Leaving one out could show a network other photos than those that it learned from.
    """
    try:
        return Recipe().but(told)
    except SelfieError as error:
        raise SelfieError(
            f"The network was kept by another version of this project ({str(error).rstrip('.')}): run "
            "notebooks/01_train.ipynb again."
        ) from None


@cache
def _content(file: Path, changed: int) -> str:
    """Hash a file, again only where the date of its last change is another one."""
    with open(file, "rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _split(setting: str) -> tuple[str, str]:
    """Read `name=value`, or `name: value`, which papermill can read among a notebook's defaults."""
    name, *value = re.split("[=:]", str(setting), maxsplit=1)
    if not value:
        raise SelfieError(f"The setting {setting!r} has no value: write it like dropout=0.5.")
    return name.strip(), value[0].strip()


def _as(kind: type, name: str, value: Any) -> Any:
    """Turn a text into the type of a setting."""
    if not isinstance(value, str) or kind is str:
        return kind(value)
    known = {"true": True, "false": False}
    try:
        return known[value.lower()] if kind is bool else _whole(value) if kind is int else kind(value)
    except (KeyError, ValueError):
        raise SelfieError(
            f"{name} is {value!r}, expected {kind.__name__} such as {getattr(Recipe, name)}."
        ) from None


def _whole(text: str) -> int:
    """Read a whole number, also written as 3.0 or 1e3; raise ValueError for any other."""
    number = float(text)
    if number != int(number):
        raise ValueError(text)
    return int(number)

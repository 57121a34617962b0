"""The card of a network that is given away: what it was taught on, how good it is, and what it is not for."""

from pathlib import Path
from typing import Any

from selfie_utils.analysis.transfer import SIMULATED_IN_BRIEF, Teachers, teachers_of
from selfie_utils.core.run_folder import RunFolder

SIMULATED_PEOPLE = f"It was taught {SIMULATED_IN_BRIEF}."
NEITHER = "Neither this network nor its scores are fit for any of the following:"
NOT_FOR = (
    "judging, ranking, choosing or turning away people: for work, dates, loans, schools or anything else",
    "saying how attractive, trustworthy, healthy or clever somebody is",
    "recognising or identifying anybody, or guessing gender, age or origin",
    "deciding alone what others get to see of a person's photos",
    "photos unlike those that it was taught on: there its scores are guesses, however sure they look",
)
TERMS = (
    "The code is under the MIT licence. Weights that began as those of an ImageNet network have its terms: "
    "for EfficientNet-lite0, Apache-2.0, as far as known. ImageNet's photos are for research and education; "
    "whether that reaches weights is debated."
)
WHAT = (
    "It gives a photo a score, 0 to 100: the probability, as far as it learned, that the photo is *good*. "
    "Good means in the upper half by likes among posts of like audience, and nothing else. Likes depend on "
    "the hour, on friends and on luck; a network that learns from them learns the habits of an audience, its "
    "prejudices among them. It ranks photos, never people."
)


def facts_of(run: RunFolder) -> dict[str, Any]:
    """Return what a program needs to use the network of a run, and what is known of it, ready for JSON."""
    described, metrics = run.read_json("network/network"), run.read_metrics().get("01_train", {})
    size = described["image_size"]
    return {
        "backbone": described["backbone"],
        "input": {"photos": f"RGB, 0 to 255, {size} x {size} px"},
        "preprocessing": described["preprocessing"] | {"filter": "bilinear, antialiased (Pillow's)"},
        "classes": described["classes"],
        "calibration": {
            "score": "softmax of the two outputs, of good: 1 / (1 + exp(-log_odds / temperature))",
            "temperature": 1.0,  # a training divides the weights of the last layer by the one it found
            "fitted": bool(described["recipe"].get("temperature", False)),
            **{name: metrics[name] for name in ("calibration_error",) if name in metrics},
        },
        "taught_on": _taught_on(run, described, teachers_of(run)),
        "tested": {name: value for name, value in metrics.items() if name.startswith("test_")},
        "not_for": list(NOT_FOR),
    }


def _taught_on(run: RunFolder, described: dict[str, Any], teachers: Teachers) -> dict[str, Any]:
    """Say who taught a network, and with how many posts where that is known."""
    recipe = described["recipe"]
    if "weights" in recipe:  # of a user's file the name, and nothing of his disk
        recipe = recipe | {"weights": Path(recipe["weights"]).name}
    told = {"run": teachers.run, "simulated_people": teachers.simulated, "recipe": recipe}
    if teachers.elsewhere or not run.place("labels.parquet").exists():
        return told
    splits = run.read_table("labels")["split"].value_counts()
    return told | {"posts": {str(name): int(count) for name, count in splits.items()}}


def card_of(run: RunFolder) -> str:
    """Return the card as Markdown."""
    facts = facts_of(run)
    parts = [
        "# A network that scores selfies",
        WHAT,
        "## What it was taught on",
        _teaching(facts["taught_on"], facts["backbone"]),
        "## How good it is",
        _quality(facts),
        "## How to use it",
        _use(facts),
        "## What it must not be used for",
        f"{NEITHER}\n\n" + "\n".join(f"- {use}" for use in NOT_FOR),
        "## Terms",
        TERMS,
    ]
    return "\n\n".join(parts) + "\n"


def _teaching(taught: dict[str, Any], backbone: str) -> str:
    """Say in words whom a network was taught with."""
    whom = {
        True: f"Rendered photos of people who do not exist, whose likes were simulated. {SIMULATED_PEOPLE}",
        False: "Posts of real people.",
        None: "By whom is not known: it was taught elsewhere, and nothing was noted.",
    }[taught["simulated_people"]]
    posts = taught.get("posts", {})
    count = f" It learned from {posts['train']:,} labelled posts." if posts.get("train") else ""
    recipe = taught["recipe"]
    start = "from weights drawn at random" if recipe.get("weights") == "random" else "from ImageNet's weights"
    if recipe.get("weights") not in (None, "random", "imagenet"):
        start = "from weights of the user's own"
    return f"{whom}{count} Its backbone is {backbone}, {start}."


def _quality(facts: dict[str, Any]) -> str:
    """Say in words how a network did on its test posts."""
    tested = facts["tested"]
    if "test_accuracy" not in tested:
        return "It was not tested: nothing says how far its scores can be trusted."
    told = (
        f"Of its test posts it tells {tested['test_accuracy']:.1%} right "
        f"[{tested['test_accuracy_low']:.1%} to {tested['test_accuracy_high']:.1%}]; chance is 50%."
    )
    if "test_auc" in tested:
        told += f" The area under its ROC curve is {tested['test_auc']:.3f}; chance is 0.5."
    if "calibration_error" in facts["calibration"]:
        points = 100 * facts["calibration"]["calibration_error"]
        told += f" Scores are off by {points:.1f} points on average."
    return f"{told} Intervals are 95%."


def _use(facts: dict[str, Any]) -> str:
    """Say in words what a network takes and what comes out."""
    form, calibration = facts["preprocessing"], facts["calibration"]
    mean, std = ([round(value, 4) for value in form[name]] for name in ("mean", "std"))
    fitted = "was fitted to validation posts and is part of the weights" if calibration["fitted"] else "is 1"
    return (
        f"- Photos: upright, {facts['input']['photos']}, squished (the aspect ratio is not kept), "
        f"{form['filter']}.\n"
        f"- Each channel / 255, less the mean {mean}, divided by {std}.\n"
        f"- Classes: {', '.join(facts['classes'])}, in this order.\n"
        f"- Calibration: the temperature {fitted}; the softmax of the outputs is the score."
    )

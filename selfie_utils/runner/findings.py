"""What a run has found: the question of each notebook, pictures that show it, the finding in sentences."""

from collections.abc import Callable
from dataclasses import dataclass

COIN = 0.5


@dataclass(frozen=True)
class Picture:
    """A figure of the run: file name, what it shows, and the width to show it at in px."""

    name: str
    alt: str
    width: int


@dataclass(frozen=True)
class Section:
    """A part of the page: a notebook, the question it answers, its pictures, and its finding in sentences.

    `find(metrics, simulated)` takes the metrics of the notebook; what it returns empty is left out.
    """

    notebook: str
    title: str
    question: str
    pictures: tuple[Picture, ...]
    find: Callable[[dict, bool], list[str]]


def find(section: Section, metrics: dict, simulated: bool) -> list[str]:
    """Return what a run found of a section, from the metrics of its notebook; nothing where these lack it."""
    known = {name: value for name, value in metrics.items() if value == value}  # nan: not to be had
    try:
        return section.find(known, simulated)
    except KeyError:  # posts without labels, say, leave fewer metrics
        return []


def _share(metrics: dict, name: str) -> str:
    """Write a share as a percentage, with its interval where the metrics hold one."""
    return _with_ends(metrics, name, "{:.0%}")


def _number(metrics: dict, name: str) -> str:
    """Write a number with three decimals, with its interval where the metrics hold one."""
    return _with_ends(metrics, name, "{:.3f}")


def _with_ends(metrics: dict, name: str, form: str) -> str:
    told = form.format(metrics[name])
    ends = [metrics.get(f"{name}_low"), metrics.get(f"{name}_high")]
    return told if None in ends else f"{told} [{' to '.join(map(form.format, ends))}]"


def _compared(metrics: dict, name: str, level: float, what: str) -> str:
    """Say on which side of `level` an interval lies."""
    low, high = (metrics.get(f"{name}_{end}", metrics[name]) for end in ("low", "high"))
    if low <= level <= high:
        return f"not clearly different from {what}"
    return f"clearly {'more' if low > level else 'less'} than {what}"


def _find_labels(m: dict, simulated: bool) -> list[str]:
    if not m["labelled"]:
        return [f"Nobody has said of these {m['posts']:,} posts which are good: they are only scored."]
    found = []
    if m.get("groups"):
        found.append(
            f"In each of {m['groups']} groups of posts that as many people saw, the half with more likes is "
            "good, so that the number of friends alone decides nothing."
        )
    brought = "" if m.get("groups") else ", which they brought: likes were not asked"
    found.append(f"{m['labelled']:,} of {m['posts']:,} posts have a label{brought}.")
    if "labels_right" in m and simulated:
        found.append(
            f"{_share(m, 'labels_right')} of the labels agree with the true appeal of the photo, "
            f"{_compared(m, 'labels_right', COIN, 'the 50% of chance')}."
        )
    return found


def _find_accuracy(m: dict, simulated: bool) -> list[str]:
    if "test_accuracy" not in m:
        return []
    rival = m.get("baseline_accuracy")
    rival = f", and a logistic regression on light and colour {rival:.0%}" if rival else ""
    found = [
        f"On {m['scored']:,} test posts of people whom it has never met, the network is right "
        f"{_share(m, 'test_accuracy')} of the time, "
        f"{_compared(m, 'test_accuracy', COIN, 'the 50% of a coin')}; "
        f"the article had 60%{rival}."
    ]
    if "share_of_oracle" in m and simulated:
        found.append(
            "Nobody can beat the oracle, which knows the true appeal and is right "
            f"{m['oracle_accuracy']:.0%} of the time; in area under the ROC curve "
            f"({_number(m, 'test_auc')}) the network is {_share(m, 'share_of_oracle')} of the way from "
            "chance to it."
        )
    elif "test_auc" in m:
        found.append(f"The area under the ROC curve is {_number(m, 'test_auc')}; chance is 0.500.")
    return found


def _find_continuum(m: dict, simulated: bool) -> list[str]:
    if "good_in_best_band" not in m:
        return []
    return [
        f"Of {m['test_posts']:,} test posts, ordered from best to worst, "
        f"{_share(m, 'good_in_best_band')} are labelled "
        f"good in the best part and {_share(m, 'good_in_worst_band')} in the worst; chance is 50% in both."
    ]


def _find_planted(m: dict, simulated: bool) -> list[str]:
    if "rank_correlation_with_truth" not in m or not simulated:
        return []
    return [
        "The network's order and that of the true appeal correlate by "
        f"{_with_ends(m, 'rank_correlation_with_truth', '{:.2f}')}; "
        "1 would be the same order, 0 no relation.",
        "From likes alone nobody can tell; here we can, because we wrote the audience's tastes ourselves: "
        "the chart shows what was planted and what the network made of it.",
    ]


def _find_top(m: dict, simulated: bool) -> list[str]:
    return [
        f"{_share(m, 'good')} of the best {m['shown']:,} are labelled good, "
        f"{_compared(m, 'good', COIN, 'the 50% of chance')}.",
        "The chart compares how frequent each attribute is among them and among all test posts; where the "
        "bar holds the diamond, as many posts drawn blindly could look the same.",
    ]


def _find_worst(m: dict, simulated: bool) -> list[str]:
    return [
        f"{_share(m, 'bad')} of the worst {m['shown']:,} are labelled bad, "
        f"{_compared(m, 'bad', COIN, 'the 50% of chance')}.",
        "The chart shows what is more frequent among them than among all; it says something about "
        "photos and an "
        "audience, and nothing about people.",
    ]


def _find_males(m: dict, simulated: bool) -> list[str]:
    overall = m.get("share_in_test_set")
    if overall is None:
        return ["Unknown: no annotation says who is presented as male."]
    if not overall:
        return []
    found = f"{_share(m, 'share_at_top')} of the best are presented as male, "
    found += f"{_compared(m, 'share_at_top', overall, f'the {overall:.0%} of all test posts')}."
    learned = " (here it was planted)" if simulated else ""
    return [
        found,
        f"A difference is a habit of the audience{learned} or a mistake of the network; the chart compares "
        "the best males with other males only.",
    ]


def _find_map(m: dict, simulated: bool) -> list[str]:
    return [
        f"On a map of {m['posts_on_map']:,} selfies, {_share(m, 'neighbours_kept')} of a photo's neighbours "
        f"are among its nearest in fc7; by luck it would be {m['neighbours_kept_by_chance']:.0%}.",
        f"Of {m['attributes_judged']} attributes, {m['attributes_together']} stand together more than luck "
        f"allows; for {m['attributes_as_by_pixels']} of these, thumbnails of 8 x 8 pixels do as well.",
    ]


def _find_celebrities(m: dict, simulated: bool) -> list[str]:
    if "photos" not in m:
        return ["No folder of celebrities was given."]
    return [
        f"{_share(m, 'above_middle')} of {m['photos']:,} celebrity selfies score above the middle of "
        f"the test posts, "
        f"{_compared(m, 'above_middle', COIN, 'the 50% of chance')}.",
        "An interval of this width judges the folder as a whole, never one photo or the person in it.",
    ]


def _find_choices(m: dict, simulated: bool) -> list[str]:
    if m["choices"] == 0:
        return ["No labels were made from likes, so there is nothing to choose."]
    if "lowest_kappa" not in m:
        return []
    right = {name[6:].replace("_", " "): value for name, value in m.items() if name.startswith("right_")}
    found = [
        f"Of {m['choices']} ways to label the same posts, the most different one agrees with the "
        f"article's by a "
        f"kappa of {m['lowest_kappa']:.2f}; 1 means the same labels, 0 no more than chance."
    ]
    if right and simulated:
        worst, best = min(right, key=right.__getitem__), max(right, key=right.__getitem__)
        found.append(
            f"Their labels are right in {right[worst]:.0%} ({worst}) to {right[best]:.0%} ({best}) of cases."
        )
    return found


def _find_experiments(m: dict, simulated: bool) -> list[str]:
    changes = {name[10:]: value for name, value in m.items() if name.startswith("change by ")}
    found = []
    if changes:
        largest = max(changes, key=lambda name: abs(changes[name]))
        found.append(
            f"The largest change of the area under the ROC curve came from {largest}: "
            f"{changes[largest]:+.3f}."
        )
    found.append(f"The network was trained {m['trainings']} times, with {m['seeds']} seeds for each variant.")
    if "agreement_of_seeds" in m:
        found.append(f"The scores of two seeds correlate by {m['agreement_of_seeds']:.2f}.")
    return found


def _find_crops(m: dict, simulated: bool) -> list[str]:
    lost = m["crops_that_lose_the_face"]
    found = [
        f"To the network the best of many square crops gains {_with_ends(m, 'gain', '{:.0f}')} points, and "
        f"{lost} of {m['photos']} such crops {'loses' if lost == 1 else 'lose'} the face."
    ]
    judges = [j for j in ("the_backbone_before_training", "a_new_last_layer_on_the_same_fc7") if j in m]
    if judges:
        seen = " and ".join(_with_ends(m, judge, "{:+.0f}") for judge in judges)
        found.append(f"Judges that had no part in the choice see {seen} points.")
    if "planted_gain" in m and simulated:
        found.append(
            f"The planted appeal changes by {_with_ends(m, 'planted_gain', '{:+.2f}')}, "
            f"{_compared(m, 'planted_gain', 0, 'nothing')}."
        )
    return found


def _find_rewards(m: dict, simulated: bool) -> list[str]:
    again = " or the same scene is rendered again" if simulated else ""
    found = [
        f"Of {m['rules_tried']} rules of the article that could be tried, {m['rules_hold']} hold when the "
        f"same photo is edited{again}; placebos move the score by at most {m['placebo_floor']:.3f} log-odds."
    ]
    if "strong_all_else_equal" in m and simulated:
        found.append(
            f"Of {m['strong_all_else_equal']} planted effects of 0.3 or more, {m['signs_all_else_equal']} "
            "have the right sign, everything else being equal."
        )
    return found


def _find_inside(m: dict, simulated: bool) -> list[str]:
    found = [
        "Maps of what the score hangs on, by Grad-CAM, correlate with those of a network of random weights "
        f"by {_with_ends(m, 'likeness_to_random Grad-CAM', '{:.2f}')}; at 1 they would show the photo alone."
    ]
    if "points_at border Grad-CAM" in m and simulated:
        found.append(
            f"Where a border was planted, they point at it in {_share(m, 'points_at border Grad-CAM')} of "
            f"photos, {m['times_area border Grad-CAM']:.1f} times as often as a blind finger would; maps of "
            f"other photos point there in {m['elsewhere border Grad-CAM']:.0%}."
        )
    return found


def _find_yours(m: dict, simulated: bool) -> list[str]:
    found = [
        f"The network answers for any photo, and for every frame of a camera; here it did for {m['photos']}, "
        f"and {_share(m, 'above_middle')} of them score above the middle of the test posts."
    ]
    if "gain" in m:
        found.append(
            f"To the network that chooses them, their best square crops gain {m['gain']:.0f} points on "
            f"average, from {m['gain_least']:.0f} to {m['gain_most']:.0f}."
        )
    return found


SECTIONS = (  # in the order of the article
    Section(
        "00_data",
        "Which selfies are good?",
        "Likes mostly depend on the number of friends. How can they tell a good selfie from a bad one?",
        (Picture("good_and_bad.jpg", "Selfies labelled good on the left, bad on the right", 800),),
        _find_labels,
    ),
    Section(
        "01_train",
        "Can a network tell?",
        "Sixty percent: is that not just ten points better than guessing?",
        (Picture("accuracy.png", "Accuracy of the network and its rivals, with intervals", 576),),
        _find_accuracy,
    ),
    Section(
        "02_continuum",
        "From best to worst",
        "So what does it like?",
        (Picture("continuum.jpg", "Selfies from the best row on top to the worst row at the bottom", 500),),
        _find_continuum,
    ),
    Section(
        "02_continuum",
        "Is any of it true?",
        "Is this not the classic blunder about causes: how do you know that it is the forehead?",
        (
            Picture(
                "planted.png", "Planted worth of each attribute, and what it is worth to the network", 600
            ),
        ),
        _find_planted,
    ),
    Section(
        "03_top_100",
        "The top 100",
        "How much do glasses matter, or a pout? What do the best have in common that others have not?",
        (
            Picture("top_100.jpg", "The best selfies of the test posts", 500),
            Picture("top_100_shares.png", "Attributes among the best, compared with all test posts", 576),
        ),
        _find_top,
    ),
    Section(
        "04_worst_300",
        "The worst 300",
        "And what should I not do?",
        (
            Picture("worst_300.jpg", "The worst selfies of the test posts, in small", 600),
            Picture("worst_300_shares.png", "Attributes among the worst, compared with all test posts", 576),
        ),
        _find_worst,
    ),
    Section(
        "05_male_gallery",
        "The best males",
        "Interesting about the foreheads. Do you find the same effect in males?",
        (
            Picture("male_gallery.jpg", "The best selfies of people presented as male", 500),
            Picture("male_shares.png", "Attributes among the best males, compared with all males", 576),
        ),
        _find_males,
    ),
    Section(
        "07_celebrities",
        "Celebrities",
        "Does it know who is famous?",
        (Picture("celebrities.jpg", "Celebrity selfies, the best top left", 600),),
        _find_celebrities,
    ),
    Section(
        "06_tsne",
        "Which selfies are alike?",
        "Can you understand the reduced dimensions, or is this another case of blind compression?",
        (Picture("map_grid.jpg", "A full square grid of selfies in which neighbours look alike", 600),),
        _find_map,
    ),
    Section(
        "08_label_choices",
        "What if we had labelled otherwise?",
        "Should likes not be divided by the number of people who really saw the photo?",
        (Picture("label_right.png", "Share of right labels by choice, with intervals", 576),),
        _find_choices,
    ),
    Section(
        "09_experiments",
        "Would more data help?",
        "Did dropout, or more photos, really make no difference?",
        (Picture("learning_curve.png", "Accuracy and AUC by the number of training posts", 576),),
        _find_experiments,
    ),
    Section(
        "10_optimal_crop",
        "The optimal crop",
        "Finding the optimal crop: does a crop that the network likes better make a better selfie?",
        (
            Picture("best_crops.jpg", "Pairs of photos, the original left and its best crop right", 514),
            Picture("crop_regret.png", "Points below the best crop, by number of crops looked at", 700),
        ),
        _find_crops,
    ),
    Section(
        "11_what_it_rewards",
        "Do and Don't, measured",
        "Classic causality blunder: is it the forehead, or what comes with it?",
        (Picture("what_it_rewards.png", "Each rule as seen, all else equal, done, and rendered again", 648),),
        _find_rewards,
    ),
    Section(
        "12_under_the_hood",
        "Under the hood",
        "What happens inside the network, and which parts of a photo does its score hang on?",
        (
            Picture("film.jpg", "A photo going through the network, stage by stage", 700),
            Picture("channels.jpg", "What single channels look for", 454),
        ),
        _find_inside,
    ),
    Section(
        "13_rate_yours",
        "How good is yours?",
        "Curious about what the network thinks of your selfies?",
        (Picture("yours.png", "Scores of some photos over those of all test posts", 504),),
        _find_yours,
    ),
)

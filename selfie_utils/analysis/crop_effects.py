"""What best crops do to photos: whether the gain is real, what they want, and whom they lose."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from selfie_utils.analysis.appeal import framing, heads_kept, in_frame, within
from selfie_utils.analysis.base_rates import share_in_words
from selfie_utils.analysis.best_crops import Album, open_photo
from selfie_utils.analysis.crop_search import FIRST, Tried
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.core.shares import mean, share
from selfie_utils.photos.crops import as_shares, boxes_of, cut, fit_for_crops
from selfie_utils.photos.faces import BOX, FaceDetector
from selfie_utils.photos.images import Images, UnreadableImage, decode, squish

COMPONENTS = 64  # of fc7 that a second opinion learns from: a few hundred posts teach no more
TONES = ("lighter skin", "middle", "deeper skin")  # thirds of the photos
OWN, BLUR, NET = "the network itself", "blur alone", "the network, net of blur"


def heads_of(images: Images, names: Sequence[str], truth: pd.DataFrame | None) -> list[np.ndarray]:
    """Return where everybody's head is, for each photo: float64 (K, 4) in 0..1, the main person's first.

    Of simulated posts from the truth; of all others, faces that the detector finds, the largest first.
    """
    known = {} if truth is None else dict(zip(truth["image"], truth["head_boxes"], strict=True))
    asked = [name for name in names if name not in known]
    found = dict(zip(asked, _faces(images, asked), strict=True)) if asked else {}
    return [_as_boxes(known.get(name, found.get(name))) for name in names]


def _as_boxes(boxes: Any) -> np.ndarray:
    return np.empty((0, 4)) if boxes is None or not len(boxes) else np.array([list(b) for b in boxes], float)


def _faces(images: Images, names: Sequence[str]) -> list[np.ndarray]:
    detector, boxes = FaceDetector(), []
    for name in tqdm(names, "looking for faces", mininterval=2, unit="photo"):
        try:
            boxes.append(detector.detect([decode(images.read(name), at_least=320)])[0][BOX].to_numpy())
        except UnreadableImage:
            boxes.append(None)
    return boxes


def whom_it_loses(boxes: np.ndarray, heads: Sequence[np.ndarray]) -> pd.DataFrame:
    """Tell whom crops lose; boxes float (N, 4) in 0..1. Nullable booleans: main, and another.

    main: less than half of the main head is left (unknown without one); another: that of somebody else
    (unknown where nobody else is in the photo).
    """
    kept: list[Any] = [
        heads_kept(head, box) if len(head) else [] for head, box in zip(heads, boxes, strict=True)
    ]
    main = [not k[0] if len(k) else pd.NA for k in kept]
    another = [not all(k[1:]) if len(k) > 1 else pd.NA for k in kept]
    return pd.DataFrame({"main": main, "another": another}, dtype="boolean")


def draw_by_score(tries: dict[str, Tried], photos: Sequence[str], seed: int = 0) -> np.ndarray:
    """Draw one crop per photo, numbers (N, 3), each with a chance as its odds of being good.

    Drawn among the crops that the search spread evenly; picking the best one enlarges small differences
    between people (Yee et al., "Image cropping on Twitter", 2021).
    """
    rng, drawn = np.random.default_rng(seed), []
    for name in photos:
        numbers, scores = evenly_spread(tries[name])
        odds = scores / np.maximum(1 - scores, 1e-6)
        drawn.append(numbers[rng.choice(len(numbers), p=odds / odds.sum())])
    return np.array(drawn)


def draw_blindly(tries: dict[str, Tried], photos: Sequence[str], seed: int = 0) -> np.ndarray:
    """Draw one crop per photo, numbers (N, 3), by lot: what any crop does, whoever chooses it."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(evenly_spread(tries[name])[0])[0] for name in photos])


def evenly_spread(tried: Tried) -> Tried:
    """Return the first crops of a search, which were chosen without any score."""
    return Tried(tried.numbers[:FIRST], tried.scores[:FIRST])


def shares_of(images: Images, photos: Sequence[str], numbers: np.ndarray, size: int) -> np.ndarray:
    """Return the boxes of one crop per photo, numbers (N, 3), as shares of it: float64 (N, 4)."""
    opened = [open_photo(images, name, size).size for name in photos]
    boxes = [as_shares(boxes_of(n, extent), extent) for n, extent in zip(numbers, opened, strict=True)]
    return np.vstack(boxes)


def people(images: Sequence[str], truth: pd.DataFrame | None, posts: pd.DataFrame) -> pd.DataFrame:
    """Return to which groups the person of each photo belongs: presented gender, and third by skin tone.

    Columns only of what is known of these photos, as strings, missing where it is not.
    """
    groups = pd.DataFrame(index=range(len(images)))
    if "presented_gender" in posts:
        groups["presented gender"] = _said(posts, "presented_gender", images)
    if truth is not None:
        tones = _said(truth, "skin_tone", images)
        if tones.nunique() > 2:
            rank = tones.rank(pct=True)
            groups["skin tone"] = (
                pd.cut(rank, [0, 1 / 3, 2 / 3, 1], labels=TONES).astype("str").mask(tones.isna())
            )
    return groups.dropna(axis=1, how="all")


def _said(table: pd.DataFrame, column: str, images: Sequence[str]) -> pd.Series:
    """Return what a table says of each photo, a value a photo: of one that was posted twice the first."""
    return table.drop_duplicates("image").set_index("image")[column].reindex(images).reset_index(drop=True)


def losses_by_group(losses: dict[str, pd.Series], groups: pd.DataFrame) -> pd.DataFrame:
    """Count how often a crop loses somebody: a row a group and a way to choose, with 95% intervals.

    `losses` has nullable booleans (N,) by way. Columns: group, way, share, low, high, known (photos).
    """
    rows = []
    for way, lost in losses.items():
        rows.append({"group": "all", "way": way, **share(lost)})
        for column in groups:
            for group in sorted(groups[column].dropna().unique(), key=_in_order):
                some = lost.reset_index(drop=True)[(groups[column] == group).to_numpy()]
                rows.append({"group": group, "way": way, **share(some)})
    return pd.DataFrame(rows)


def _in_order(group: str) -> tuple[int, str]:
    return (TONES.index(group) if group in TONES else 0, group)


def frames(boxes: np.ndarray, heads: Sequence[np.ndarray]) -> pd.DataFrame:
    """Say how the main head stands in crops, (N, 4) in 0..1, as shares of them; NaN where it is lost.

    Columns: face_share, centre_x, centre_y.
    """
    rows = []
    for box, head in zip(boxes, heads, strict=True):
        kept = len(head) and heads_kept(head, box)[0]
        rows.append(framing(within(head[0], box)) if kept else {})
    table = pd.DataFrame(rows, index=range(len(rows)))
    return table.reindex(columns=["face_share", "centre_x", "centre_y"]).astype("float64")


def ways_to_crop(
    album: Album, crops: pd.DataFrame, tries: dict[str, Tried], size: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Return boxes, float64 (N, 4) in 0..1, by way to choose: best crop, drawn by score, any crop."""
    drawn = {"drawn by score": draw_by_score, "any crop": draw_blindly}
    ways = {"best crop": crops[BOX].to_numpy(float)}
    for way, draw in drawn.items():
        ways[way] = shares_of(album.images, crops["image"], draw(tries, crops["image"], seed), size)
    return ways


def what_it_wants(
    ways: dict[str, np.ndarray], album: Album, crops: pd.DataFrame, heads: Sequence[np.ndarray]
) -> pd.DataFrame:
    """Compare how faces stand in photos and in crops: measure, way, mean, low, high (%), 95% intervals.

    Of photos with a face; place and size are of faces that a crop keeps. Cut foreheads are known of simulated
    photos only.
    """
    some = np.array([len(head) > 0 for head in heads], bool)
    heads = [head for head in heads if len(head)]
    whole, rows = np.tile([0.0, 0, 1, 1], (len(heads), 1)), []
    for way, boxes in {"whole photo": whole, **{w: boxes[some] for w, boxes in ways.items()}}.items():
        table = frames(boxes, heads)
        measures = {
            "face (% of the width)": table["face_share"],
            "its middle (% from the left)": table["centre_x"],
            "its middle (% from the top)": table["centre_y"],
            "face lost (% of photos)": whom_it_loses(boxes, heads)["main"],
        }
        if album.truth is not None:
            known = in_frame(_truth_of(album.truth, crops.loc[some, "image"]), boxes)
            measures["forehead cut off (%)"] = known["forehead_cut"].astype("boolean").where(known["selfie"])
        rows += [{"measure": name, "way": way, **_in_percent(values)} for name, values in measures.items()]
    return pd.DataFrame(rows)


def _in_percent(values: pd.Series) -> dict[str, float]:
    """Return mean, low, high and known, in percent: of yes and no with Wilson's interval."""
    if values.dtype != "boolean":
        return mean(100 * values)
    found = share(values)
    ends = {"mean": found["share"], "low": found["low"], "high": found["high"]}
    return {name: 100 * value for name, value in ends.items()} | {"known": found["known"]}


def _truth_of(truth: pd.DataFrame, images: Sequence[str]) -> pd.DataFrame:
    return truth.set_index("image", drop=False).loc[list(images)].reset_index(drop=True)


def mean_in_words(values: np.ndarray, unit: str = "points") -> str:
    """Write a mean with its interval: +3.1 points [1.0 to 5.2]."""
    found = mean(values)
    return f"{found['mean']:+.2f} {unit} [{found['low']:+.2f} to {found['high']:+.2f}]"


def second_opinion(
    features: np.ndarray, labels: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, float]:
    """Ask a judge who had no part in the choice what crops gain, in points (N,), and how good it is (AUC).

    It is a logistic regression on `features` (M, D) of posts that are not cropped, with labels 0 or 1 (M,);
    `before` and `after` are features (N, D) of photos and their crops. Its AUC is cross-validated.
    """
    parts = max(1, min(COMPONENTS, len(features) // 4, features.shape[1]))
    judge = make_pipeline(StandardScaler(), PCA(parts, random_state=0), LogisticRegression(C=0.1))
    if min(np.bincount(labels.astype(int), minlength=2)) < 10:
        raise SelfieError("A second opinion needs 10 good and 10 bad posts that are not cropped, at least.")
    said = cross_val_predict(judge, features, labels, cv=5, method="predict_proba")[:, 1]
    judge.fit(features, labels)
    gain = judge.predict_proba(after)[:, 1] - judge.predict_proba(before)[:, 1]
    return 100 * gain, float(roc_auc_score(labels, said))


def jurors(scores: pd.DataFrame, crops: pd.DataFrame) -> np.ndarray:
    """Find test posts with labels of which none is cropped, to teach a second judge: positions (M,)."""
    return np.flatnonzero(scores["label"].isin([0, 1]) & ~scores["image"].isin(crops["image"]))


def pixels_of(images: Images, crops: pd.DataFrame, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return photos and their crops as a network of `size` px sees them: uint8 (N, size, size, 3), both."""
    before, after = [], []
    for row in crops.to_dict("records"):
        photo = fit_for_crops(decode(images.read(row["image"]), at_least=4 * size), size)
        box = np.round([[row[edge] * photo.size[i % 2] for i, edge in enumerate(BOX)]]).astype(int)
        before.append(np.asarray(squish(photo, size)))
        after.append(cut(photo, box, size)[0])
    return np.stack(before), np.stack(after)


def opinions(
    judges: dict[str, Any], album: Album, crops: pd.DataFrame, scores: pd.DataFrame, count: int, seed: int = 0
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Ask second judges: gain (points) of each crop by judge, float64 columns (N,), and the AUC of each.

    `judges` are, by name, a scorer and its fc7 of all test posts, where that is known, else None. Each judges
    by its fc7, and learned from the likes of test posts that are not cropped: of all, or, where their fc7
    is to be had first, of `count`. Empty where the posts have no labels.
    """
    found, free = pd.DataFrame(index=crops.index), jurors(scores, crops)
    aucs: dict[str, float] = {}
    labels = scores["label"].to_numpy()
    if not album.are_posts or min(np.bincount(labels[free].astype(int), minlength=2)) < 10:
        return found, aucs
    some = np.sort(np.random.default_rng(seed).permutation(free)[:count])
    for name, (scorer, features) in judges.items():
        rows = some if features is None else free
        if features is None:
            rated, _ = scorer.rate_named(album.images, scores["image"].iloc[rows].tolist())
            known = np.isfinite(rated.score)
            taught, rows = rated.fc7[known], rows[known]
        else:
            taught = features[rows]
        before, after = (scorer.rate(pixels).fc7 for pixels in pixels_of(album.images, crops, scorer.size))
        found[name], aucs[name] = second_opinion(taught, labels[rows].astype(int), before, after)
    return found, aucs


def gains(crops: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Return what each crop gains, in points, by who says so: float64 columns, rows as in `crops`.

    Blur alone is what the whole photo gains with as few pixels as the crop.
    """
    own = 100 * crops["gain"].astype(float)
    blur = 100 * (crops["blurred_score"] - crops["score"]).astype(float)
    return pd.concat([pd.DataFrame({OWN: own, BLUR: blur, NET: own - blur}), others], axis=1)


def summarise_gains(found: pd.DataFrame) -> pd.DataFrame:
    """Return a row a judge, by name: mean, low, high (95% interval over photos), known."""
    return pd.DataFrame({name: mean(column) for name, column in found.items()}).T


def gains_in_words(found: pd.DataFrame, aucs: dict[str, float]) -> str:
    """Say in Markdown what best crops gain, and how good the other judges are."""
    lines = [
        f"To the network the best crop gains **{mean_in_words(found[OWN])}** per photo, of which blur alone "
        f"would bring {mean_in_words(found[BLUR])}."
    ]
    for name, auc in aucs.items():
        agrees = share(np.sign(found[name]) == np.sign(found[OWN]))
        lines.append(
            f"- *{name}* (AUC on posts: {auc:.2f}, chance is 0.50) sees **{mean_in_words(found[name])}**, "
            f"and has the same sign for {agrees['share']:.0%} of the crops."
        )
    return "\n".join([lines[0], "", *lines[1:]])


def planted_gain(
    album: Album, crops: pd.DataFrame, ways: dict[str, np.ndarray]
) -> dict[str, pd.DataFrame] | None:
    """Return the planted appeal of simulated photos and of their crops, by way to choose; None of real ones.

    Each table has whole, crop and gain (log-odds), rows as in `crops`; unknown where only others are left.
    """
    if album.truth is None:
        return None
    rows, found = _truth_of(album.truth, crops["image"]), {}
    for way, boxes in ways.items():
        crop = in_frame(rows, boxes)["appeal"]
        found[way] = pd.DataFrame({"whole": rows["appeal"], "crop": crop, "gain": crop - rows["appeal"]})
    return found


def planted_in_words(planted: dict[str, pd.DataFrame] | None, found: pd.DataFrame) -> str:
    """Say in Markdown whether crops gain planted appeal; nothing of real photos."""
    if planted is None:
        return ""
    best = planted["best crop"]["gain"]
    rises = share((best > 0).where(best.notna()).astype("boolean"))
    with_own = found[OWN].rank().corr(best.rank())
    others = ", ".join(
        f"{mean_in_words(table['gain'], 'log-odds')} for a crop {way}" if way != "any crop" else
        f"{mean_in_words(table['gain'], 'log-odds')} for any crop"
        for way, table in planted.items() if way != "best crop"
    )  # fmt: skip
    return (
        "These people are simulated, so what the audience would say is known: the size of the face, its "
        "place, a cut forehead, company and a border follow from the crop. The planted appeal changes by "
        f"**{mean_in_words(best, 'log-odds')}** for the best crop ({others}). It rises for "
        f"**{rises['share']:.0%}** [{rises['low']:.0%} to {rises['high']:.0%}] of the photos; the gains that "
        f"the network sees and the planted ones correlate by {with_own:.2f} (1 is perfect, 0 is chance)."
    )


def gain_metrics(found: pd.DataFrame, planted: dict[str, pd.DataFrame] | None) -> dict[str, float]:
    """Return mean gains with their intervals for metrics.json."""
    names = {OWN: "gain", NET: "gain_net_of_blur"}
    columns = {names.get(name, name): found[name] for name in found if name != BLUR}
    if planted is not None:
        columns["planted_gain"] = planted["best crop"]["gain"]
        columns["planted_gain_of_any_crop"] = planted["any crop"]["gain"]
    metrics: dict[str, float] = {}
    for name, values in columns.items():
        known, key = mean(values), name.replace(" ", "_")
        if known["known"]:
            metrics |= {key: known["mean"], f"{key}_low": known["low"], f"{key}_high": known["high"]}
    return metrics


def wants_in_words(wants: pd.DataFrame) -> str:
    """Say in Markdown how faces stand in best crops, compared with whole photos and with any crops."""
    table, lines = wants.set_index(["measure", "way"]), ["In the best crops, compared with any crops:", ""]
    for measure in wants["measure"].unique():
        best, blind, whole = (table.loc[(measure, way)] for way in ("best crop", "any crop", "whole photo"))
        if best["known"] and blind["known"]:
            apart = best["low"] > blind["high"] or best["high"] < blind["low"]
            lines.append(
                f"- {measure}: **{best['mean']:.0f}** [{best['low']:.0f} to {best['high']:.0f}], any crop "
                f"{blind['mean']:.0f}, whole photo {whole['mean']:.0f}"
                + (": a wish of the network's" if apart else ": no clear wish")
            )
    return "\n".join(lines)


def losses(
    ways: dict[str, np.ndarray], heads: Sequence[np.ndarray], groups: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Count how often crops lose the main face, and somebody else: as `losses_by_group`, both."""
    lost = {way: whom_it_loses(boxes, heads) for way, boxes in ways.items()}
    main, another = ({way: table[who] for way, table in lost.items()} for who in ("main", "another"))
    return losses_by_group(main, groups), losses_by_group(another, groups.iloc[:, :0])


def losses_in_words(main: pd.DataFrame, another: pd.DataFrame) -> str:
    """Say in Markdown whom crops lose, and whether groups differ clearly."""
    lines = []
    for way in main["way"].unique():
        row = main[(main["way"] == way) & (main["group"] == "all")].iloc[0]
        lines.append(f"- {way}: " + share_in_words(row, "lose the main face"))
        other = another[another["way"] == way].iloc[0]
        if other["known"]:
            lines[-1] += " Of photos with others, " + share_in_words(other, "lose one of them")
    best = main[(main["way"] == main["way"].iloc[0]) & (main["group"] != "all")]
    if len(best) > 1:
        apart = best["low"].max() > best["high"].min()
        close = "Groups do not differ clearly: with so few photos only large differences would show."
        lines += ["", "Groups differ clearly." if apart else close]
    return "\n".join(lines)

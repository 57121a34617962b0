"""Every notebook, run by papermill with smoke parameters and judged by what it leaves behind."""

import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

from selfie_utils.apps.cli import app
from selfie_utils.photos.images import open_images
from selfie_utils.posts.data_folder import DEMO, open_data

PROJECT = Path(__file__).parents[2]
NOTEBOOKS = sorted(p.stem for p in (PROJECT / "notebooks").glob("*.ipynb"))
FIGURES = {
    "00_data": ["face_filter.jpg", "funnel.png", "audience.png", "good_and_bad.jpg"],
    "01_train": [],
    "02_continuum": ["continuum.jpg", "fifths.png", "bands.png", "planted.png"],
    "03_top_100": ["top_100.jpg", "top_1000.jpg", "top_100_shares.png"],
    "04_worst_300": ["worst_300.jpg", "worst_300_shares.png"],
    "05_male_gallery": ["male_gallery.jpg", "male_shares.png"],
    "06_tsne": ["map_scatter.png", "map_grid.jpg"],
    "07_celebrities": ["celebrities.jpg", "celebrity_scores.png"],
    "08_label_choices": ["label_agreement.png", "label_right.png"],
    "09_experiments": ["learning_curve.png", "recipes.png"],
    "10_optimal_crop": ["best_crops.jpg", "crop_regret.png", "crop_landscape.png", "crop_wants.png"],
    "11_what_it_rewards": ["what_it_rewards.png", "doses.png", "best_edit.jpg"],
    "12_under_the_hood": [
        *("film.webp", "filters.jpg", "channels.jpg", "saliency.jpg", "following.png", "pointing.png"),
    ],
    "13_rate_yours": ["yours.png"],
}


def papermill(notebook: str, out: Path, **parameters: object) -> subprocess.CompletedProcess:
    """Run one notebook by papermill's own command."""
    given = [part for key, value in parameters.items() for part in ("-p", key, str(value))]
    command = [sys.executable, "-m", "papermill", f"notebooks/{notebook}.ipynb", str(out), *given]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_notebook_leaves_its_figures_and_metrics(smoke_run, notebook):
    for name in FIGURES[notebook]:
        assert min(Image.open(smoke_run.root / "figures" / name).size) > 40
    numbers = {k: v for k, v in smoke_run.read_metrics()[notebook].items() if isinstance(v, int | float)}
    assert numbers and all(np.isfinite(v) for v in numbers.values())


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_an_executed_notebook_shows_no_warning_and_every_picture_once(smoke_run, notebook):
    executed = json.loads((smoke_run.root / "notebooks" / f"{notebook}.ipynb").read_text())
    outputs = [o for cell in executed["cells"] for o in cell.get("outputs", [])]
    said = "".join("".join(o.get("text", "")) for o in outputs if o["output_type"] == "stream")
    assert not re.search(r"Warning|Error|Traceback", said)
    assert not [o for o in outputs if o.get("name") == "stderr"]  # which JupyterLab paints red
    pictures = [p for o in outputs for kind, p in o.get("data", {}).items() if kind.startswith("image/")]
    assert len(pictures) == len(set(map(str, pictures))) >= len(FIGURES[notebook])


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_a_report_page_is_small(smoke_run, notebook):
    assert 10_000 < (smoke_run.root / "reports" / f"{notebook}.html").stat().st_size < 6_000_000


def test_labels_are_half_good_and_users_stand_on_one_side(smoke_run):
    labels = smoke_run.read_table("labels")
    assert (labels.groupby("group")["label"].agg(["size", "sum"]) == [20, 10]).all().all()
    assert (labels.groupby("user_id")["split"].nunique() == 1).all()
    assert set(labels["split"]) == {"train", "validation", "test"}


def test_all_test_posts_are_scored_with_fc7(smoke_run):
    labels, scores = smoke_run.read_table("labels"), smoke_run.read_table("scores")
    assert sorted(scores["post_id"]) == sorted(labels.loc[labels["split"] == "test", "post_id"])
    assert scores["score"].between(0, 1).all() and scores["score"].nunique() > 10
    features = smoke_run.read_features()
    assert features.shape[0] == len(scores) and features.dtype == np.float32 and np.isfinite(features).all()


def test_every_photo_was_looked_at_or_skipped(smoke_run):
    posts, faces, skipped = (smoke_run.read_table(t) for t in ("posts", "faces", "skipped"))
    assert sorted([*faces["image"], *skipped["image"]]) == sorted(posts["image"])


def test_the_map_is_a_full_grid(smoke_run):
    placed = smoke_run.read_table("map").dropna(subset="row")
    rows, columns = int(placed["row"].max()) + 1, int(placed["column"].max()) + 1
    assert len(placed) == rows * columns == len(placed[["row", "column"]].drop_duplicates())


def test_the_page_of_the_map_is_linked_from_the_notebook_and_missed_when_it_is_gone(smoke_run):
    reports = smoke_run.root / "reports"
    assert min(Image.open(reports / "map_high_resolution.jpg").size) > 1000
    links = re.findall(r'href="([^"]*map[^"]*)"', (reports / "06_tsne.html").read_text())
    assert links[:2] == ["../reports/map.html", "../reports/map_high_resolution.jpg"]
    noted = json.loads((smoke_run.root / "state.json").read_text())["notebooks"]["06_tsne"]["outputs"]
    assert "reports/map.html" in noted  # whose loss makes a notebook due


@pytest.fixture(scope="module")
def thumbnails(smoke_run) -> dict[str, np.ndarray]:
    """Every scored photo as 4 x 4 px, by post."""
    archive = open_images(smoke_run.read_json("data")["images"])
    names = smoke_run.read_table("scores").set_index("post_id")["image"]
    return {post: thumbnail(Image.open(io.BytesIO(archive.read(name)))) for post, name in names.items()}


def thumbnail(photo: Image.Image) -> np.ndarray:
    # 4 divides the sides of all tiles: so these are plain means, whatever made the tile small.
    return np.asarray(photo.convert("RGB").resize((4, 4), Image.Resampling.BOX), float)


def posts_on(sheet: Path, size: int, thumbnails: dict[str, np.ndarray]) -> np.ndarray:
    """Tell which posts a contact sheet shows in tiles of `size` px: post ids, (rows, columns)."""
    picture = Image.open(sheet)
    corners = [range(0, side, size + 1) for side in picture.size]
    assert (corners[0][-1] + size, corners[1][-1] + size) == picture.size
    known = np.stack(list(thumbnails.values()))
    tiles = [[picture.crop((x, y, x + size, y + size)) for x in corners[0]] for y in corners[1]]
    gaps = np.array([[abs(known - thumbnail(tile)).mean(axis=(1, 2, 3)) for tile in row] for row in tiles])
    assert gaps.min(axis=2).max() < 8  # of 255: each tile is one of the photos; others are 13 away and more
    return np.array(list(thumbnails))[gaps.argmin(axis=2)]


def test_sheets_show_the_best_and_the_worst_in_order_of_their_scores(smoke_run, thumbnails):
    scores = smoke_run.read_table("scores").set_index("post_id")["score"]
    ranked = sorted(scores, reverse=True)
    best = posts_on(smoke_run.root / "figures" / "top_100.jpg", 128, thumbnails).ravel()
    assert scores[best].tolist() == ranked[: len(best)] and 15 < len(best) <= len(scores) / 4 + 1
    worst = posts_on(smoke_run.root / "figures" / "worst_300.jpg", 48, thumbnails).ravel()
    assert scores[worst].tolist() == ranked[: -len(worst) - 1 : -1] and len(worst) > 10
    posts = smoke_run.read_table("posts").set_index("post_id")
    males = posts_on(smoke_run.root / "figures" / "male_gallery.jpg", 128, thumbnails).ravel()
    assert (posts.loc[males, "presented_gender"] == "male").all()
    assert scores[males].tolist() == sorted(scores[males], reverse=True)


def test_the_map_shows_each_photo_in_its_cell(smoke_run, thumbnails):
    shown = posts_on(smoke_run.root / "figures" / "map_grid.jpg", 20, thumbnails)
    placed = smoke_run.read_table("map").dropna(subset="row")
    wanted = placed.pivot(index="row", columns="column", values="post_id")
    assert shown.tolist() == wanted.to_numpy().tolist()


def test_a_notebook_runs_alone_and_draws_its_picture(smoke_run, thumbnails, tmp_path):
    run = shutil.copytree(smoke_run.root, tmp_path / "run")
    picture = run / "figures" / "continuum.jpg"
    picture.unlink()
    done = papermill("02_continuum", tmp_path / "out.ipynb", run_dir=run, rows=5, columns=6, tile_size=64)
    assert done.returncode == 0, done.stderr
    scores = smoke_run.read_table("scores").set_index("post_id")["score"]
    shown = posts_on(picture, 64, thumbnails)
    assert shown.shape == (5, 6)
    falling = scores[shown.ravel()].tolist()
    assert falling == sorted(falling, reverse=True)
    assert (falling[0], falling[-1]) == (scores.max(), scores.min())


def test_a_missing_run_folder_names_the_notebook_to_run_first(tmp_path):
    done = papermill("03_top_100", tmp_path / "out.ipynb", run_dir=tmp_path / "nowhere")
    assert done.returncode != 0 and "run notebooks/00_data.ipynb" in done.stderr
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"rowz": 3}, "the notebook has no parameter 'rowz': did you mean 'rows'?"),
        ({"rows": "many"}, "rows: got 'many', expected a whole number, 1 or more, such as 10."),
    ],
)
def test_papermill_itself_cannot_give_what_a_notebook_does_not_know(tmp_path, given, sentence):
    done = papermill("03_top_100", tmp_path / "out.ipynb", run_dir=tmp_path / "none", **given)
    assert done.returncode == 1 and sentence in done.stderr


def test_a_network_of_another_recipe_is_not_replaced_unasked(smoke_run, tmp_path):
    done = papermill("01_train", tmp_path / "out.ipynb", run_dir=smoke_run.root)  # smoke's recipe is another
    assert done.returncode == 1 and "epochs 1, not 5" in done.stderr and "or replace=True" in done.stderr
    (said,) = [o for cell in json.loads((tmp_path / "out.ipynb").read_text())["cells"]
               for o in cell.get("outputs", []) if o["output_type"] == "error"]  # fmt: skip
    assert len(said["traceback"]) == 1 and said["traceback"][0].startswith("Error: ")


def test_an_empty_celebrity_folder_is_refused(smoke_run, tmp_path):
    (tmp_path / "nobody").mkdir()
    done = papermill(
        "07_celebrities", tmp_path / "out.ipynb", run_dir=smoke_run.root, folder=tmp_path / "nobody"
    )
    assert done.returncode != 0 and "holds no photo" in done.stderr


def test_what_it_rewards_keeps_every_edit_of_its_photos(smoke_run):
    kept = smoke_run.read_table("interventions")
    edits = kept[kept["kind"] == "edit"]
    assert set(edits["post_id"]) <= set(smoke_run.read_table("scores")["post_id"])
    assert edits["post_id"].nunique() == smoke_run.read_metrics()["11_what_it_rewards"]["photos_edited"] == 24
    assert (kept["kind"] == "twin").sum() == 540
    plain = edits[edits["edit"] == "white border"].groupby("post_id")["before"].nunique()
    assert (plain == 1).all() and np.isfinite(kept[["before", "after"]]).all().all()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"ask": "hatt"}, "did you mean 'hat'"),
        ({"photo": "x"}, "photo = 'x'"),
    ],
)
def test_what_it_rewards_answers_bad_input_in_a_sentence(smoke_run, tmp_path, given, sentence):
    run = shutil.copytree(smoke_run.root, tmp_path / "run")
    done = papermill("11_what_it_rewards", tmp_path / "out.ipynb", run_dir=run, **{"photos": 4} | given)
    assert done.returncode != 0 and sentence in done.stderr


@pytest.fixture(scope="module")
def own_posts(tmp_path_factory) -> Path:
    """A user's own posts: a CSV table without annotations or truth, and a folder of photos."""
    folder = tmp_path_factory.mktemp("own")
    posts = pd.read_parquet(open_data(DEMO).posts).head(300).drop(columns="presented_gender")
    posts.to_csv(folder / "posts.csv", index=False)
    with zipfile.ZipFile(open_data(DEMO).images) as archive:
        archive.extractall(folder / "images", posts["image"])
    return folder


def only(*wanted: str) -> list[str]:
    """Return the arguments that run some notebooks; without any, none: all run."""
    return [part for name in wanted for part in ("--only", name)]


ALL = pytest.param((), marks=pytest.mark.suites)


# What looks at annotations or at the truth, which these posts have not.
@pytest.mark.parametrize("wanted", [("00", "01", "02", "05", "08"), ALL])
def test_own_posts_run_through_the_suite(selfie, own_posts, tmp_path, wanted):
    run = tmp_path / "run"
    smoke = "notebooks/parameters/smoke.yaml"
    done = selfie("reproduce", smoke, "--run", run, "--data", own_posts, *only(*wanted))
    assert done.returncode == 0, done.stdout + done.stderr
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics) == {name for name in NOTEBOOKS if name[:2] in wanted or not wanted}
    assert not (run / "truth.parquet").exists() and "labels_right" not in metrics["00_data"]
    told = {"oracle_auc": "01_train", "rank_correlation_with_truth": "02_continuum"}
    assert not [name for name, notebook in told.items() if name in metrics[notebook]]
    assert metrics["05_male_gallery"] == {}  # unknown is not none
    assert not [name for name in metrics["08_label_choices"] if name.startswith("right_")]


def test_photos_without_labels_are_ranked_and_mapped_by_a_network_from_elsewhere(unlabelled_run, smoke_run):
    run = unlabelled_run.root
    scores = unlabelled_run.read_table("scores")
    assert len(scores) > 30 and scores["score"].between(0, 1).all() and scores["label"].isna().all()
    network = "network/model.safetensors"
    mine, theirs = (load_file(one.root / network) for one in (unlabelled_run, smoke_run))
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    metrics = unlabelled_run.read_metrics()
    assert set(metrics) == set(NOTEBOOKS) and metrics["09_experiments"]["trainings"] == 0
    assert "test_auc" not in metrics["01_train"] and metrics["07_celebrities"] == {}
    assert 0 <= metrics["01_train"]["outside"] <= 1
    told = "taught in another run (smoke), on simulated people: "
    assert all(told in page.read_text() for page in (run / "reports").glob("*.html"))
    assert not any(told in page.read_text() for page in (smoke_run.root / "reports").glob("*.html"))
    drawn = ("continuum", "top_100", "worst_300", "map_grid", "best_crops", "best_edit")
    assert all((run / "figures" / f"{name}.jpg").exists() for name in drawn)


# Of what is not there: words that the page of the notebook says where it is.
ABSENT = {
    "00_data": [
        "Followers and likes run",
        "Exactly as in the article",
        "Likes grow with",
        "Good selfies on",
        "take the truth instead",
    ],
    "01_train": [
        "learns its training photos by heart",
        "A coin is right",
        "ROC",
        "calibrated",
        "For whom",
        "made these easier",
    ],
    "02_continuum": ["If the scores were noise", "Compared with the planted truth", "first chart"],
    "03_top_100": ["good posts more often than", "planted"],
    "04_worst_300": ["Are they really labelled bad", "planted"],
    "05_male_gallery": ["How rare are they", "diamond", "cut-off foreheads"],
    "06_tsne": ["worth something"],
    "07_celebrities": ["best is top left", "By name", "invented names", "uncontroversially"],
    "08_label_choices": ["kappa", "Larger groups", "The number in brackets counts"],
    "09_experiments": ["Points that still climb", "Do the seeds agree"],
    "11_what_it_rewards": ["Compared with the planted truth"],
    "12_under_the_hood": ["Does it point at what was planted"],
    "index": ["of the best part are good", "told right"],
}


@pytest.mark.parametrize("name", ABSENT)
def test_a_page_says_nothing_of_what_is_not_there(unlabelled_run, smoke_run, name):
    pages = [run.root / "reports" / f"{name}.html" for run in (unlabelled_run, smoke_run)]
    told, known = (BeautifulSoup(page.read_text(), "html.parser").main for page in pages)
    for code in [*told.select(".code"), *known.select(".code")]:
        code.decompose()
    told, known = (" ".join(" ".join(page.stripped_strings).split()) for page in (told, known))
    assert [words for words in ABSENT[name] if words in told] == []
    assert [words for words in ABSENT[name] if words not in known] == []
    assert "nan" not in told.split() and "nan%" not in told.split()


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda t: t.drop(columns="likes"), "has no column likes"),
        (lambda t: t.head(0), "has no rows"),
        (lambda t: t.assign(post_id="same"), "found once only"),
        (lambda t: t.assign(followers=-1), "whole number, zero or more"),
        (lambda t: t.assign(posted_at="yesterday"), "a date such as"),
        (lambda t: t.assign(image="../../etc/passwd"), "inside the image folder"),
    ],
)
def test_bad_posts_end_in_one_sentence_and_write_nothing(own_posts, tmp_path, spoil, sentence):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "images").symlink_to(own_posts / "images")
    spoil(pd.read_csv(own_posts / "posts.csv")).to_csv(tmp_path / "bad" / "posts.csv", index=False)
    done = CliRunner().invoke(
        app, ["reproduce", "--run", str(tmp_path / "run"), "--data", str(tmp_path / "bad")]
    )
    assert done.exit_code == 1 and done.stderr.startswith("Error: ") and sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stdout == "" and isinstance(done.exception, SystemExit)
    assert not (tmp_path / "run").exists()

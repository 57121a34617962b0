"""Who is shown and how large: best and worst, those of an annotation, and nobody real as a bad example."""

import ast
import base64
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.ndimage import find_objects, label

from selfie_utils.analysis import ranking
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.show.display import explore

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
POSTS = 23


def some_scores(n=17):
    """Photo i has the i-th lowest score; rows, index and ids stand in other orders."""
    order = np.random.default_rng(0).permutation(n)
    return pd.DataFrame(
        {
            "post_id": [f"p{7 * i % n:02d}" for i in order],
            "image": [f"{i}.png" for i in order],
            "score": order / n,
        },
        index=3 * np.random.default_rng(1).permutation(n) + 5,
    )


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), available=st.integers(1, 2000))
def test_a_sheet_never_asks_for_more_posts_than_there_are(rows, columns, available):
    fitted = ranking.fit(rows, columns, available)
    assert 1 <= fitted[0] <= rows and 1 <= fitted[1] <= columns
    assert fitted[0] * fitted[1] <= available
    if rows * columns <= available:
        assert fitted == (rows, columns)


@pytest.mark.parametrize(
    ("asked", "available", "fitted"),
    [
        ((30, 10), 300, (30, 10)), ((30, 10), 299, (30, 9)),
        ((10, 10), 25, (5, 5)), ((20, 12), 60, (10, 6)),  # half as wide and high for a quarter of the posts
        ((20, 12), 103, (13, 7)),  # 13.1 rows of 7.9 columns
        ((30, 10), 75, (15, 5)), ((5, 7), 10, (3, 3)), ((1, 10), 3, (1, 3)), ((10, 1), 3, (3, 1)),
        ((23, 23), 169, (13, 13)),  # 23 times the root of 169 / 529 is a hair below 13 in floats
        ((2, 10), 1, (1, 1)),
    ],
)  # fmt: skip
def test_a_sheet_keeps_its_shape_when_it_shrinks(asked, available, fitted):
    assert ranking.fit(*asked, available) == fitted


def test_a_sheet_without_any_post_is_refused():
    with pytest.raises(SelfieError, match="no post to show"):
        ranking.fit(3, 3, 0)


def test_the_best_come_first_and_the_worst_from_the_other_end():
    scores = some_scores()
    assert ranking.best_first(scores)["image"].tolist() == [f"{i}.png" for i in reversed(range(17))]
    assert ranking.best_first(scores).index.tolist() == list(range(17))
    assert ranking.extreme(scores, 3)["image"].tolist() == ["16.png", "15.png", "14.png"]
    assert ranking.extreme(scores, 3, "best")["image"].tolist() == ["16.png", "15.png", "14.png"]
    assert ranking.extreme(scores, 2, "worst")["image"].tolist() == ["0.png", "1.png"]


def test_equal_scores_are_ordered_by_post_id_in_the_order_of_text():
    scores = pd.DataFrame(
        {"post_id": ["9", "b", "10", "a"], "image": list("wxyz"), "score": [0.5, 0.5, 0.5, 0.9]}
    )
    for mixed in (scores, scores.iloc[::-1], scores.sample(frac=1, random_state=1)):
        assert ranking.best_first(mixed)["post_id"].tolist() == ["a", "10", "9", "b"]
        assert ranking.extreme(mixed, 2, "worst")["post_id"].tolist() == ["b", "9"]


@pytest.mark.parametrize(("posts", "quarter"), [(16, 4), (17, 5), (4, 1), (1, 1)])
def test_the_top_is_never_more_than_a_quarter_of_the_posts_rounded_up(posts, quarter):
    scores = some_scores(posts)
    best = [f"{i}.png" for i in reversed(range(posts))]
    assert ranking.top_share(scores, 100)["image"].tolist() == best[:quarter]
    assert ranking.top_share(scores, quarter)["image"].tolist() == best[:quarter]
    assert ranking.top_share(scores, quarter - 1)["image"].tolist() == best[: quarter - 1]


def test_males_are_chosen_by_annotation():
    scores = some_scores(5)
    men = {"p00", "p02", "p04"}
    posts = pd.DataFrame(
        {
            "post_id": ["p03", "other", "p04", "p02", "p00"],  # none for p01, and one that has no score
            "presented_gender": [None, "male", "male", "male", "male"],
        }
    )
    wanted = ranking.is_wanted(posts, scores, "presented_gender", "male")
    assert wanted.dtype == "boolean" and wanted.fillna(False).tolist() == [
        post in men for post in scores["post_id"]
    ]
    assert set(scores["post_id"][wanted.isna()]) == {"p01", "p03"}  # of whom nothing is said
    ages = scores[["post_id"]].assign(age=[30, 31, 30, 31, 31]).iloc[::-1]
    assert ranking.is_wanted(ages, scores, "age", "31").tolist() == [False, True, False, True, True]
    nobody = ranking.is_wanted(posts, scores, "no_such_column", "male")
    assert nobody.dtype == "boolean" and nobody.isna().all()  # unknown, which is not no


def test_posts_picked_by_hand_come_before_the_annotation(tmp_path):
    scores = some_scores(5)
    posts = scores[["post_id"]].assign(presented_gender="male")
    (tmp_path / "picked.txt").write_text("p02\nunknown\r\n  p04 \n\n")
    by_hand = ranking.is_wanted(posts, scores, "presented_gender", "male", str(tmp_path / "picked.txt"))
    assert by_hand.tolist() == [post in ("p02", "p04") for post in scores["post_id"]]
    with pytest.raises(SelfieError, match=r"no file .*missing\.txt"):
        ranking.is_wanted(posts, scores, "", "", str(tmp_path / "missing.txt"))
    with pytest.raises(SelfieError, match="no file"):
        ranking.is_wanted(posts, scores, "", "", str(tmp_path))  # a folder is no list
    (tmp_path / "others.txt").write_text("p2\n")
    with pytest.raises(SelfieError, match=r"others\.txt names no scored post"):
        ranking.is_wanted(posts, scores, "", "", str(tmp_path / "others.txt"))


@pytest.mark.parametrize(
    ("ids", "ages"),
    [
        (["c", "x", "a", "b"], [31, 31, 18, 31]),  # nothing is known of d, which has a score
        (["d", "c", "a", "b"], [None, 31, 18, 31]),
        (["d", "c", "a", "b"], ["18", "31", None, "31"]),
        (["d", "c", "a", "b"], pd.array([None, 31, 18, 31], dtype="Int64")),
    ],
)
def test_posts_are_chosen_by_a_whole_number_although_some_are_unknown(ids, ages):
    """Where one is unknown, the others are kept as floats: 31 must not have become 31.0."""
    posts = pd.DataFrame({"post_id": ids, "age": ages})
    scores = pd.DataFrame({"post_id": list("dbca")}, index=[8, 3, 5, 1])
    wanted = ranking.is_wanted(posts, scores, "age", "31")
    assert wanted.index.tolist() == [8, 3, 5, 1]
    assert wanted.fillna(False).tolist() == [False, True, True, False]
    for unknown in ("32", "nan", "<NA>", "None", ""):
        assert ranking.is_wanted(posts, scores, "age", unknown).isna().all()


def test_posts_are_chosen_by_a_flag_or_a_fraction():
    posts = pd.DataFrame({"post_id": list("abc"), "famous": [True, False, True], "worth": [1.5, 2.0, 1.5]})
    scores = pd.DataFrame({"post_id": list("dcba")})
    assert ranking.is_wanted(posts, scores, "famous", "True").tolist()[1:] == [True, False, True]
    assert ranking.is_wanted(posts, scores, "worth", "1.5").tolist()[1:] == [True, False, True]
    assert ranking.is_wanted(posts, scores, "worth", "1.5").isna().tolist() == [True, False, False, False]


@pytest.mark.parametrize("said", [["Male", " MALE ", "female"], ["m", "M", "f"], ["man", "Man", "Woman"]])
def test_words_for_males_are_compared_without_regard_to_case_and_blanks(said):
    posts = pd.DataFrame({"post_id": list("abc"), "presented_gender": said})
    wanted = ranking.is_wanted(posts, posts[["post_id"]], "presented_gender", "male")
    assert wanted.tolist() == [True, True, False]


def test_where_no_value_is_the_one_asked_for_nothing_is_known_and_the_values_are_told():
    posts = pd.DataFrame({"post_id": list("abc"), "presented_gender": [0, 1, 1]})
    scores = posts[["post_id"]]
    assert ranking.is_wanted(posts, scores, "presented_gender", "male").isna().all()
    told = ranking.why_unknown(posts, scores, "presented_gender", "male")
    assert told == "Unknown: presented_gender holds 1 (2) and 0 (1), and none of them is male."
    told = ranking.why_unknown(posts, scores, "sex", "male")
    assert told == "Unknown: the posts have no annotation sex, which would say who is male."


@given(posts=st.integers(1, 300), rows=st.integers(1, 30), columns=st.integers(1, 30))
def test_a_sheet_of_the_best_takes_a_quarter_of_the_posts_at_most(posts, rows, columns):
    fitted = ranking.fit_top(some_scores(posts), rows, columns)
    assert 1 <= fitted[0] <= rows and 1 <= fitted[1] <= columns
    assert fitted[0] * fitted[1] <= -(-posts // 4)
    if rows * columns <= posts / 4:
        assert fitted == (rows, columns)


@pytest.mark.parametrize(
    ("posts", "fitted"), [(1200, (10, 10)), (400, (10, 10)), (397, (10, 10)), (396, (10, 9)), (100, (5, 5))]
)
def test_a_sheet_of_the_best_100_shrinks_where_there_are_fewer_than_400_posts(posts, fitted):
    assert ranking.fit_top(some_scores(posts), 10, 10) == fitted


@pytest.fixture
def real_posts(tmp_path):
    """A run of real posts, scored; the photos of the worst three are white, the others dark."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(POSTS):
        grey = 255 if i < 3 else 5 * i
        Image.new("RGB", (300, 200), (grey,) * 3).save(tmp_path / "photos" / f"{i}.png")
    ids = rng.permutation(POSTS)
    scores = pd.DataFrame(
        {
            "post_id": [f"p{i}" for i in ids],
            "image": [f"{i}.png" for i in ids],
            "score": ids / POSTS,
            "label": ids % 2,
        }
    )
    run = create_run(tmp_path / "run")
    run.write_table("scores", scores)
    run.write_table("posts", scores[["post_id"]].assign(famous=ids < 9))
    run.write_table("attributes", scores[["image"]].assign(low_light=ids < 7))
    run.write_table("labels", scores[["post_id", "label"]])
    run.write_json("data", {"images": str(tmp_path / "photos")})
    np.save(run.root / "features.npy", rng.normal(size=(POSTS, 8)).astype(np.float32))
    return run


def simulate(run):
    """Make simulated posts of the posts of a run: now there is a truth."""
    run.write_table("truth", run.read_table("scores")[["post_id"]].assign(low_light=True))


def test_a_gallery_holds_what_is_drawn_and_what_is_known_of_it(real_posts):
    gallery = ranking.open_gallery(real_posts.root)
    assert gallery.run.root == real_posts.root
    assert gallery.scores.equals(real_posts.read_table("scores"))
    photo = Image.open(io.BytesIO(gallery.photos.read("9.png")))
    assert photo.size == (300, 200) and photo.getpixel((0, 0)) == (45, 45, 45)
    number = gallery.scores["image"].str.removesuffix(".png").astype(int)
    assert gallery.known["low light"].tolist() == (number < 7).tolist()
    assert gallery.known["famous"].tolist() == (number < 9).tolist()
    simulate(real_posts)
    assert ranking.open_gallery(real_posts.root).known["low light"].all()


def test_a_gallery_says_what_has_to_run_first(real_posts, tmp_path):
    with pytest.raises(SelfieError, match=r"no run folder .*run notebooks/00_data"):
        ranking.open_gallery(tmp_path / "nowhere")
    (real_posts.root / "scores.parquet").unlink()
    with pytest.raises(SelfieError, match=r"scores\.parquet is missing: run notebooks/01_train"):
        ranking.open_gallery(real_posts.root)


def test_the_worst_tenth_of_real_posts_is_kept_small_and_nobody_who_is_simulated(real_posts):
    assert ranking.open_gallery(real_posts.root).small == {"0.png", "1.png", "2.png"}
    simulate(real_posts)
    assert ranking.open_gallery(real_posts.root).small == frozenset()


@given(st.integers(1, 99), st.integers(0, 9))
def test_of_any_number_of_real_posts_a_tenth_is_kept_small_rounded_up(posts, seed):
    order = np.random.default_rng(seed).permutation(posts)
    scores = pd.DataFrame(
        {"post_id": order.astype(str), "image": [f"{i}.png" for i in order], "score": order}
    )
    count = (posts + 9) // 10 if posts > 1 else 0  # one photo is no ranking
    assert ranking.worst_of_real(scores, None) == {f"{i}.png" for i in range(count)}


def until_explored(name, **parameters):
    """Run a notebook's code in this process up to the sheet that can be explored; returns its sliders."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    names, explored = {}, []
    for cell in [cell for cell in cells if cell["cell_type"] == "code"]:
        exec("".join(cell["source"]), names)
        if explored:
            return explored[0]
        if names.get("explore") is explore:
            names["explore"] = lambda *given, **knobs: explored.append(explore(*given, **knobs))
        if "parameters" in cell["metadata"].get("tags", []):
            assert parameters.keys() <= names.keys()
            names |= parameters
    raise AssertionError(f"{name} has nothing to explore")


def sides_of_white(picture):
    """Return the height and width of each white patch of a sheet, in px: photos of the worst three."""
    patches, _ = label(np.asarray(Image.open(picture).convert("L")) > 200)
    return [[side.stop - side.start for side in place] for place in find_objects(patches)]


LARGE = {
    "02_continuum": ("continuum", {"rows": 23, "columns": 1, "tile_size": 128}, 160),
    "03_top_100": ("top_100", {"columns": 2, "tile_size": 128}, 160),
    "06_tsne": ("map_grid", {"rows": 4, "tile_size": 200}, 200),
}


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("name", LARGE)
def test_no_page_and_no_slider_shows_the_worst_real_people_larger(real_posts, monkeypatch, name, simulated):
    if simulated:
        simulate(real_posts)
    figure, asked, largest = LARGE[name]
    monkeypatch.setenv("JPY_SESSION_NAME", "live")  # as JupyterLab does, so that sliders are shown as well
    row, frame = until_explored(name, run_dir=str(real_posts.root), **asked).widget.children
    knobs = {knob.description: knob for knob in row.children}
    pictures = [real_posts.root / "figures" / f"{figure}.jpg"]
    for knob in ("size", "rows"):  # as large and as many as the sliders allow
        knobs[knob].value = knobs[knob].max
        pictures.append(io.BytesIO(frame.value))
        pictures += [io.BytesIO(base64.b64decode(uri.partition(",")[2])) for uri in frame.table["sprites"]]
    assert len(pictures) > 3  # thumbnails of opened photos are among them
    found = [side for picture in pictures for sides in sides_of_white(picture) for side in sides]
    assert found and max(found) == pytest.approx(
        max(largest, 192) if simulated else 48, abs=2
    )  # JPEG blurs edges


def test_every_sheet_of_a_gallery_is_told_who_is_kept_small():
    """A call that forgets `small` would enlarge anybody, and no other test need notice."""
    drawn = 0
    for path in NOTEBOOKS.glob("*.ipynb"):
        cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
        code = "\n".join("".join(cell["source"]) for cell in cells)
        if "open_gallery" not in code:
            continue
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.Call) and "sheets.draw_" in ast.unparse(node).split(",")[0]:
                told = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert told.get("small") == "small", f"{path.stem}: {ast.unparse(node)}"
                drawn += 1
    assert drawn >= 6


def test_no_parameter_and_no_slider_of_the_worst_300_shows_people_larger(real_posts, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "live")
    asked = {"rows": 9, "columns": 2, "tile_size": 500}
    explored = until_explored("04_worst_300", run_dir=str(real_posts.root), **asked)
    with Image.open(real_posts.root / "figures" / "worst_300.jpg") as sheet:
        assert sheet.size == (48, 5 * 49 - 1)  # of 23 posts a quarter: 9 x 2 has shrunk to 5 x 1
    row, frame = explored.widget.children
    sliders = {knob.description: knob for knob in row.children}
    sprites = [io.BytesIO(base64.b64decode(uri.partition(",")[2])) for uri in frame.table["sprites"]]
    assert all(photo["small"] for photo in frame.table["photos"][:5])
    assert [max(map(max, sides_of_white(sprite)), default=0) <= 50 for sprite in sprites] == [True]
    assert sliders["size"].value == sliders["size"].max == 48


def test_posts_are_chosen_evenly_from_the_first_to_the_last():
    ranked = pd.DataFrame({"post_id": list("abcdefg")})
    assert ranking.evenly(ranked, 3)["post_id"].tolist() == ["a", "d", "g"]
    assert ranking.evenly(ranked, 1)["post_id"].tolist() == ["a"]
    assert ranking.evenly(ranked, 99)["post_id"].tolist() == list("abcdefg")
    with pytest.raises(SelfieError, match="0 photos"):
        ranking.evenly(ranked, 0)


@pytest.mark.parametrize("place", [-1, 7])
def test_a_place_where_nobody_stands_is_told_in_a_sentence(place):
    ranked = pd.DataFrame({"post_id": list("abcdefg")})
    assert [ranking.at_place(ranked, i)["post_id"] for i in (0, 6)] == ["a", "g"]
    with pytest.raises(SelfieError, match=f"photo is {place}, expected a place from 0, the best, to 6"):
        ranking.at_place(ranked, place)
    with pytest.raises(SelfieError, match="no photo to show"):
        ranking.at_place(ranked.head(0), 0)


def test_only_photos_outside_the_worst_tenth_of_real_people_may_be_large():
    scores = pd.DataFrame({"post_id": list("abcdefghijk"), "score": np.arange(11) / 10})
    scores["image"] = scores["post_id"] + ".jpg"
    shown = ranking.may_be_large(scores, ranking.worst_of_real(scores, truth=None))
    assert shown["post_id"].tolist() == list("kjihgfedc")  # of 11 the worst 2 stay small
    truth = pd.DataFrame({"image": scores["image"]})
    assert len(ranking.may_be_large(scores, ranking.worst_of_real(scores, truth))) == 11

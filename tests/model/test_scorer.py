"""A scorer rates whatever it is shown as the posts' pass does: arrays, pictures and files, one or many."""

import math
import os
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from skimage import data
from toy_posts import pixels_of, toy

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.parallel import in_processes
from selfie_utils.model import scorer as scorers
from selfie_utils.model.network import build_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer, rate_folder, rate_photos
from selfie_utils.photos.images import ImageFolder

SMALL = Recipe(image_size=32)


@pytest.fixture
def pixels(posts):
    """All 29 photos as arrays, uint8 (29, 32, 32, 3)."""
    return pixels_of(posts, posts[1]["image"]).permute(0, 2, 3, 1).numpy()


@torch.inference_mode()
def by_hand(network, pixels):
    """Scores, log-odds and fc7 of photos (N, S, S, 3), one by one and in float64 from the logits on."""
    found = [network(torch.from_numpy(one[None].copy()).permute(0, 3, 1, 2)) for one in pixels]
    odds = np.array([logits[0, 1].double() - logits[0, 0].double() for logits, _ in found])
    return 1 / (1 + np.exp(-odds)), odds, torch.cat([fc7 for _, fc7 in found]).numpy()


def agree(rated, wanted, atol=1e-5):
    return all(
        np.allclose(ours, theirs, rtol=0, atol=atol) for ours, theirs in zip(rated, wanted, strict=True)
    )


# --- what may be shown --------------------------------------------------------------------------------------


def test_the_same_photos_are_rated_the_same_in_whatever_form_they_come(posts, pixels):
    scorer, names = Scorer(toy(dropout=0.5).train(), "cpu"), posts[1]["image"].tolist()
    wanted = by_hand(scorer.network, pixels)
    assert not scorer.network.training and np.ptp(wanted[0]) > 0.01  # else a wrong order could pass
    files = [posts[0].root / name for name in names]
    opened = [Image.open(file) for file in files]
    forms = [
        pixels,
        pixels[:, ::-1][:, ::-1],
        list(pixels),
        tuple(pixels),
        opened,
        files,
        list(map(str, files)),
    ]
    forms.append([(pixels[i], opened[i], files[i], str(files[i]))[i % 4] for i in range(29)])
    for form in forms:
        assert agree(scorer.rate(form), wanted)
    for one in (pixels[3], opened[3], files[3], str(files[3]), pixels[3:4], [files[3]]):
        assert agree(scorer.rate(one), [part[3:4] for part in wanted])
    named, reasons = scorer.rate_named(posts[0], names)
    assert agree(named, wanted) and reasons == [""] * 29
    for rated in (named, scorer.rate(pixels)):
        assert [part.dtype for part in rated] == [np.float64, np.float64, np.float32]
        assert [part.shape for part in rated] == [(29,), (29,), (29, 16)]


def test_a_file_is_found_from_the_home_folder(posts, pixels, monkeypatch):
    monkeypatch.setenv("HOME", str(posts[0].root))
    scorer = Scorer(toy(), "cpu")
    name = posts[1]["image"].iloc[4]
    assert agree(scorer.rate(f"~/{name}"), by_hand(scorer.network, pixels[4:5]))


def test_photos_of_other_sizes_are_squished(pixels, tmp_path):
    rng, scorer = np.random.default_rng(0), Scorer(toy(), "cpu")
    large = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
    small = rng.integers(0, 256, (9, 32, 3), dtype=np.uint8)
    photos = [Image.fromarray(large), Image.fromarray(small)]
    wanted = np.stack([np.asarray(p.resize((32, 32), Image.Resampling.BILINEAR)) for p in photos])
    photos[0].save(tmp_path / "large.png")
    for form in (photos, [large, small], [tmp_path / "large.png", small]):
        assert agree(scorer.rate(form), by_hand(scorer.network, wanted))


def test_pictures_of_any_mode_are_seen_as_a_file_of_them_would_be(pixels, tmp_path):
    scorer, photo = Scorer(toy(), "cpu"), Image.fromarray(pixels[0])
    grey = photo.convert("L")
    half = np.dstack([pixels[0], np.full((32, 32), 255, np.uint8)])
    half[:16, :, 3] = 0
    on_white = pixels[0].copy()
    on_white[:16] = 255
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    turned = Image.fromarray(np.rot90(pixels[0]).copy())  # held sideways: to be turned by a quarter clockwise
    exif = turned.getexif()
    exif[274] = 6
    turned.save(tmp_path / "turned.png", exif=exif)
    grey_rgb = np.repeat(np.asarray(grey)[..., None], 3, 2)
    for picture, seen in [
        (photo.convert("RGBA"), pixels[0]),
        (Image.fromarray(half, "RGBA"), on_white),
        (grey, grey_rgb),
        (deep, grey_rgb),
        (photo.quantize(8), np.asarray(photo.quantize(8).convert("RGB"))),
        (Image.open(tmp_path / "turned.png"), pixels[0]),
    ]:
        assert agree(scorer.rate(picture), by_hand(scorer.network, seen[None])), picture


@pytest.mark.parametrize("count", [0, 1, 31, 37, 67])  # none is a number of whole batches
def test_rows_stand_in_the_order_of_the_photos(pixels, count):
    scorer = Scorer(toy(), "cpu")
    photos = np.random.default_rng(count).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    rated = scorer.rate(photos)
    assert rated.fc7.shape == (count, 16) and agree(scorer.rate(list(photos)), rated)
    if count:
        assert agree(rated, by_hand(scorer.network, photos)) and len(set(rated.score.round(6))) == count


def test_nothing_to_rate_is_no_error(posts):
    scorer = Scorer(toy(), "cpu")
    (score, odds, fc7), reasons = scorer.rate_named(posts[0], [])
    assert (score.shape, odds.shape, fc7.shape, reasons) == ((0,), (0,), (0, 16), [])


@pytest.mark.parametrize(
    ("photos", "told"),
    [
        (np.zeros((32, 32, 3)), r"A photo is float64 \(32, 32, 3\), expected uint8 \(H, W, 3\), RGB"),
        (np.zeros((2, 32, 32, 4), np.uint8), r"A photo is uint8 \(32, 32, 4\), expected uint8"),
        (np.zeros((32, 32), np.uint8), r"A photo is uint8 \(32, 32\), expected"),
        (np.zeros((0, 32, 3), np.uint8), r"A photo is uint8 \(0, 32, 3\), expected"),
        ([np.zeros((3, 32, 32), np.uint8)], r"A photo is uint8 \(3, 32, 32\), expected"),
        (torch.zeros(2, 3, 32, 32), "A photo is a Tensor, expected a PIL image, a path or an array"),
        (None, "A photo is a NoneType, expected a PIL image"),
        ([7], "A photo is a int, expected a PIL image"),
        ("nowhere.png", r"/nowhere.png cannot be rated: file is missing\."),
        (["/"], "cannot be rated: "),
    ],
)
def test_what_is_no_photo_is_refused_in_one_sentence(photos, told):
    with pytest.raises(SelfieError, match=told) as error:
        Scorer(toy(), "cpu").rate(photos)
    assert len(str(error.value).splitlines()) == 1


def test_a_file_that_is_no_photo_is_named(tmp_path):
    (tmp_path / "notes.jpg").write_text("no photo")
    with pytest.raises(SelfieError) as error:
        Scorer(toy(), "cpu").rate([tmp_path / "notes.jpg"])
    assert str(error.value) == f"{tmp_path / 'notes.jpg'} cannot be rated: not an image."


@pytest.mark.parametrize("by", ["threads", "processes"])
def test_names_that_cannot_be_read_are_nan_with_a_reason_and_no_other_slips(posts, tmp_path, monkeypatch, by):
    monkeypatch.setattr("selfie_utils.photos.pack.WORKERS", 3)
    monkeypatch.setattr("selfie_utils.photos.pack.WORTH_PROCESSES", 60 if by == "processes" else 80)
    started = []
    monkeypatch.setattr(
        "selfie_utils.photos.pack.in_processes",
        lambda *job: started.append(job) or in_processes(*job),
    )
    (tmp_path / "torn.png").write_bytes(b"")
    for path in posts[0].root.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    names = [f"{i % 29}.png" for i in range(70)]  # three batches; of the second nothing can be read
    torn = [0, *range(23, 47), 69]
    for i in torn:
        names[i] = "torn.png" if i % 2 else "gone.png"
    scorer = Scorer(toy(), "cpu")
    rated, reasons = scorer.rate_named(ImageFolder(tmp_path), names)
    assert len(started) == (by == "processes")
    good = [i for i in range(70) if i not in torn]
    assert [i for i, reason in enumerate(reasons) if not reason] == good
    assert {reasons[i] for i in torn} == {"file is empty", "file is missing"} and reasons[
        0
    ] == "file is missing"
    shown = pixels_of(posts, [names[i] for i in good]).permute(0, 2, 3, 1).numpy()
    assert agree([part[good] for part in rated], by_hand(scorer.network, shown))
    assert all(np.isnan(part[torn]).all() for part in rated)


# --- what is said of them -----------------------------------------------------------------------------------


def test_a_real_network_rates_files_as_the_posts_pass_does(scored, posts):
    run, network, table = scored
    files = [posts[0].root / name for name in table["image"]]
    for source in (run, str(run.root), run.root, network):
        rated = Scorer(source, "cpu").rate(files)
        assert np.allclose(rated.score, table["score"], rtol=0, atol=1e-4)
        assert np.allclose(rated.fc7, run.read_features(), rtol=0, atol=1e-3)
    assert np.ptp(table["score"]) > 1e-2


@torch.inference_mode()
def test_fc7_is_the_output_of_the_body(scored, pixels):
    _, network, _ = scored
    shown = (
        torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 * 2 - 1
    )  # as EfficientNet-lite0 is taught
    assert np.allclose(Scorer(network, "cpu").rate(pixels).fc7, network.body(shown), rtol=0, atol=1e-4)


def test_log_odds_are_the_logit_of_the_score(scored, pixels):
    rated = Scorer(scored[1], "cpu").rate(pixels)
    assert np.allclose(rated.log_odds, np.log(rated.score / (1 - rated.score)), rtol=0, atol=1e-9)


@pytest.mark.parametrize("odds", [25.0, -25.0])
def test_a_score_near_1_is_not_rounded_to_it(pixels, odds):
    network = toy()
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.copy_(torch.tensor([0.0, odds]))
    rated = Scorer(network, "cpu").rate(pixels[0])
    least = rated.score[0] if odds < 0 else 1 - rated.score[0]
    assert least == pytest.approx(math.exp(-25), rel=1e-3) and rated.log_odds[0] == odds


# --- fused where it pays ------------------------------------------------------------------------------------


def test_fused_or_not_a_network_says_the_same(monkeypatch):
    photos = np.random.default_rng(0).integers(0, 256, (67, 64, 64, 3), dtype=np.uint8)
    plain = Scorer(build_network(Recipe(image_size=64)), "cpu")
    wanted = plain.rate(photos)
    monkeypatch.setattr(scorers, "WORTH_FUSING", 1)
    quick = Scorer(plain.network, "cpu")
    for _ in range(2):  # it is with the second batch that layers are fused
        assert agree(quick.rate(photos)[:2], wanted[:2], atol=1e-4)
        assert agree(quick.rate(photos[5])[:2], [part[5:6] for part in wanted[:2]], atol=1e-4)
    assert quick._forward is not quick.network and plain._forward is plain.network


def test_a_fused_network_sees_batches_of_few_sizes_and_no_photo_more_is_told(monkeypatch, pixels):
    sizes = []

    def counting(network):
        return lambda photos: sizes.append(len(photos)) or network(photos)

    monkeypatch.setattr(scorers, "fused", counting)
    scorer = Scorer(build_network(Recipe(image_size=32, weights="random")), "cpu")
    plain = scorer.rate(pixels[:5])
    scorer.expect(scorers.WORTH_FUSING)
    for count in (1, 2, 3, 5, 8, 9):
        found = scorer.rate(pixels[:count])
        assert found.score.shape == (count,) and len(found.fc7) == count
        if count == 5:
            assert np.allclose(found.score, plain.score, atol=1e-6)
    assert sizes == [8, 8, 8, 16]  # a photo or two go through the plain network, which is faster then


def test_layers_are_fused_once_for_those_who_rate_many(monkeypatch):
    asked = []
    monkeypatch.setattr(scorers, "fused", lambda network: asked.append(network) or (lambda photos: "fused"))
    scorer = Scorer(toy(), "cpu")
    for count in (0, 1, 382):
        scorer.expect(count)
    assert not asked and scorer._forward is scorer.network
    scorer.expect(1)  # 384 in all: as many as it takes as long to score as to fuse
    assert asked == [scorer.network] and scorer._forward(None) == "fused"
    scorer.expect(1000)
    assert len(asked) == 1
    at_once = Scorer(toy(), "cpu")
    at_once.expect(384)
    assert asked[1:] == [at_once.network]


def test_few_photos_do_not_fuse_and_many_do(monkeypatch, posts, pixels):
    asked = []
    monkeypatch.setattr(scorers, "fused", lambda network: asked.append(network) or network)
    monkeypatch.setattr(scorers, "WORTH_FUSING", 30)
    few = Scorer(toy(), "cpu")
    few.rate(pixels)
    assert not asked
    few.rate(pixels[0])
    assert asked == [few.network]
    named = Scorer(toy(), "cpu")
    named.rate_named(posts[0], posts[1]["image"].tolist() * 2)
    assert asked[1:] == [named.network]


def rate(run, photos, outside=None):
    """Rate photos as the command does, on the CPU."""
    return rate_photos(Scorer(run, "cpu"), run.read_table("scores")["score"], photos, outside)


# --- a run's network and any photos -------------------------------------------------------------------------


def test_a_photo_that_cannot_be_read_has_a_reason_and_the_others_a_rating(
    scored, posts, tmp_path, monkeypatch
):
    run, _, table = scored
    (tmp_path / "broken.jpg").write_text("no photo")
    monkeypatch.chdir(posts[0].root)
    asked = ["3.png", tmp_path / "broken.jpg", posts[0].root / "8.png"]
    rated = rate(run, asked)
    by_name = table.set_index("image")["score"]
    for row, name in ((0, "3.png"), (2, "8.png")):
        assert rated["score"][row] == pytest.approx(by_name[name], abs=1e-5)
        # The run's scores were found in other batches, which round otherwise: itself it may pass or not.
        lower = [(by_name.drop(name) < by_name[name]).sum() + own for own in (0, 1)]
        assert rated["percentile"][row] * 29 in [pytest.approx(count) for count in lower]
    assert rated[["score", "percentile"]].iloc[1].isna().all()
    assert rated["reason"].tolist() == ["", "not an image", ""]
    assert rated["photo"].tolist() == [str(photo) for photo in asked]
    assert rated["outside"].isna().all()  # nobody was asked
    fc7 = dict(zip(table["image"], run.read_features(), strict=True))
    found = rate(run, asked, lambda shown: abs(shown - fc7["8.png"]).max(axis=1) > 1e-2)
    assert found["outside"].astype(object).tolist() == [True, pd.NA, False]


@pytest.fixture
def photos_of_people(tmp_path):
    """A face, a wall without one, and files that are no photos, in a folder with odd names."""
    root = tmp_path / "my photos [1]"
    (root / "deep").mkdir(parents=True)
    Image.fromarray(data.astronaut()[:256, 96:352]).save(root / "face.jpg")
    Image.new("RGB", (90, 60), "teal").save(root / "deep" / "wall#2.png")
    (root / "deep" / "wall#2.png").rename(root / "deep" / "wall#2")  # known by its content
    (root / "notes.txt").write_text("no photo")
    (root / "torn.jpg").write_bytes((root / "face.jpg").read_bytes()[:900])
    return root


def test_folders_archives_and_addresses_are_rated_photo_by_photo(scored, photos_of_people, tmp_path):
    run, _, _ = scored
    root = photos_of_people
    with zipfile.ZipFile(tmp_path / "p.zip", "w") as archive:
        archive.write(root / "face.jpg", "face.jpg")
    (tmp_path / "link.jpg").symlink_to(root / "face.jpg")
    address = (root / "face.jpg").as_uri()
    assert "%20" in address
    asked = [
        root,
        address,
        f"file://localhost{address[7:]}",
        tmp_path / "p.zip",
        tmp_path / "link.jpg",
        "never.jpg",
    ]
    rated = rate(run, asked)
    assert rated["photo"].tolist() == [
        f"{root}/deep/wall#2", f"{root}/face.jpg", f"{root}/torn.jpg", *map(str, asked[1:3]),
        f"{tmp_path}/p.zip/face.jpg", *map(str, asked[4:]),
    ]  # fmt: skip
    assert rated["reason"].tolist() == ["", "", "image is cut short", "", "", "", "", "file is missing"]
    assert rated["faces"].astype("object").tolist()[:2] == [0, 1] and rated["faces"].isna().sum() == 2
    same = rated["score"][[1, 3, 4, 5, 6]]  # one photo, however it is named; batches differ by rounding
    assert np.ptp(same) < 1e-5


def test_what_cannot_be_rated_has_a_reason_each_and_stops_nothing(scored, photos_of_people, tmp_path):
    run, _, _ = scored
    (tmp_path / "empty").mkdir()
    odd = tmp_path / os.fsdecode(b"J\xfcrgen.jpg")
    odd.write_bytes((photos_of_people / "face.jpg").read_bytes())
    asked = [
        tmp_path / "empty",
        odd,
        "x" * 300,
        "a\0b",
        photos_of_people / "face.jpg",
        tmp_path / "gone" / "a.jpg",
        "https://x.example/a.jpg",
    ]
    rated = rate(run, asked)
    assert rated["score"].notna().tolist() == [False, True, False, False, True, False, False]
    assert rated["reason"][6] == "it lies on the web: save it as a file, and give that"
    assert rated["photo"][1].endswith("J\ufffdrgen.jpg") and rated["reason"][0] == "it holds no photo"


def test_a_folder_is_rated_best_first_under_the_names_of_its_files(scored, tmp_path):
    run, network, _ = scored
    for name, colour in (("Ada_Byte", "teal"), ("Bo-Octet", "pink")):
        Image.new("RGB", (40, 40), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no photo")
    famous = rate_folder(run, tmp_path, "cpu")
    colours = np.array([[0, 128, 128], [255, 192, 203]], np.uint8)  # teal and pink
    wanted, _, _ = by_hand(network, np.broadcast_to(colours[:, None, None], (2, 32, 32, 3)))
    order = np.argsort(-wanted)
    assert famous["image"].tolist() == [("Ada_Byte.png", "Bo-Octet.png")[i] for i in order] + ["notes.txt"]
    assert famous["name"].tolist() == [("Ada Byte", "Bo Octet")[i] for i in order] + ["notes"]
    assert famous["post_id"].tolist() == famous["image"].tolist()
    assert np.allclose(famous["score"][:2], wanted[order], atol=1e-5) and np.isnan(famous["score"][2])
    assert famous["reason"].tolist() == ["", "", "not an image"]


def test_a_folder_that_cannot_be_rated_is_refused_in_one_sentence(scored, tmp_path):
    run, _, _ = scored
    with pytest.raises(SelfieError, match=f"{tmp_path} holds no photo"):
        rate_folder(run, tmp_path, "cpu")
    (tmp_path / "notes.txt").write_text("no photo")
    with pytest.raises(SelfieError, match=f"No file in {tmp_path} can be read as a photo"):
        rate_folder(run, tmp_path, "cpu")
    with pytest.raises(SelfieError, match="device is 'toaster'"):
        rate_folder(run, tmp_path, "toaster")

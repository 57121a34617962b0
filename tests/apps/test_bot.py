"""The heart of the bot: what it says of a photo, and the picture of the photo's place, on any network."""

import io
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_run import make_run, open_rater

from selfie_utils.apps.bot import NEIGHBOURS, NINTHS, TILE, Bot
from selfie_utils.apps.manners import SORRY, Reply

SELFIES = Path(__file__).parents[2] / "selfie_utils" / "posts" / "data" / "selfies" / "images.zip"
ROOM = 460  # characters that a post of 500 leaves beside a long name


def bot_of(tmp_path_factory, simulated):
    return Bot(open_rater(make_run(tmp_path_factory.mktemp("bot") / "run", simulated).root))


@pytest.fixture(scope="module")
def bot(tmp_path_factory):
    return bot_of(tmp_path_factory, simulated=True)


@pytest.fixture(scope="module")
def selfie():
    with zipfile.ZipFile(SELFIES) as archive:
        return Image.open(io.BytesIO(archive.read("00000.jpg"))).convert("RGB")


def file_of(photo, kind="PNG", **options):
    out = io.BytesIO()
    photo.save(out, kind, **options)
    return out.getvalue()


def test_it_tells_the_score_the_share_below_and_what_moved_it(bot, selfie):
    reply = bot.answer(file_of(selfie))
    score = bot.rater.scorer.rate(selfie).score[0]
    below = (bot.rater.scores < score).mean()
    assert reply.sentences[0] == f"Your photo scores {score:.1%}: of 80 test posts {below:.0%} score lower."
    assert "people who do not exist" in reply.text(ROOM) and "square" not in reply.text(ROOM)
    assert reply.sentences[-1] in reply.text(ROOM)  # all of it has room


def test_the_part_that_raises_the_score_most_is_the_one_without_which_it_falls_most(bot, selfie, monkeypatch):
    """With a network that likes nothing but light at the bottom left, and dislikes it at the top."""

    def likes(photos):
        small = [Image.fromarray(np.asarray(one)).resize((3, 3), Image.Resampling.BOX) for one in photos]
        light = np.stack([np.asarray(one, float) for one in small]).mean(-1)
        return np.clip(0.5 + (light[:, 2, 0] - light[:, 0, 1]) / 512, 0, 1)

    photo = Image.new("RGB", (96, 96), (90, 90, 90))
    photo.paste((250, 250, 250), (0, 64, 32, 96))
    photo.paste((230, 230, 230), (32, 0, 64, 32))
    found = bot.rater.place(photo)
    whole = likes([photo])[0]
    monkeypatch.setattr(bot.rater.scorer, "size", 96)
    monkeypatch.setattr(bot.rater.scorer, "rate", lambda photos: type("R", (), {"score": likes(photos)}))
    said = bot._moved(replace(found, score=whole))
    raised, lowered = re.match(
        r"What raises it most is at the bottom left \(painted over: (.*)%\), "
        r"what lowers it most is at the top \(painted over: (.*)%\)\.", said
    ).groups()  # fmt: skip
    mean = np.asarray(photo).mean() / 512
    assert float(raised) == pytest.approx(100 * (0.5 + mean - 230 / 512), abs=0.3)
    assert float(lowered) == pytest.approx(100 * (0.5 + 250 / 512 - mean), abs=0.3)
    assert len(set(NINTHS)) == 9


def test_an_oblong_photo_is_told_to_be_squished_and_what_its_best_square_crop_scores(bot, selfie):
    oblong = selfie.resize((192, 256))
    reply = bot.answer(file_of(oblong))
    look = bot.rater.answer(oblong).look
    best = f"yours was squished; its best square crop scores {look.crop['crop_score']:.1%} ("
    assert best in reply.text(ROOM)
    assert "squished" not in bot.answer(file_of(selfie.resize((196, 192)))).text(ROOM)


def test_a_photo_too_small_to_crop_is_still_scored(bot, selfie):
    reply = bot.answer(file_of(selfie.crop((40, 20, 150, 150)).resize((30, 40))))
    assert "Your photo scores" in reply.sentences[0] or reply.sentences == (SORRY["no face"],)


def test_the_picture_shows_the_photo_between_its_neighbours_the_best_left(bot, selfie):
    reply = bot.answer(file_of(selfie))
    picture, found = Image.open(io.BytesIO(reply.picture)), bot.rater.place(selfie)
    assert reply.kind == "jpeg" and not picture.getexif()
    tiles = len(found.above[-NEIGHBOURS:]) + 1 + len(found.below[:NEIGHBOURS])
    assert picture.width == tiles * (TILE + TILE // 16) + TILE // 16
    place = len(found.above[-NEIGHBOURS:])
    left = TILE // 16 + place * (TILE + TILE // 16)
    mine = picture.crop((left, picture.height - TILE - TILE // 16, left + TILE, picture.height - TILE // 16))
    apart = np.abs(np.asarray(mine, float) - np.asarray(selfie.resize((TILE, TILE)), float))
    assert apart[8:-8, 8:-8].mean() < 12  # but for the frame
    told = [float(x) for x in re.findall(r"(\d+\.\d)%", reply.alt)]
    mine, around = told[0], told[1:]
    assert sorted(around, reverse=True) == around and len(around) == tiles - 1
    assert around[place - 1] >= mine >= around[place]
    assert f"place {found.rank} of 81" in reply.alt


@pytest.mark.parametrize("taught_by_simulated", [True, False])
def test_who_taught_the_network_is_told_whoever_the_posts_of_the_run_are(
    tmp_path_factory, selfie, taught_by_simulated
):
    """A network of rendered people can score real posts; its answers must say where it comes from."""
    for simulated in (True, False):
        made = bot_of(tmp_path_factory, simulated)
        made.rater.teachers = made.rater.teachers._replace(simulated=taught_by_simulated)
        trust = made._trust(replace(made.rater.place(selfie), outside=False))
        assert ("people who do not exist" in trust) == taught_by_simulated


def test_real_people_among_the_worst_are_shown_small_and_simulated_ones_are_not(tmp_path_factory, selfie):
    sizes = {}
    for simulated in (True, False):
        made = bot_of(tmp_path_factory, simulated)
        found = made.rater.place(selfie)
        worst = made.rater._posts(range(77, 80), np.zeros(80, np.float32))
        assert all(post.small == (not simulated) for post in worst)
        drawn = np.asarray(made.draw(replace(found, small=not simulated, above=(), below=worst)), int)
        tops = drawn.shape[0] - TILE - TILE // 16
        sizes[simulated] = [
            int((np.abs(drawn[tops + TILE // 2, left + 4 : left + TILE - 4] - 24).sum(-1) > 6).sum())
            for left in range(TILE // 16, drawn.shape[1] - TILE, TILE + TILE // 16)
        ]
    assert len(sizes[False]) == 4 and max(sizes[False]) <= 48
    assert min(sizes[True]) > 90


def moving(kind):
    frames = [Image.new("RGB", (64, 64), (i * 60, 9, 9)) for i in range(3)]
    return file_of(frames[0], kind, save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "broken"),
        (b"no photo at all", "broken"),
        (b"<html>", "broken"),
        (file_of(Image.new("RGB", (300, 300), "red"))[:200], "broken"),
        (file_of(Image.new("1", (20_000, 20_000))), "huge"),
        (moving("GIF"), "animation"),
        (moving("WEBP"), "animation"),
        (moving("PNG"), "animation"),
        (file_of(Image.new("RGB", (300, 300), "red")), "no face"),
    ],
)
def test_what_has_no_score_gets_a_kind_sentence_and_no_picture(bot, data, why):
    reply = bot.answer(data)
    assert reply.sentences == (SORRY[why],) and not reply.picture


def test_a_phone_s_photo_with_a_second_picture_inside_is_no_animation(bot, selfie):
    data = file_of(selfie, "MPO", save_all=True, append_images=[selfie.resize((50, 50))])
    assert "scores" in bot.answer(data).sentences[0]


def test_a_photo_is_turned_as_its_camera_says_and_nothing_of_its_data_comes_out(bot, selfie):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera that tells"
    turned = file_of(selfie.transpose(Image.Transpose.ROTATE_90), exif=exif)
    upright = bot.answer(file_of(selfie))
    reply = bot.answer(turned)
    assert reply.sentences[0] == upright.sentences[0]
    assert b"a camera that tells" not in reply.picture


def test_a_photo_that_the_network_does_not_know_is_called_a_guess(bot, selfie):
    found = bot.rater.place(selfie)
    assert "a guess" in bot._trust(replace(found, outside=True))
    assert "a guess" not in bot._trust(replace(found, outside=False))


def test_text_keeps_to_the_room_there_is_by_whole_sentences_the_first_always():
    reply = Reply(("One is here.", "Two is much longer than that.", "Three."))
    assert reply.text(100) == "One is here. Two is much longer than that. Three."
    assert reply.text(42) == "One is here. Two is much longer than that."
    assert reply.text(41) == "One is here. Three."
    assert reply.text(5) == "One i"


def test_every_kind_sentence_fits_beside_a_long_name():
    assert all(len(sentence) < 300 for sentence in SORRY.values())

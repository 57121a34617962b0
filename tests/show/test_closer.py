"""The table of a sheet: every tile leads to its photo, and nobody who is to stay small is in it larger."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.photos.images import ImageFolder
from selfie_utils.show import closer, display, sheets
from selfie_utils.show.closer import MIME, Closer

POSTS = 13
NAMES = [f"secret_{i}.png" for i in range(POSTS)]


class Numbered:
    """Photo i says its number; the nearest of each is the next one, and the one after that."""

    def in_words(self, names):
        return [
            {"title": name[7:-4], "brief": "", "facts": {"z": "1", "a": "2"}, "has": []} for name in names
        ]

    def nearest(self, names):
        return [[NAMES[(NAMES.index(name) + step) % POSTS] for step in (1, 2)] for name in names]


@pytest.fixture
def photos(tmp_path):
    """Photo i is plain, of grey 100 + 10 i."""
    for i, name in enumerate(NAMES):
        Image.new("RGB", (240, 200), (100 + 10 * i,) * 3).save(tmp_path / name)
    return ImageFolder(tmp_path)


def opened(table, photo):
    """The thumbnail of a photo, cut out of its sprite."""
    sprite, left, top, side = table["photos"][photo]["at"]
    data = base64.b64decode(table["sprites"][sprite].removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(data)).crop((left, top, left + side, top + side)))


def sheet_of(photos, **asked):
    shape = {"rows": 2, "columns": 4, "size": 60, "end": "best"} | asked
    return sheets.draw_extreme(photos, NAMES, **shape)


def test_each_tile_leads_to_its_photo_and_each_photo_to_its_thumbnail_and_nearest(photos):
    sheet = sheet_of(photos)
    table = json.loads(json.dumps(Closer(photos, Numbered()).table(sheet)))
    assert table["size"] == [243, 121] and len(table["tiles"]) == 8
    for photo, left, top, side, is_other in table["tiles"]:
        assert np.asarray(sheet)[top : top + side, left : left + side].std() == 0 and is_other == 0
        assert sheet.getpixel((left + side // 2, top))[0] == 100 + 10 * int(table["photos"][photo]["title"])
    assert [one["title"] for one in table["photos"]] == [*map(str, range(8)), "8", "9"]  # two are only near
    for number, photo in enumerate(table["photos"]):
        assert abs(int(opened(table, number).mean()) - (100 + 10 * int(photo["title"]))) <= 2
    assert [one["near"] for one in table["photos"]][6:] == [[7, 8], [8, 9], [], []]
    assert len(opened(table, 0)) == 192 and len(opened(table, 9)) == 64
    assert table["photos"][0]["facts"] == [["z", "1"], ["a", "2"]]  # JSON may sort the keys of a dict


def test_no_name_of_a_photo_is_in_the_table(photos):
    assert "secret" not in json.dumps(Closer(photos, Numbered()).table(sheet_of(photos)))


@pytest.mark.parametrize("size", [20, 48, 100])
def test_photos_to_be_kept_small_have_48_px_at_most_on_the_sheet_and_opened(photos, size):
    small = {NAMES[2], NAMES[8]}  # one on the sheet, one that is only near
    table = Closer(photos, Numbered(), small).table(sheet_of(photos, size=size, small=small))
    for number in (2, 8):
        assert table["photos"][number]["small"] and len(opened(table, number)) <= 48
        sprite = table["photos"][number]["at"][0]
        assert (whole(table, sprite) == 100 + 10 * number).sum() <= 48**2
    assert [tile[3] for tile in table["tiles"]] == [min(size, 48) if i == 2 else size for i in range(8)]
    assert len(opened(table, 1)) == 192 and not table["photos"][1]["small"]


def whole(table, sprite):
    data = base64.b64decode(table["sprites"][sprite].partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(int)


def test_on_a_sheet_of_the_worst_real_people_nobody_is_opened_larger(photos):
    sheet = sheet_of(photos, end="worst", small={NAMES[-1]})
    table = Closer(photos, Numbered(), {NAMES[-1]}).table(sheet)
    assert all(photo["small"] for photo in table["photos"][:8])
    simulated = Closer(photos, Numbered()).table(sheet_of(photos, end="worst"))
    assert not any(photo["small"] for photo in simulated["photos"])


def test_what_was_made_of_a_photo_is_opened_as_it_stands_on_the_sheet(photos):
    box = {"left": 0.0, "top": 0.0, "right": 0.5, "bottom": 0.5, "score": 0.1, "crop_score": 0.2}
    crops = pd.DataFrame([{"image": name, **box} for name in NAMES[:3]])
    sheet = sheets.draw_pairs(photos, crops, pairs=3, columns=3, size=80)
    table = Closer(photos, Numbered()).table(sheet)
    assert [(tile[0], tile[4]) for tile in table["tiles"]] == [(i // 2, 1) for i in range(6)]
    for photo, left, top, side, _ in table["tiles"][1::2]:  # crops fill their squares
        assert (np.asarray(sheet)[top : top + side, left : left + side] == 100 + 10 * photo).all()


def test_many_photos_have_smaller_thumbnails_and_too_many_none(photos, monkeypatch):
    monkeypatch.setattr(closer, "OPENED", 8 * 100**2)
    monkeypatch.setattr(closer, "OTHERS", 64**2)
    table = Closer(photos, Numbered()).table(sheet_of(photos))
    assert len(opened(table, 0)) == 96 and len(opened(table, 8)) == 48 and "at" not in table["photos"][9]
    assert Closer(photos, Numbered()).table(sheet_of(photos, size=96))["photos"][0].get("at") is None
    monkeypatch.setattr(closer, "MOST_TILES", 7)
    assert Closer(photos, Numbered()).table(sheet_of(photos)) == {}
    assert Closer(photos, Numbered()).table(Image.new("RGB", (9, 9))) == {}


def test_a_notebook_keeps_the_table_beside_the_picture_and_files_know_nothing_of_it(photos, tmp_path):
    shown = display.show(sheet_of(photos), "a sheet", closer=Closer(photos, Numbered()))
    data, _ = shown._repr_mimebundle_()
    assert sorted(data) == sorted([MIME, "image/jpeg"]) and data[MIME]["tiles"]
    assert b"secret" not in shown.data

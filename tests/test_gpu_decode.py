"""Photos that torchcodec decodes look as Pillow's do, and whatever it can't read is left to Pillow."""

import builtins
import io
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from selfie_utils.model.gpu_decode import decode_jpegs, find_decoder
from selfie_utils.photos.images import ImageFolder, open_images
from selfie_utils.photos.pack import pack_photos, read_photo
from selfie_utils.posts.data_folder import DEMO, open_data

on_cpu = partial(decode_jpegs, device="cpu")  # the same decoder and the same steps; a GPU is seldom at hand


@pytest.fixture
def photos(tmp_path):
    """Plain JPEGs, one turned by its EXIF, and files that are no plain JPEGs."""
    folder = tmp_path / "photos"
    folder.mkdir()
    embedded = open_images(open_data(DEMO).images)
    for name in embedded.names()[:3]:
        (folder / name).write_bytes(embedded.read(name))
    photo = Image.open(io.BytesIO(embedded.read(embedded.names()[0])))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(folder / "turned.jpg", exif=exif, quality=95)
    photo.convert("L").save(folder / "grey.jpg", quality=95)
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.save(folder / "png.jpg", "PNG")
    (folder / "cut.jpg").write_bytes((folder / "turned.jpg").read_bytes()[:-300])
    (folder / "text.jpg").write_text("no photo")
    return ImageFolder(folder)


def test_jpegs_look_as_pillow_decodes_them(photos):
    names = photos.names()
    found = dict(on_cpu([photos.read(name) for name in names], 64))
    plain = {names[i] for i in found}
    assert plain == set(names) - {"cmyk.jpg", "png.jpg", "cut.jpg", "text.jpg"}
    for i, photo in found.items():
        other = read_photo(photos, 64, names[i]).astype(int)
        assert photo.shape == other.shape and photo.dtype == np.uint8
        assert abs(photo.astype(int) - other).mean() < 3, names[i]  # of 255


def test_a_pack_takes_from_pillow_what_the_decoder_leaves(photos, tmp_path):
    names = [*photos.names(), "missing.jpg"]
    ours = pack_photos(photos, names, 64, tmp_path / "decoder", decoder=on_cpu)
    pillow = pack_photos(photos, names, 64, tmp_path / "pillow", processes=1)
    assert ours.reasons.tolist() == pillow.reasons.tolist()
    assert ours.reasons[-1] == "file is missing" and "cut short" in ours.reasons[names.index("cut.jpg")]
    for i, name in enumerate(names):
        gap = abs(ours.take([i])[0].astype(int) - pillow.take([i])[0])
        assert gap.max() == 0 if name in ("cmyk.jpg", "png.jpg") else gap.mean() < 3, name


def test_a_decoder_that_fails_leaves_everything_to_pillow(photos, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("out of memory")

    monkeypatch.setattr("torchcodec.decoders.decode_jpeg", fail)
    assert not list(on_cpu([photos.read("grey.jpg")], 64))


def test_without_a_gpu_or_torchcodec_there_is_no_decoder(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert find_decoder() is None
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_decoder() is not None
    usual = builtins.__import__

    def without_torchcodec(name, *arguments):
        if name.startswith("torchcodec"):
            raise ImportError(name)
        return usual(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without_torchcodec)
    assert find_decoder() is None

"""One scorer for everybody: loads a network once, and rates whatever photos it is shown."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd
import torch
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.core.run_folder import RunFolder, open_run
from selfie_utils.core.shares import percentile
from selfie_utils.model.batches import cut, forward_batch
from selfie_utils.model.network import SelfieNetwork, build_network, fused, load_network
from selfie_utils.model.processes import choose_device
from selfie_utils.model.recipe import kept_recipe
from selfie_utils.photos.faces import SIDE, FaceDetector
from selfie_utils.photos.images import (
    ImageFolder,
    Images,
    UnreadableImage,
    decode,
    open_images,
    real,
    squish,
    upright_rgb,
    written,
)
from selfie_utils.photos.named import Named, photos_at
from selfie_utils.photos.pack import decode_ahead

Forward = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
Photo = Image.Image | np.ndarray | str | Path
Outside = Callable[[np.ndarray], np.ndarray]  # fc7 (N, D) to bool (N,)
EIGHT = 8  # photos, of which batches of a fused network are multiples
FEW = 2  # photos that the plain network scores faster than a fused one does eight
WORTH_FUSING = 384  # photos; to fuse a network takes about as long as to score so many


class Ratings(NamedTuple):
    """What a network says of N photos."""

    score: np.ndarray  # float64 (N,), P(good), 0..1
    log_odds: np.ndarray  # float64 (N,), of good against bad
    fc7: np.ndarray  # float32 (N, D)


def before_training(run: RunFolder, device: str = "auto") -> "Scorer":
    """Return a scorer with the backbone of a run's network as it was before fine-tuning; its fc7 counts."""
    recipe = kept_recipe(run.read_json("network/network")["recipe"])
    return Scorer(build_network(recipe), device)


class Scorer:
    """The network of a run folder, or any network, ready to rate photos on `device`.

    Whoever rates much gets the network with its layers fused, where that is possible (a CPU); numbers differ
    from those of the plain one by rounding (1e-5 of a score).
    """

    def __init__(self, source: RunFolder | SelfieNetwork | str | Path, device: str = "auto"):
        if isinstance(source, str | Path):
            source = open_run(source)
        network = load_network(source, device) if isinstance(source, RunFolder) else source
        self.network = network.to(choose_device(device)).to(memory_format=torch.channels_last).eval()
        self.size = network.image_size  # px
        self._forward: Forward = self.network
        self._seen = 0  # photos so far

    def rate(self, photos: Photo | Sequence[Photo]) -> Ratings:
        """Rate photos: one or more of PIL images, paths of files, or arrays uint8 RGB (H, W, 3).

        An array (N, H, W, 3) is N photos. Photos of another size than the network's are squished. Raises
        SelfieError for a file that can't be read, and for anything that is no photo.
        """
        one = not isinstance(photos, list | tuple) and getattr(photos, "ndim", 3) != 4
        several = cast(Sequence[Photo], [photos] if one else photos)
        self.expect(len(several))
        found = self.nothing(len(several))
        for rows in cut(np.arange(len(several)), forward_batch(self.network.device)) if len(several) else []:
            pixels = np.stack([self._pixels(several[i]) for i in rows])
            for whole, part in zip(found, self.rate_batch(self._batch(pixels)), strict=True):
                whole[rows] = part
        return found

    def log_odds(self, photos: Photo | Sequence[Photo]) -> np.ndarray:
        """Rate photos as `rate` does; returns the log-odds of good against bad alone, float64 (N,)."""
        return self.rate(photos).log_odds

    def rate_named(self, images: Images, names: Sequence[str]) -> tuple[Ratings, list[str]]:
        """Rate photos by name, each seen once; the next ones are decoded while the network is at work.

        Returns the ratings and N reasons, empty where a photo could be read; one that can't be read is nan.
        """
        found, reasons = self.nothing(len(names)), [""] * len(names)
        self.expect(len(names))
        parts = cut(np.arange(len(names)), forward_batch(self.network.device)) if len(names) else []
        read = decode_ahead(images, [[names[i] for i in rows] for rows in parts], self.size)
        options = {"desc": "scoring photos", "mininterval": 2, "unit": "photo", "disable": not len(names)}
        with tqdm(total=len(names), **options) as progress:
            for rows, pack in zip(parts, read, strict=True):
                known = pack.reasons == ""
                if known.any():
                    rated = self.rate_batch(self._batch(pack.take(np.flatnonzero(known).tolist())))
                    for whole, part in zip(found, rated, strict=True):
                        whole[rows[known]] = part
                for i, reason in zip(rows, pack.reasons, strict=True):
                    reasons[i] = reason
                progress.update(len(rows))
        return found, reasons

    def expect(self, photos: int) -> None:
        """Say how many photos come next, so that the network is fused where that pays."""
        self._seen += photos
        if self._seen >= WORTH_FUSING and self._forward is self.network:
            self._forward = fused(self.network)

    @torch.inference_mode()
    def rate_batch(self, batch: torch.Tensor) -> Ratings:
        """Rate one batch, uint8 (N, 3, S, S) on the network's device, channels last."""
        count = len(batch)
        forward = self._forward if count > FEW else self.network
        if forward is not self.network and count % EIGHT:  # it is compiled anew for each size
            more = batch[-1:].expand(-count % EIGHT, -1, -1, -1)
            batch = torch.cat([batch, more]).contiguous(memory_format=torch.channels_last)
        logits, fc7 = (out[:count] for out in forward(batch))
        logits = logits.double()
        good, odds = logits.softmax(1)[:, 1], logits[:, 1] - logits[:, 0]
        return Ratings(good.cpu().numpy(), odds.cpu().numpy(), fc7.float().cpu().numpy())

    def nothing(self, count: int) -> Ratings:
        """Return ratings of so many photos that nobody has looked at yet: nan."""
        fc7 = np.full((count, self.network.head.in_features), np.nan, np.float32)
        return Ratings(np.full(count, np.nan), np.full(count, np.nan), fc7)

    def _batch(self, pixels: np.ndarray) -> torch.Tensor:
        """Send photos, uint8 (N, S, S, 3), to the device as (N, 3, S, S), channels last."""
        return torch.from_numpy(pixels).to(self.network.device).permute(0, 3, 1, 2)

    def _pixels(self, photo: Photo) -> np.ndarray:
        """Return one photo, uint8 (S, S, 3)."""
        if isinstance(photo, str | Path):
            photo = _open(real(Path(photo).expanduser()), self.size)
        if isinstance(photo, np.ndarray):
            if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
                raise SelfieError(f"A photo is {photo.dtype} {photo.shape}, expected uint8 (H, W, 3), RGB.")
            if photo.shape[:2] == (self.size, self.size):
                return photo
            photo = Image.fromarray(photo)
        if not isinstance(photo, Image.Image):
            raise SelfieError(
                f"A photo is a {type(photo).__name__}, expected a PIL image, a path or an array."
            )
        return np.asarray(squish(upright_rgb(photo), self.size))


def _open(path: Path, at_least: int) -> Image.Image:
    """Decode a file, or raise SelfieError with its name and the reason."""
    try:
        return decode(ImageFolder(path.parent).read(path.name), at_least)
    except UnreadableImage as error:
        raise SelfieError(f"{path} cannot be rated: {error}.") from None


def rate_photos(
    scorer: Scorer, crowd: pd.Series, photos: Sequence[Path | str], outside: Outside | None = None
) -> pd.DataFrame:
    """Rate photos, all those of a folder or archive, and file:// addresses; `crowd` are scores of test posts.

    Returns photo (str), score (P(good)), percentile among the crowd, reason, faces, how many there are
    (Int64), and outside (boolean): whether `outside`, such as `transfer.Familiar.outside`, finds by fc7 that
    the network doesn't know such photos; missing without it. A photo that can't be read has no score,
    percentile, faces and outside, and a reason; others have an empty reason.
    """
    rated = pd.concat([_rate_place(scorer, given, outside) for given in photos], ignore_index=True)
    known = rated["score"].notna()
    rated["percentile"] = np.where(known, percentile(crowd, rated["score"]), np.nan)
    return rated[["photo", "score", "percentile", "reason", "faces", "outside"]]


def _rate_place(scorer: Scorer, given: Path | str, outside: Outside | None) -> pd.DataFrame:
    """Rate the photos of one place, or tell why there are none."""
    try:
        return _rate_part(scorer, photos_at(given), outside)
    except SelfieError as error:
        row = {"photo": written(str(given)), "score": np.nan, "reason": str(error).rstrip(".")}
        return pd.DataFrame([row | {"faces": pd.NA, "outside": pd.NA}]).astype(
            {"faces": "Int64", "outside": "boolean"}
        )


def _rate_part(scorer: Scorer, photos: Named, outside: Outside | None) -> pd.DataFrame:
    """Rate the photos of one place, count their faces, and ask which of them the network doesn't know."""
    images, names, shown = photos
    rated, reasons = scorer.rate_named(images, names)
    known = [name for name, reason in zip(names, reasons, strict=True) if not reason]
    detector = FaceDetector() if known else None  # takes a moment to load
    counts = {
        name: len(detector.detect([decode(images.read(name), at_least=SIDE)])[0])
        for name in known
        if detector
    }
    faces = [counts.get(name, pd.NA) for name in names]
    found = pd.DataFrame({"photo": shown, "score": rated.score, "reason": reasons})
    unknown = pd.Series(outside(rated.fc7) if outside else pd.NA, index=found.index, dtype="boolean")
    return found.assign(faces=pd.array(faces, "Int64"), outside=unknown.where(found["reason"] == ""))


def rate_folder(run: RunFolder, folder: Path, device: str = "auto") -> pd.DataFrame:
    """Rate every photo of a folder or archive with the network of a run, best first.

    Returns image and post_id (str, both the file name), name (str, from the file name), score (float64,
    P(good)), reason (str, why a photo could not be scored, else empty) and fc7 (float32 (D,) each); those
    without a score come last. Raises SelfieError on an empty folder.
    """
    photos = open_images(folder)
    names = photos.names()
    names = [name for name in names if written(name) == name]  # others can't stand in a table
    if not names:
        raise SelfieError(f"{folder} holds no photo: put at least one there, or give another folder.")
    rated, reasons = Scorer(run, device).rate_named(photos, names)
    if np.isnan(rated.score).all():
        raise SelfieError(f"No file in {folder} can be read as a photo: give a folder of JPEG or PNG files.")
    scores = pd.DataFrame({"image": names, "score": rated.score, "reason": reasons, "fc7": [*rated.fc7]})
    scores["name"], scores["post_id"] = scores["image"].map(person), scores["image"]
    return scores.sort_values(["score", "image"], ascending=[False, True], ignore_index=True)


def person(image: str) -> str:
    """Read a name from a file name: Ada_Byte.jpg becomes Ada Byte."""
    return Path(image).stem.replace("_", " ").replace("-", " ").strip()

"""Render many descriptions on all cores, so that a run that was killed goes on where it was.

Photos are rendered in shards. A shard is a zip of lossless PNGs and of `measured.json`, what geometry says of
each; it is written whole or not at all.
"""

import hashlib
import io
import json
import multiprocessing
import os
import sys
import threading
import traceback
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked, write_json, written_whole
from selfie_utils.core.progress import tqdm
from selfie_utils.synthetic.description import Photo

VERSION = 1  # raised whenever the same description gives other pixels
DATE = (2015, 10, 20, 0, 0, 0)  # of files in archives: the same photos give the same archive
STILL_LIFE = "still life "  # …and its seed stand for a photo of things


@dataclass(frozen=True)
class Settings:
    """What the pixels depend on besides the descriptions."""

    size: int = 192  # px
    samples: int = 4  # light paths per pixel
    per_shard: int = 100  # photos
    version: int = VERSION


def as_text(shows: Photo | int) -> str:
    """Write what a post shows as one line."""
    return f"{STILL_LIFE}{shows}" if isinstance(shows, int) else shows.to_json()


def render_shards(folder: Path, shows: Sequence[Photo | int], settings: Settings) -> None:
    """Render what is still missing in `folder`; one process per core, a thread each.

    Raises SelfieError where the folder was begun with other settings or descriptions, where another process
    renders into it, and where a photo cannot be rendered: after all the others.
    """
    texts = [as_text(each) for each in shows]
    with locked(folder / "lock", f"Process {{process}} renders into {folder} already."):
        _check_settings(folder, texts, settings)
        for left_over in folder.glob(".*.part*"):
            left_over.unlink()
        paths = _shard_paths(folder, len(texts), settings)
        starts = {path: i * settings.per_shard for i, path in enumerate(paths) if not path.exists()}
        tasks = []
        for path, start in starts.items():
            shard = texts[start : start + settings.per_shard]
            tasks.append(Task(_render_shard, (path, shard, settings.size), len(shard)))
        if tasks:
            waiting = sum(task.size for task in tasks)
            progress = {"total": len(texts), "initial": len(texts) - waiting, "smoothing": 0}
            told = tqdm(desc=f"rendering {folder.name}", unit="photo", **progress)
            _do_on_all_cores(tasks, told, settings)


def _shard_paths(folder: Path, photos: int, settings: Settings) -> list[Path]:
    return [folder / f"{start:06d}.zip" for start in range(0, photos, settings.per_shard)]


def _check_settings(folder: Path, texts: list[str], settings: Settings) -> None:
    """Refuse to go on where others began."""
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    asked = {**asdict(settings), "photos": len(texts), "descriptions": digest}
    path = folder / "settings.json"
    if not path.exists():
        write_json(path, asked)
        return
    begun = json.loads(path.read_text(encoding="utf-8"))
    others = [name for name in asked if begun.get(name) != asked[name]]
    if others:
        raise SelfieError(
            f"{folder} was begun with other {', '.join(others)}: go on as it was begun, "
            "choose another folder, or delete this one."
        )


def build_places(places: dict[str, list[str]], settings: Settings) -> None:
    """Make those of `places` (as `scenes.BACKGROUNDS`) that this machine has not yet: minutes, once."""
    from selfie_utils.synthetic.scenes import missing_places

    tasks = [Task(_build_place, (name,)) for name in missing_places(places)]
    if tasks:
        _do_on_all_cores(tasks, tqdm(total=len(tasks), desc="building places", unit="place"), settings)


@dataclass(frozen=True)
class Task:
    """What a worker does: `does(*arguments)` returns the reasons of failures, and counts as `size`."""

    does: Callable[..., list[str]]
    arguments: tuple
    size: int = 1


def _do_on_all_cores(tasks: list[Task], progress: tqdm, settings: Settings) -> None:
    """Work in processes of their own: Blender's state belongs to a process."""
    failed: list[str] = []
    with _pool(len(tasks), settings) as pool, progress:
        progress.mininterval = 2
        pending = {pool.submit(task.does, *task.arguments): task.size for task in tasks}
        try:
            while pending:
                for done in wait(pending, return_when=FIRST_COMPLETED).done:
                    failed += done.result()
                    progress.update(pending.pop(done))
        except BrokenProcessPool:
            raise SelfieError(
                "A process that renders was killed, perhaps for lack of memory: start again to go on."
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failed:
        raise SelfieError(f"{len(failed)} tasks cannot be done, the first because {failed[0]}.")


def _pool(tasks: int, settings: Settings) -> ProcessPoolExecutor:
    """Return a pool of one process per core that has Blender ready."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return ProcessPoolExecutor(
        min(cores or 1, tasks),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(settings.size, settings.samples),
    )


def _build_place(name: str) -> list[str]:
    """Make one background; return the reason in a list where that fails."""
    from selfie_utils.synthetic import scenes

    try:
        scenes.panorama(name)
    except Exception as error:
        traceback.print_exc()
        return [f"the place {name} failed with {type(error).__name__}: {error}"]
    return []


def _start_worker(size: int, samples: int) -> None:
    """Prepare Blender in this process, without its messages; end when the main process ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # Blender tells each file that it saves
    # Where the main process met Blender, its inner folders came along, and half of it would be found there.
    sys.path[:] = [path for path in sys.path if f"{os.sep}bpy{os.sep}" not in path]
    from selfie_utils.synthetic import rendering

    rendering.prepare(size, samples, threads=1)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _render_shard(path: Path, texts: list[str], size: int) -> list[str]:
    """Render one shard; return the reason in a list where that fails: the others go on."""
    try:
        with written_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            measured = []
            for i, text in enumerate(texts):
                image, known = render_one(text, size)
                measured.append(known)
                archive.writestr(zipfile.ZipInfo(f"{i:06d}.png", DATE), _png(image))
            archive.writestr(zipfile.ZipInfo("measured.json", DATE), json.dumps(measured))
    except Exception as error:
        traceback.print_exc()
        return [f"photo {len(measured)} of {path.name} failed with {type(error).__name__}: {error}"]
    return []


def render_one(text: str, size: int) -> tuple[Image.Image, dict]:
    """Render one description; what is known has head_boxes, face_boxes, eyes, window and ita."""
    if text.startswith(STILL_LIFE):
        from selfie_utils.synthetic.still_lifes import still_life

        return still_life(int(text.removeprefix(STILL_LIFE)), size), {}
    from selfie_utils.synthetic import rendering

    photo = Photo.from_json(text)
    rendered = rendering.render(photo)
    known = {name: getattr(rendered, name) for name in ("head_boxes", "face_boxes", "eyes", "window")}
    grey = photo.effect == "black_and_white"
    return rendered.image, known | {"ita": None if grey else ita(rendered.image, rendered.face_boxes[0])}


def ita(image: Image.Image, face_box: list[float]) -> float:
    """Return the individual typology angle of the cheeks, degrees: above 55 very light, below -30 dark.

    After Chardon et al. 1991, from the median colour of both cheeks of a face box (left, top, right, bottom).
    """
    size = np.array(image.size)
    left_top, right_bottom = np.array(face_box[:2]), np.array(face_box[2:])
    cheeks = []
    for first, last in ((0.15, 0.35), (0.65, 0.85)):
        start = left_top + (right_bottom - left_top) * [first, 0.5]
        end = left_top + (right_bottom - left_top) * [last, 0.72]
        (x0, y0), (x1, y1) = (np.clip(corner * size, 0, size - 1) for corner in (start, end))
        cheek = np.asarray(image)[int(y0) : int(y1) + 1, int(x0) : int(x1) + 1]
        cheeks.append(cheek.reshape(-1, 3))
    lightness, _, yellow = _lab(np.median(np.concatenate(cheeks), axis=0) / 255)
    return float(np.degrees(np.arctan2(lightness - 50, yellow)))


def _lab(rgb: np.ndarray) -> np.ndarray:
    """Turn one colour from sRGB, 0 to 1, to CIE L*a*b* (D65), float64 (3,)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ linear / to_xyz.sum(1)
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=6)
    return out.getvalue()


def read_shards(folder: Path) -> Iterator[tuple[Image.Image, dict]]:
    """Read what `render_shards` wrote, in order: each photo, and what is known of it."""
    for path in sorted(folder.glob("[0-9]*.zip")):
        with zipfile.ZipFile(path) as archive:
            for i, known in enumerate(json.loads(archive.read("measured.json"))):
                yield Image.open(io.BytesIO(archive.read(f"{i:06d}.png"))), known

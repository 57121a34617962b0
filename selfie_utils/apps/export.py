"""Give a network away: as a page with a camera, as ONNX or as safetensors, checked before it is written."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from safetensors.torch import save_file

from selfie_utils.analysis.transfer import teachers_of
from selfie_utils.apps.browser import Seen, chromium, rate_in_page
from selfie_utils.apps.camera_page import Content, write_page
from selfie_utils.apps.examples import ONNX_EXAMPLE, SAFETENSORS_EXAMPLE
from selfie_utils.apps.model_card import SIMULATED_PEOPLE, card_of, facts_of
from selfie_utils.apps.runtime import get_runtime
from selfie_utils.core.draws import draw_lots
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import write_json, written_whole
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.as_onnx import in_halves, rate_with_onnx, to_onnx
from selfie_utils.model.network import SelfieNetwork, load_network
from selfie_utils.model.plain import as_plain, rate_plain
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.images import Images, open_images
from selfie_utils.photos.named import photos_at
from selfie_utils.photos.pack import pack_in_memory
from selfie_utils.runner.report_page import markdown

CHECKED = 50  # photos
WORST = 0.01  # of a score: further from Python's no photo may be
LARGEST = 14  # MB of a page that a phone opens gladly

Tell = Callable[[str], None]


class Judge:
    """Photos and what Python scores them: what is given away has to score the same."""

    def __init__(self, run: RunFolder, photos: str | None = None, seed: int = 0):
        self.network = load_network(run, "cpu")
        self.network.precision = "float32"  # as whatever is exported computes
        self.images, names = _photos(run, photos)
        chosen = [names[i] for i in np.argsort(draw_lots(names, seed))[:CHECKED]]
        rated, reasons = Scorer(self.network, "cpu").rate_named(self.images, chosen)
        known = [i for i, reason in enumerate(reasons) if not reason]
        if not known:
            why = reasons[0] if reasons else "there are none"
            raise SelfieError(f"None of {len(chosen)} photos can be read ({why}): give other --photos.")
        self.names, self.score = [chosen[i] for i in known], rated.score[known]

    def pixels(self) -> np.ndarray:
        """Return the photos as the network sees them, uint8 (N, S, S, 3)."""
        pack = pack_in_memory(self.images, self.names, self.network.image_size)
        return pack.take(range(len(self.names)))

    def check(self, score: np.ndarray, where: str) -> str:
        """Compare scores, float (N,), with Python's; returns a sentence, or raises SelfieError.

        A photo that could not be read there (nan) is left out and told.
        """
        apart = np.abs(score - self.score)
        read = ~np.isnan(apart)
        if not read.any():
            raise SelfieError(
                f"{where} could read none of {len(apart)} photos: give --photos as JPEG or PNG."
            )
        worst = int(np.nanargmax(apart))
        told = f"at the worst {100 * apart[worst]:.2f} points apart from Python"
        if apart[worst] > WORST:
            raise SelfieError(
                f"{where} scores photos wrongly: {self.names[worst]} is {told} ({score[worst]:.1%}, expected "
                f"{self.score[worst]:.1%}). Nothing was written: teach another backbone, or report this."
            )
        left = f"; {(~read).sum()} others cannot be read there" if not read.all() else ""
        return f"{where} scores {read.sum()} photos {told}{left}."


def _photos(run: RunFolder, given: str | None) -> tuple[Images, list[str]]:
    """Return the photos of a folder or archive, or else the test photos of a run."""
    if given is not None:
        images, names, _ = photos_at(given)
        return images, names
    return open_images(run.read_json("data")["images"]), run.read_table("scores")["image"].tolist()


def export_web(run: RunFolder, out: Path, runtime: Path | None, photos: str | None, tell: Tell) -> None:
    """Write the camera page with the network of a run, once it scores in a browser as it does in Python.

    Raises SelfieError, and writes nothing, where a score is more than a point off, and where the runtime
    can't be had.
    """
    out = _file(out)
    got, judge = get_runtime(runtime), Judge(run, photos)
    model = in_halves(to_onnx(judge.network, one_photo=True))
    text = write_page(_content(run, judge, model), got)
    with written_whole(out) as partial:
        partial.write_text(text, encoding="utf-8")
        for line in _check_page(judge, model, partial):
            tell(line)
    size = out.stat().st_size / 1e6
    tell(f"{out}: {size:.1f} MB. It opens from disk; selfie serve {out} --https shows it to a phone.")
    if size > LARGEST:
        tell(f"That is more than the {LARGEST} MB that a phone opens gladly: teach a smaller backbone.")


def _file(out: Path) -> Path:
    out = Path(out).expanduser()
    if out.is_dir() or not out.suffix:
        raise SelfieError(f"{out} is no name for a page: give a file such as camera.html.")
    return out


def _content(run: RunFolder, judge: Judge, model: onnx.ModelProto) -> Content:
    warning = SIMULATED_PEOPLE if teachers_of(run).simulated else ""
    crowd = run.read_table("scores")["score"].dropna()
    return Content(model, judge.network.image_size, crowd, markdown(card_of(run)), warning)


def _check_page(judge: Judge, model: onnx.ModelProto, page: Path) -> list[str]:
    """Compare a page with Python; where there is no browser, the network inside of it."""
    seen: Seen | None = None
    with chromium() as browser:
        if browser is not None:
            seen = rate_in_page(browser, page, judge.images, judge.names)
    if seen is None:
        return [
            judge.check(rate_with_onnx(model, judge.pixels())["score"], "onnxruntime"),
            "The page was NOT checked in a browser, for want of one: install Chromium and the extra [web].",
        ]
    return [judge.check(seen.score, seen.browser), f"There it was ready after {seen.seconds:.1f} s."]


def export_onnx(run: RunFolder, out: Path, half: bool, photos: str | None, tell: Tell) -> None:
    """Write a folder with the network as ONNX, its facts, its card and an example."""
    judge = Judge(run, photos)
    model = to_onnx(judge.network)
    model = in_halves(model) if half else model
    tell(judge.check(rate_with_onnx(model, judge.pixels())["score"], "onnxruntime"))
    out = _folder(out)
    with written_whole(out / "model.onnx") as partial:
        partial.write_bytes(model.SerializeToString())
    _write_beside(run, judge.network, out, ONNX_EXAMPLE, {"normalised": "inside the model"})
    tell(f"{out}: python {out}/example.py me.jpg scores a photo; README.md is its card.")


def export_safetensors(run: RunFolder, out: Path, photos: str | None, tell: Tell) -> None:
    """Write a folder with the weights as safetensors, named as the backbone's own package names them."""
    judge = Judge(run, photos)
    plain = as_plain(judge.network)
    tell(judge.check(rate_plain(plain, judge.network, judge.pixels()), plain.package))
    out = _folder(out)
    with written_whole(out / "model.safetensors") as partial:
        save_file(plain.state, partial)
    example = SAFETENSORS_EXAMPLE.replace("LIBRARY", plain.package).replace("CONSTRUCTOR", plain.constructor)
    _write_beside(run, judge.network, out, example, {"architecture": plain.constructor})
    tell(f"{out}: python {out}/example.py me.jpg scores a photo; README.md is its card.")


def _folder(out: Path) -> Path:
    out = Path(out).expanduser()
    if out.exists() and not out.is_dir():
        raise SelfieError(f"{out} is a file, not a folder: give a folder to write to.")
    return out


def _write_beside(
    run: RunFolder, network: SelfieNetwork, out: Path, example: str, more: dict[str, str]
) -> None:
    """Write what goes with a model: facts for programs, a card for people, and an example for both."""
    write_json(out / "network.json", facts_of(run) | more)
    mean, std = (network_values.flatten().tolist() for network_values in (network.mean, network.std))
    filled = example.replace("SIZE", str(network.image_size))
    filled = filled.replace("MEAN", str([round(v, 6) for v in mean])).replace(
        "STD", str([round(v, 6) for v in std])
    )
    for name, text in {"README.md": card_of(run), "example.py": filled}.items():
        with written_whole(out / name) as partial:
            partial.write_text(text, encoding="utf-8")

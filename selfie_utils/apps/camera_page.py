"""The camera page: one HTML file with a network inside, which rates what a camera sees and asks nobody."""

import base64
import gzip
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from selfie_utils.apps.runtime import PACKAGE, VERSION, Runtime
from selfie_utils.core.errors import SelfieError
from selfie_utils.model.as_onnx import rate_with_onnx
from selfie_utils.photos.crops import SMALLEST

HERE = Path(__file__).parent
TOLERANCE = 0.01  # of a score; a GPU that rounds otherwise stays far below, one that is wrong far above


@dataclass(frozen=True)
class Content:
    """What is particular to one page."""

    model: onnx.ModelProto  # for one photo; see model.as_onnx
    size: int  # px of its photos
    crowd: pd.Series  # scores of test posts, 0..1
    card: str  # HTML
    simulated: str  # the sentence about simulated teachers; empty where there were none


def write_page(content: Content, runtime: Runtime) -> str:
    """Return the page as HTML, which loads nothing: all that it needs is inside."""
    script, style, rater = map(_beside, ("js", "css", "rater.js"))
    environment = Environment(loader=FileSystemLoader(HERE), undefined=StrictUndefined, autoescape=True)
    return environment.get_template("camera_page.html").render(
        script=Markup(script), script_hash=Markup(_hash_of(script)), style=Markup(style), rater=Markup(rater),
        settings=Markup(_for_script(_settings(content))), card=Markup(content.card),
        simulated=content.simulated, runtime=f"{PACKAGE} {VERSION}",
        packed={name: Markup(_packed(data)) for name, data in _parts(content, runtime).items()},
    )  # fmt: skip


def _parts(content: Content, runtime: Runtime) -> dict[str, bytes]:
    """Return what travels packed, by the id under which the script finds it."""
    return {
        "runtime": runtime.code,
        "wasm": runtime.wasm,
        "network": in_planes(content.model.SerializeToString()),
        "licences": runtime.licences.encode(),
    }


def _settings(content: Content) -> dict[str, Any]:
    """Return what the script needs to know: sizes, quantiles of scores, and a score to check itself by."""
    known = rate_with_onnx(content.model, pattern(content.size)[None])["score"][0]
    if not np.isfinite(known):
        raise SelfieError(
            "The network in 16 bits scores photos wrongly: it gives no number. Nothing was written: teach "
            "another backbone, or report this."
        )
    crowd = content.crowd.quantile(np.linspace(0, 1, 101)).round(4).tolist()
    return {
        "size": content.size, "smallest": SMALLEST, "crowd": crowd,
        "expected": float(known), "tolerance": TOLERANCE,
    }  # fmt: skip


def pattern(size: int) -> np.ndarray:
    """Return a picture that a formula draws, uint8 (S, S, 3): the page draws the same, and rates it first."""
    y, x, c = np.ogrid[:size, :size, :3]
    return (3 * (x * (2 * c + 1) + y * (5 - c)) % 256).astype(np.uint8)


def in_planes(data: bytes) -> bytes:
    """Put every second byte first, then the others.

    Of a 16-bit weight one byte holds sign and exponent, which repeat, the other digits, which do not: apart
    they are packed 6% smaller.
    """
    return data[::2] + data[1::2]


def _packed(data: bytes) -> str:
    """Return bytes as text for a page: the smallest gzip that zlib can make, in base64."""
    return base64.b64encode(gzip.compress(data, 9, mtime=0)).decode()


def _beside(kind: str) -> str:
    return (HERE / f"camera_page.{kind}").read_text(encoding="utf-8")


def _for_script(content: dict[str, Any]) -> str:
    """Return JSON that no browser takes for the end of a script."""
    return json.dumps(content).replace("<", "\\u003c")


def _hash_of(script: str) -> str:
    """Return what a content security policy calls a script: nothing else may run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"

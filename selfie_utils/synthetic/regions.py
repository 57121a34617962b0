"""Where on the body things grow: scalp, brows, beard; on the base mesh, whose topology never changes."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from selfie_utils.synthetic.geometry import ss
from selfie_utils.synthetic.makehuman import Part, model

# Height of the hairline at each depth, from the neck to the forehead, decimetres.
HAIRLINE_Z = (-0.6, 0.1, 0.30, 0.36, 0.42, 0.62, 0.66, 0.76, 0.82, 0.95, 1.1, 1.25, 1.37, 1.6)
HAIRLINE_Y = (6.70, 6.66, 6.75, 7.05, 7.40, 7.42, 7.05, 7.10, 7.48, 7.70, 7.92, 7.95, 7.93, 7.95)
# The middle and half the width of a brow at each distance from the middle of the face, decimetres.
BROW_X = (0.10, 0.16, 0.26, 0.38, 0.50, 0.58)
BROW_Y = (7.505, 7.515, 7.535, 7.550, 7.520, 7.465)
BROW_WIDTH = (0.0, 0.034, 0.040, 0.032, 0.020, 0.0)


@dataclass(frozen=True)
class Regions:
    """Where each point of the body lies on the base mesh, decimetres, and what grows there, 0 to 1 (N,)."""

    x: np.ndarray  # away from the middle, so always positive
    y: np.ndarray
    z: np.ndarray
    scalp: np.ndarray
    roots: np.ndarray  # of hair: denser at the hairline and the parting
    brows: np.ndarray
    beard: np.ndarray
    moustache: np.ndarray
    goatee: np.ndarray


@cache
def regions() -> Regions:
    """Return the regions of the body; they are the same for everybody."""
    body = model().parts["body"]
    x, y, z = np.abs(body.rest[:, 0]), body.rest[:, 1], body.rest[:, 2]
    return Regions(x, y, z, *_scalp(body, x, y, z), _brows(x, y, z), *_beard(body, x, y, z))


def _scalp(body: Part, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    above = y - np.interp(z, HAIRLINE_Z, HAIRLINE_Y)
    scalp = np.where((y > 6.5) & (body.masks["ears"] < 0.5), ss(-0.05, 0.10, above), 0)
    hairline, parting = ss(0.35, 0.0, above) * (z > 0.8), ss(0.25, 0.0, x) * (z > 0.3)
    return scalp, scalp * (1 + 1.5 * hairline + 0.8 * parting)


def _brows(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    away = np.abs(y - np.interp(x, BROW_X, BROW_Y)) / (np.interp(x, BROW_X, BROW_WIDTH) + 1e-3)
    return (z > 1.0) * np.clip(1 - away, 0, 1) * (x > 0.1) * (x < 0.58)


def _beard(body: Part, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> tuple[np.ndarray, ...]:
    no_lips = body.masks["lips"] < 0.3
    edge = 6.66 + 0.55 * np.clip((1.32 - z) / 0.62, 0, 1)  # rises from the chin to the ears
    chin = (z > 0.62) * (y > 6.02) * (y < 7.15) * ss(-0.02, 0.06, edge - y)
    chin = chin * no_lips * (body.masks["inside-mouth"] < 0.3)
    lip = (z > 1.3) * (y > 6.60) * ss(-0.02, 0.02, 6.84 - y) * ss(-0.03, 0.05, 0.36 - x) * no_lips
    beard = np.maximum(chin, lip * 0.9)
    return beard, lip, np.maximum(lip, beard * (x < 0.27) * (z > 1.2))

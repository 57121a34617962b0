"""Where on the body things grow: scalp, brows, beard; on the base mesh, whose topology never changes."""

from functools import cache

import numpy as np

from selfie_utils.synthetic.geometry import norm, ss
from selfie_utils.synthetic.makehuman import model

__all__ = (  # what `regions` knows, by short names, and what samples it
    *(
        "B",
        "BR",
        "BQ",
        "x_",
        "y_",
        "z_",
        "SCALP",
        "PAINT",
        "ROOTS",
        "HEADV",
        "BROW",
        "BEARD",
        "MOUST",
        "GOATEE",
    ),
    *("regions", "sample_roots"),
)
# Height of the hairline at each depth, from the neck to the forehead, decimetres.
HAIRLINE_Z = (-0.6, 0.1, 0.30, 0.36, 0.42, 0.62, 0.66, 0.76, 0.82, 0.95, 1.1, 1.25, 1.37, 1.6)
HAIRLINE_Y = (6.70, 6.66, 6.75, 7.05, 7.40, 7.42, 7.05, 7.10, 7.48, 7.70, 7.92, 7.95, 7.93, 7.95)
# The middle and half the width of a brow at each distance from the middle of the face, decimetres.
BROW_X = (0.10, 0.16, 0.26, 0.38, 0.50, 0.58)
BROW_Y = (7.505, 7.515, 7.535, 7.550, 7.520, 7.465)
BROW_WIDTH = (0.0, 0.034, 0.040, 0.032, 0.020, 0.0)


@cache
def regions() -> dict[str, np.ndarray]:
    """Return shares of each point of the body, 0 to 1 (N,), and its place on the base mesh, decimetres."""
    body = model().parts["body"]
    x, y, z = np.abs(body["rest"][:, 0]), body["rest"][:, 1], body["rest"][:, 2]
    places = {"B": body, "BR": body["rest"], "BQ": body["q"], "x_": x, "y_": y, "z_": z, "HEADV": y > 6.0}
    return places | _scalp(body, x, y, z) | {"BROW": _brow(x, y, z)} | _beard(body, x, y, z)


def __getattr__(name: str):
    """Give each region by its name."""
    if name in __all__:
        return regions()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _scalp(body: dict, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> dict[str, np.ndarray]:
    above = y - np.interp(z, HAIRLINE_Z, HAIRLINE_Y)
    scalp = np.where((y > 6.5) & (body["masks"]["ears"] < 0.5), ss(-0.05, 0.10, above), 0)
    denser = (
        1 + 1.5 * ss(0.35, 0.0, above) * (z > 0.8) + 0.8 * ss(0.25, 0.0, x) * (z > 0.3)
    )  # hairline, parting
    return {"SCALP": scalp, "PAINT": scalp**1.5, "ROOTS": scalp * denser}


def _brow(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    away = np.abs(y - np.interp(x, BROW_X, BROW_Y)) / (np.interp(x, BROW_X, BROW_WIDTH) + 1e-3)
    return (z > 1.0) * np.clip(1 - away, 0, 1) * (x > 0.1) * (x < 0.58)


def _beard(body: dict, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> dict[str, np.ndarray]:
    no_lips = body["masks"]["lips"] < 0.3
    edge = 6.66 + 0.55 * np.clip((1.32 - z) / 0.62, 0, 1)  # rises from the chin to the ears
    chin = (z > 0.62) * (y > 6.02) * (y < 7.15) * ss(-0.02, 0.06, edge - y)
    chin = chin * no_lips * (body["masks"]["inside-mouth"] < 0.3)
    lip = (z > 1.3) * (y > 6.60) * ss(-0.02, 0.02, 6.84 - y) * ss(-0.03, 0.05, 0.36 - x) * no_lips
    beard = np.maximum(chin, lip * 0.9)
    return {"BEARD": beard, "MOUST": lip, "GOATEE": np.maximum(lip, beard * (x < 0.27) * (z > 1.2))}


def sample_roots(points, normals, mask, count: int, rng: np.random.Generator, thr: float = 0.02) -> tuple:
    """Draw roots on the body, as dense as `mask` (N,) says; `points` and `normals` (N, 3) are posed.

    Returns for each root its place, normal and place on the base mesh, (count, 3), and its mask (count,).
    """
    quads = regions()["BQ"]
    quads = quads[mask[quads].max(1) > thr]
    across = np.cross(points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]])
    share = np.linalg.norm(across, axis=1) * mask[quads].mean(1)
    faces = quads[rng.choice(len(quads), count, p=share / share.sum())]
    u, v = rng.random((2, count, 1))

    def inside(values: np.ndarray) -> np.ndarray:
        a, b, c, d = (values[faces[:, corner]] for corner in range(4))
        return (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v

    return inside(points), norm(inside(normals)), inside(regions()["BR"]), inside(mask[:, None])[:, 0]

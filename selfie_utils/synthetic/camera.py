"""Where the phone is and what it frames: from points in the world to places in the photo."""

from dataclasses import dataclass

import numpy as np

from selfie_utils.synthetic.description import Camera
from selfie_utils.synthetic.geometry import norm

HEAD = np.array([0, -0.07, 0.17])  # metres: a typical head's middle, above the base of the neck
WIDEST = 0.62  # focal length / width of the sensor: about 78 degrees, as phones have
ROOM_FOR_GROUP = 0.86  # of the frame's width, at most, that the heads of a group take


def position(camera: Camera) -> np.ndarray:
    """Return where the camera stands, metres (3,): Blender's axes, people look along -y."""
    out = np.cos(camera.pitch) * np.array([np.sin(camera.yaw), -np.cos(camera.yaw), 0])
    return HEAD + camera.distance * (out + np.array([0, 0, np.sin(camera.pitch)]))


@dataclass(frozen=True)
class View:
    """A pinhole camera: where it is, its axes, its focal length and shift in units of the frame's width."""

    position: np.ndarray  # (3,) metres
    forward: np.ndarray  # (3,) unit vectors
    right: np.ndarray
    up: np.ndarray
    focal: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points (N, 3) to the frame, (N, 2): x to the right and y down, 0 to 1 inside."""
        away = points - self.position
        depth = away @ self.forward
        x, y = self.focal * (away @ self.right) / depth, self.focal * (away @ self.up) / depth
        return np.stack([0.5 + x - self.shift[0], 0.5 - y - self.shift[1]], 1)

    def box(self, points: np.ndarray) -> list[float]:
        """Return left, top, right and bottom of points in the frame."""
        places = self.project(points)
        return [*map(float, places.min(0)), *map(float, places.max(0))]

    def rays(self, size: int) -> np.ndarray:
        """Return where each pixel looks, unit vectors (size, size, 3)."""
        middle = (np.arange(size) + 0.5) / size - 0.5
        x, y = (middle + self.shift[0]) / self.focal, -(middle + self.shift[1]) / self.focal
        return norm(self.forward + x[None, :, None] * self.right + y[:, None, None] * self.up)


def frame(camera: Camera, heads: list[np.ndarray], centres: list[np.ndarray]) -> View:
    """Point the camera at `centres` and zoom until the first of `heads` is as high as was asked for.

    `heads` are the points of each head, metres (N, 3). A group is framed as a whole. A phone cannot zoom out
    beyond `WIDEST`: then heads are larger than asked for.
    """
    where = position(camera)
    forward = norm(np.mean(centres, 0) - where)
    right = norm(np.cross(forward, [0, 0, 1.0]))
    up = np.cross(right, forward)
    cos, sin = np.cos(camera.roll), np.sin(camera.roll)
    right, up = right * cos + up * sin, up * cos - right * sin
    plain = View(where, forward, right, up)
    everybody = np.vstack(heads)
    focal = camera.face_share / np.ptp(plain.project(heads[0])[:, 1])
    if len(heads) > 1:
        focal = min(focal, ROOM_FOR_GROUP / np.ptp(plain.project(everybody)[:, 0]))
    zoomed = View(where, forward, right, up, max(focal, WIDEST))
    left, top, right_, bottom = zoomed.box(everybody)
    shift = ((left + right_) / 2 - camera.aim[0], (top + bottom) / 2 - camera.aim[1])
    return View(where, forward, right, up, zoomed.focal, shift)

"""Where a photo is taken, and by what light: a panorama that is both, and lamps."""

import math
import os
import re
from functools import cache
from pathlib import Path

import bpy
import numpy as np
from scipy import ndimage

from selfie_utils.synthetic import blender, landscapes, rooms
from selfie_utils.synthetic.blender import Lamp, Nodes, area, mesh_object
from selfie_utils.synthetic.camera import View
from selfie_utils.synthetic.description import Photo
from selfie_utils.synthetic.effects import disc_blur
from selfie_utils.synthetic.geometry import norm, tube

VERSION = 1  # of the panoramas; raise it when rooms.py or landscapes.py paint differently
LIGHT_SIZE = (256, 512)  # px of the panorama that lights people
HDRIS = ("city", "courtyard", "forest", "interior", "night", "studio", "sunrise", "sunset")  # Blender's, CC0
LIFT = 0.16  # by how much, radians, the surroundings are seen higher than the camera looks
_HOME = ("living0", "living1", "living2", "bedroom0", "bedroom1", "kitchen0")
_MIRRORS = ("bathroom0", "bathroom1", "gym0", "bedroom0", "bedroom1")
_PARTIES = ("party0", "party1", "night_city0")

# Panoramas that go with each light; `mirror` is no light but where mirrors hang.
BACKGROUNDS: dict[str, list[str]] = {
    "window": [*_HOME, "bathroom0", "cafe0", "office0", "gym0", "car0", "interior"],
    "overcast": ["city", "courtyard", "forest", "street0", "park0", "mountain0", "beach0"],
    "golden": ["sunset", "sunrise", "beach_sunset0", "mountain_dusk0", "park_autumn0", "street1"],
    "sun": ["forest", "courtyard", "beach0", "beach1", "park0", "mountain0", "street0", "street1", "car0"],
    "ring": [*_HOME, *_MIRRORS],
    "flash": ["living1", "bathroom0", "bathroom1", "kitchen0", "cafe0", "gym0", "bedroom1"],
    "low": ["living0", "living2", "bedroom0", "cafe0", "night", "night_street0", "night_city0", "bathroom1"],
    "party": [*_PARTIES, "party0", "party1"],
    "studio": ["studio"],
    "lamp": [*_HOME, "cafe0", "bathroom1"],
    "mirror": [*_MIRRORS],
}
_CATEGORIES = {
    **dict.fromkeys(("living", "bedroom", "kitchen", "interior"), "room"),
    **dict.fromkeys(("city", "courtyard", "night", "street", "night_street", "night_city"), "street"),
    **dict.fromkeys(("forest", "park", "park_autumn", "mountain", "mountain_dusk"), "nature"),
    **dict.fromkeys(("sunrise", "sunset"), "nature"),
    **dict.fromkeys(("beach", "beach_sunset"), "beach"),
    **dict.fromkeys(("studio", "backdrop"), "backdrop"),
}

# How strongly the panorama lights people beside the lamps.
_AMBIENT = {
    **{"window": 0.45, "overcast": 1.0, "golden": 0.6, "sun": 0.8, "ring": 0.4, "flash": 0.25},
    **{"low": 0.09, "party": 0.06, "studio": 0.7, "lamp": 0.3},
}
# How bright the surroundings are beside the face, linear: 0.35 is a mid grey, 0.9 nearly white.
_SURROUNDINGS = {
    **{"window": 0.42, "overcast": 0.48, "golden": 0.46, "sun": 0.52, "ring": 0.38, "flash": 0.34},
    **{"low": 0.055, "party": 0.075, "studio": 0.5, "lamp": 0.34},
}
# Fill from the screen's side, W: opens shadows and puts a light into the eyes.
_FILL = {"window": 12.0, "overcast": 9.0, "golden": 16.0, "sun": 17.0, "lamp": 6.0, "studio": 8.0}
NEON = [((1, 0.15, 0.5), (0.1, 0.5, 1)), ((0.6, 0.15, 1), (0.1, 1, 0.8)), ((1, 0.3, 0.1), (0.3, 0.2, 1))]


def category(name: str) -> str:
    """Return what kind of place a background is: "room", "street", "nature", "beach", "gym", ..."""
    kind = name.rstrip("0123456789")
    return _CATEGORIES.get(kind, kind)


def panorama_names() -> list[str]:
    """Return the panoramas that are made here, not Blender's."""
    every = {name for names in BACKGROUNDS.values() for name in names}
    return sorted(every - set(HDRIS))


def cache_folder() -> Path:
    """Return where panoramas are kept between runs."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "selfie-suite" / "panoramas" / f"v{VERSION}"


def missing_places(places: dict[str, list[str]]) -> list[str]:
    """Return those of `places` that this machine has not made yet."""
    wanted = {name for names in places.values() for name in names}
    return [
        name for name in panorama_names() if name in wanted and not (cache_folder() / f"{name}.npy").exists()
    ]


def load_envs() -> None:
    """Forget what belongs to an earlier scene of Blender's; panoramas are loaded when they are first seen."""
    panorama.cache_clear()
    _light_image.cache_clear()


@cache
def panorama(name: str) -> np.ndarray:
    """Return a panorama, linear RGB (height, width, 3), its median about 0.4, the lowest row first."""
    pixels = _hdri(name) if name in HDRIS else _built(name)
    middle = np.median(pixels.mean(2)[len(pixels) // 3 :]) * 2.2 + pixels.clip(0, 4).mean() * 0.6
    return np.minimum(pixels / max(1e-6, middle), 25)


def _built(name: str) -> np.ndarray:
    """Read a panorama from the cache, after making it where it is not there."""
    path = cache_folder() / f"{name}.npy"
    if not path.exists():
        found = re.fullmatch(r"(\w+?)(\d+)", name)
        assert found, f"{name!r} is no kind of place with a number"
        kind, seed = found.groups()
        make = rooms.render_place if kind in rooms.BUILDERS else landscapes.paint
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.save(file, make(kind, int(seed)).clip(0, 6e4).astype(np.float16))
        os.replace(partial, path)
    return np.load(path).astype(np.float32)


def _hdri(name: str) -> np.ndarray:
    folder = Path(bpy.utils.resource_path("LOCAL")) / "datafiles/studiolights/world"
    image = bpy.data.images.load(str(folder / f"{name}.exr"))
    width, height = image.size
    pixels = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    return pixels.reshape(height, width, 4)[..., :3]


@cache
def _light_image(name: str):
    """Return a panorama as one of Blender's images, small and without suns."""
    pixels = np.minimum(panorama(name), 12)  # clamped: no fireflies
    height, width = LIGHT_SIZE
    if pixels.shape[:2] != LIGHT_SIZE:
        smooth = ndimage.gaussian_filter(pixels, (0.6, 0.6, 0))
        pixels = ndimage.zoom(smooth, (height / len(pixels), width / pixels.shape[1], 1), order=1)
    image = bpy.data.images.new(f"env_{name}", width, height, float_buffer=True)
    opaque = np.concatenate([pixels, np.ones((height, width, 1))], -1)
    image.pixels.foreach_set(opaque.astype(np.float32).ravel())
    image.update()
    return image


def look_around(name: str, rays: np.ndarray, turn: float) -> np.ndarray:
    """Look a panorama up where `rays` (h, w, 3) go, turned as Blender turns it; (h, w, 3)."""
    cos, sin = math.cos(turn), math.sin(turn)
    x, y = rays[..., 0] * cos - rays[..., 1] * sin, rays[..., 0] * sin + rays[..., 1] * cos
    pixels = panorama(name)
    height, width = pixels.shape[:2]
    column = (0.5 - np.arctan2(y, x) / (2 * np.pi)) * width - 0.5
    row = (np.arcsin(np.clip(rays[..., 2], -1, 1)) / np.pi + 0.5) * height - 0.5
    places = np.stack([row.ravel(), column.ravel()])
    channels = [ndimage.map_coordinates(pixels[..., i], places, order=1, mode="grid-wrap") for i in range(3)]
    return np.stack(channels, 1).reshape(rays.shape)


def light(photo: Photo, view: View, target: np.ndarray, made: list) -> float:
    """Light the scene for a photo of what is at `target`; lamps are appended to `made`."""
    _Lamps(photo, view, np.asarray(target), made).place()
    name = "studio" if photo.background == "backdrop" else photo.background
    blender.surround(_light_image(name), photo.background_turn, _AMBIENT[photo.light])
    return _SURROUNDINGS[photo.light]


class _Lamps:
    """The lamps of one photo, powers in W for about 1.5 m."""

    def __init__(self, photo: Photo, view: View, target: np.ndarray, made: list):
        self.photo, self.view, self.target, self.made = photo, view, target, made

    def at(self, turn: float, rise: float, away: float) -> np.ndarray:
        """Return a point `away` metres from the face, `turn` beside and `rise` above the camera, radians."""
        back = norm(-self.view.forward * [1, 1, 0])
        side = np.array([-back[1], back[0], 0])
        flat = math.cos(turn) * back + math.sin(turn) * side
        return self.target + away * (math.cos(rise) * flat + [0, 0, math.sin(rise)])

    def near_camera(self, back=0.0, up=0.0, right=0.0) -> np.ndarray:
        """Return a point beside the camera, metres."""
        view = self.view
        return view.position - view.forward * back + np.array([0, 0, up]) + view.right * right

    def add(self, *lamp):
        self.made.append(area(Lamp(*lamp), self.target))

    def place(self):
        """Place the lamps of the photo's light, then the fill."""
        light, angle = self.photo.light, self.photo.light_angle
        if light == "ring":
            self.ring()
        elif light == "party":
            first, second = NEON[self.photo.neon]
            self.add(self.at(abs(angle) + 0.4, 0.15, 1.3), 0.3, 1.2, 13, first)
            self.add(self.at(-abs(angle) - 0.4, 0.15, 1.3), 0.3, 1.2, 13, second)
            self.add(self.near_camera(back=0.1, up=0.12), 0.3, 0.3, 3.0, (1, 0.90, 0.84))
        else:
            for lamp in self.keys(light, angle):
                self.add(*lamp)
        if light in _FILL:
            self.add(self.near_camera(back=0.5, up=0.35), 0.9, 0.7, _FILL[light], (1, 0.96, 0.93))

    def keys(self, light: str, angle: float) -> list[tuple]:
        """Return where, width, height, power and colour of the lamps that make up a light."""
        at = self.at
        lamps: dict[str, list[tuple]] = {
            "window": [(at(angle * 0.8, 0.35, 1.6), 1.3, 1.6, 40, (1, 0.98, 0.95))],
            "overcast": [(at(angle * 0.4, 0.8, 2.5), 3.0, 3.0, 40, (0.97, 0.98, 1))],
            "golden": [
                (at(angle, 0.25, 3.0), 0.8, 0.8, 150, (1, 0.78, 0.55)),
                (at(-angle * 0.4, 0.2, 2.0), 2, 2, 14, (0.88, 0.92, 1)),
            ],
            "sun": [
                (at(angle * 0.8, 0.7, 3.0), 0.6, 0.6, 140, (1, 0.95, 0.88)),
                (at(-angle * 0.5, -0.3, 2.0), 2, 2, 14, (1, 0.96, 0.92)),
            ],
            "flash": [
                (self.near_camera(up=0.03, right=0.02), 0.06, 0.06, 9, (1, 0.98, 0.95)),
                (at(angle, 0.9, 2.0), 1.5, 1.5, 12, (1, 0.93, 0.85)),
            ],
            "low": [
                (self.near_camera(up=-0.02), 0.12, 0.2, 1.4, (0.85, 0.9, 1)),
                (at(angle, 0.4, 1.8), 0.5, 0.5, 4.5, (1, 0.72, 0.48)),
            ],
            "studio": [
                (at(angle * 0.8, 0.4, 1.5), 1.0, 1.0, 30, (1, 1, 1)),
                (at(-angle - 1.6, 0.6, 1.5), 0.5, 0.9, 18, (1, 1, 1)),
            ],
            "lamp": [(at(angle * 0.8, 0.4, 1.4), 0.6, 0.6, 20, (1, 0.83, 0.64))],
        }
        return lamps[light]

    def ring(self):
        """Hold a ring of light around the camera; it is seen in the eyes only."""
        material = bpy.data.materials.get("ring") or bpy.data.materials.new("ring")
        nodes = Nodes(material)
        glow = nodes.node("Emission", Strength=26.0, Color=(1, 0.97, 0.94, 1))
        nodes.link(glow.outputs[0], nodes.node("OutputMaterial").inputs[0])
        turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)[:, None]
        path = np.cos(turn) * self.view.right + np.sin(turn) * np.cross(self.view.right, self.view.forward)
        vertices, quads = tube(self.near_camera(back=0.03) + 0.19 * path, 0.022, True, 6)
        ring = mesh_object("ringlight", vertices, quads, material)
        ring.visible_camera = False
        self.made.append(ring)


def background(photo: Photo, view: View, level: float, size: int) -> np.ndarray:
    """Return what lies behind the people, (size, size, 3), out of focus; its typical value is `level`."""
    if photo.backdrop is not None:
        first, second = map(np.array, photo.backdrop)
        share = np.linspace(1, 0, size)[:, None, None] * np.ones((size, size, 1))
        wall = first * share + second * (1 - share)
        return wall * (level / 0.45)
    # Phones are held high: without this the floor would fill the photo.
    rays = norm(view.rays(size) + np.array([0, 0, LIFT]))
    seen = look_around(photo.background, rays, photo.background_turn)
    return disc_blur(exposed(seen, level), photo.blur * size / 192)


def exposed(seen: np.ndarray, level: float) -> np.ndarray:
    """Bring linear RGB to a typical value; bright spots stay bright, but within a photo's reach."""
    luminance = seen @ [0.2126, 0.7152, 0.0722]
    typical = 0.5 * np.exp(np.log(luminance.clip(1e-3, 3)).mean()) + 0.5 * luminance.clip(0, 2).mean()
    # Dark surroundings keep their lamps, which are what such photos are about.
    return np.minimum(seen * (level / typical), 3.0 if level > 0.2 else 1.6)

"""Panoramas of the open painted with numpy: beach, park, mountains, a street at night.

All are linear RGB (HEIGHT, WIDTH, 3), white about 1, the lowest row first, as Blender maps them.
"""

from collections.abc import Callable

import numpy as np
from scipy import ndimage

WIDTH, HEIGHT = 1024, 512
EYE = 1.5  # metres above the ground

Rng = np.random.Generator


def _directions() -> tuple[np.ndarray, np.ndarray]:
    """Return the azimuth (1, WIDTH) and the elevation (HEIGHT, 1) of each pixel, radians."""
    azimuth = (np.arange(WIDTH) + 0.5) / WIDTH * 2 * np.pi - np.pi
    elevation = (np.arange(HEIGHT) + 0.5) / HEIGHT * np.pi - np.pi / 2
    return azimuth[None], elevation[:, None]


def _noise(rng: Rng, shape, scale: float) -> np.ndarray:
    """Return smooth noise that wraps around, mean 0, deviation 1; details are `scale` px wide."""
    noise = ndimage.gaussian_filter(rng.normal(size=shape), scale, mode="wrap", truncate=3)
    return noise / noise.std()


def _fractal(rng: Rng, shape, scale: float, octaves: int = 4) -> np.ndarray:
    noises = (_noise(rng, shape, scale / 2**i) * 0.55**i for i in range(octaves))
    return sum(noises, np.zeros(shape))


def _mix(first, second, share) -> np.ndarray:
    share = np.clip(share, 0, 1)[..., None]
    return np.asarray(first) * (1 - share) + np.asarray(second) * share


def _sky(rng: Rng, low, high, sun=None, cloud=0.5, cloud_colour=(1.15, 1.12, 1.1)) -> np.ndarray:
    """Paint a sky from the horizon's colour to the zenith's, with clouds and the glow of a sun."""
    azimuth, elevation = _directions()
    wide = np.zeros((HEIGHT, WIDTH))
    sky = _mix(low, high, np.sqrt(np.clip(np.sin(elevation), 0, 1)) + wide)
    # Clouds lie flat: stretched along the horizon, and finer near it.
    puffs = ndimage.zoom(_fractal(rng, (HEIGHT, WIDTH // 4), 14), (1, 4), order=1, mode="grid-wrap")
    cover = np.clip(puffs * 0.5 + cloud - 0.5, 0, 1) * np.clip(np.sin(elevation) * 6, 0, 1)
    sky = _mix(sky, cloud_colour, cover * 0.8)
    if sun:
        turn, rise, colour = sun
        near = np.cos(elevation) * np.cos(rise) * np.cos(azimuth - turn) + np.sin(elevation) * np.sin(rise)
        glow = 0.5 * np.clip(near, 0, 1) ** 8 + 1.5 * np.clip(near, 0, 1) ** 60 + 12 * (near > 0.9993)
        sky = sky + glow[..., None] * np.asarray(colour)
    return sky


def _ground(rng: Rng, first, second, metres=0.3) -> np.ndarray:
    """Paint flat ground whose texture gets smaller towards the horizon."""
    azimuth, elevation = _directions()
    away = EYE / np.tan(np.clip(-elevation, 0.01, None))
    tile, step = _fractal(rng, (512, 512), 12), metres / 12
    places = np.stack([away * np.cos(azimuth) / step, away * np.sin(azimuth) / step])
    texture = ndimage.map_coordinates(tile, places, order=1, mode="grid-wrap")
    return _mix(first, second, 0.5 + 0.28 * texture / (1 + away / 12))


def _below(elevation, height, sharp=150.0) -> np.ndarray:
    """Return how far each pixel lies below a skyline (radians), 0 to 1, with a soft edge."""
    return np.clip((height - elevation) * sharp + 0.5, 0, 1)


def _ridge(rng: Rng, height: float, rough: float, scale: float, octaves=5) -> np.ndarray:
    """Return a skyline (1, WIDTH), radians above the horizon."""
    return height + rough * _fractal(rng, (1, WIDTH), scale, octaves)


def beach(rng: Rng, sunset: bool = False) -> np.ndarray:
    """Paint sand on one side and sea on the other under a wide sky."""
    azimuth, elevation = _directions()
    if sunset:
        sky = _sky(
            rng, (1.5, 0.62, 0.28), (0.35, 0.40, 0.75), (0.4, 0.09, (2, 1.0, 0.45)), 0.7, (1.3, 0.6, 0.5)
        )
        shallow, deep, dry = (0.75, 0.50, 0.42), (0.20, 0.22, 0.36), (0.62, 0.42, 0.30)
    else:
        sky = _sky(rng, (0.80, 0.95, 1.10), (0.16, 0.38, 0.90), None, 0.45)
        shallow, deep, dry = (0.35, 0.78, 0.78), (0.05, 0.25, 0.45), (0.85, 0.70, 0.50)
    sand = _ground(rng, np.array(dry) * 0.86, np.array(dry) * 1.1, 0.5)
    away = EYE / np.tan(np.clip(-elevation, 0.004, None))
    shore = 6 + 1.2 * np.sin(azimuth * 9) + 0.5 * np.sin(azimuth * 23 + 1)
    out = away * np.cos(azimuth) - shore  # metres beyond the water's edge
    sea = _mix(shallow, deep, out / 60)
    waves = np.sin(out * 1.1 + 2.0 * np.sin(away * np.sin(azimuth) * 0.12)) * np.exp(
        -np.clip(out, 0, 200) / 30
    )
    waves = waves + 0.4 * _noise(rng, (HEIGHT, WIDTH), 1.3)
    sea = _mix(sea * (1 + 0.13 * waves[..., None]), (1.05, 1.02, 1.0), (waves > 0.85) * 0.5)
    foam = np.exp(-((out / 0.8) ** 2))
    land = _mix(_mix(sand, sea, out * 2), (1.1, 1.08, 1.05), foam * 0.9)
    rise = np.clip(-3 * np.cos(azimuth) - 0.3, 0, 1) * np.clip(_ridge(rng, 0.06, 0.025, 40), 0, 1)
    dunes = _below(elevation, rise) * np.clip(60 * elevation + 1.2, 0, 1) * (rise > 0.004)
    panorama = np.where((elevation < 0)[..., None], land, sky)
    return _mix(panorama, _mix((0.30, 0.36, 0.14), dry, 0.4 + 0.3 * _noise(rng, (HEIGHT, WIDTH), 2)), dunes)


def mountain(rng: Rng, dusk: bool = False) -> np.ndarray:
    """Paint a lookout: ridge behind ridge, each paler, over a meadow."""
    _, elevation = _directions()
    if dusk:
        sky = _sky(
            rng, (1.3, 0.75, 0.50), (0.30, 0.38, 0.75), (0.0, 0.12, (1.8, 1.0, 0.5)), 0.6, (1.2, 0.7, 0.6)
        )
        haze, rock = (1.0, 0.66, 0.55), (0.16, 0.13, 0.22)
    else:
        sky = _sky(rng, (0.75, 0.92, 1.1), (0.14, 0.34, 0.85), None, 0.6)
        haze, rock = (0.62, 0.76, 0.95), (0.12, 0.22, 0.16)
    panorama = sky
    for depth in range(5):
        skyline = _ridge(rng, 0.26 - 0.07 * depth, 0.09 - 0.012 * depth, 60 - 6 * depth)
        tone = _mix(rock, haze, 0.78 - 0.17 * depth + 0.06 * _fractal(rng, (HEIGHT, WIDTH), 5))
        if depth < 2:  # snow on the far summits
            height = np.clip((elevation - 0.24 + 0.03 * _fractal(rng, (HEIGHT, WIDTH), 6)) * 25, 0, 1)
            tone = _mix(tone, (0.95, 0.95, 1.0), height * (0.7 if dusk else 1))
        panorama = _mix(panorama, tone, _below(elevation, skyline))
    grass = _ground(rng, np.array((0.16, 0.26, 0.06)), np.array((0.38, 0.42, 0.14)), 0.4)
    return _mix(panorama, grass * (0.8 if dusk else 1.1), _below(elevation, _ridge(rng, -0.06, 0.02, 40)))


def park(rng: Rng, autumn: bool = False) -> np.ndarray:
    """Paint a lawn, a path and trees all around."""
    azimuth, elevation = _directions()
    panorama = _sky(rng, (0.85, 0.97, 1.1), (0.25, 0.50, 0.95), None, 0.55)
    greens = ((0.06, 0.16, 0.03), (0.34, 0.48, 0.10))
    leaves = ((0.35, 0.12, 0.02), (0.85, 0.45, 0.08)) if autumn else greens
    light = _fractal(rng, (HEIGHT, WIDTH), 5, 4)
    far = _mix(leaves[0], leaves[1], 0.45 + 0.2 * light)
    panorama = _mix(
        panorama,
        _mix(far, (0.6, 0.72, 0.8), np.full_like(light, 0.3)),
        _below(elevation, _ridge(rng, 0.16, 0.04, 14)),
    )
    lawn = _ground(rng, np.array((0.15, 0.25, 0.07)), np.array((0.40, 0.48, 0.18)), 0.25)
    away = EYE / np.tan(np.clip(-elevation, 0.01, None))
    across = away * np.sin(azimuth - 0.9) + 1.5 * np.sin(away * 0.12)
    lawn = _mix(lawn, (0.66, 0.58, 0.46), (np.abs(across - 2.2) < 1.1) * 0.9)
    panorama = np.where((elevation < 0)[..., None], lawn, panorama)
    for turn in np.sort(rng.uniform(-np.pi, np.pi, 13)):
        rough = 0.22 * np.roll(light, rng.integers(WIDTH), 1)
        panorama = _tree(rng, panorama, turn, rng.uniform(6, 18), leaves, rough)
    return panorama


def _tree(rng: Rng, panorama, turn, away, leaves, rough) -> np.ndarray:
    """Plant a tree: its shadow, a trunk and a crown lit from above, its outline `rough`."""
    azimuth, elevation = _directions()
    side = (np.mod(azimuth - turn + np.pi, 2 * np.pi) - np.pi) * away  # metres beside the trunk
    height = np.tan(np.clip(elevation, -1.2, 1.2)) * away + EYE
    wide, tall = rng.uniform(1.5, 2.8), rng.uniform(3.6, 5.5)
    shadow = np.exp(-((side / wide) ** 2) - (height / 0.5) ** 2) * (elevation < 0)
    panorama = panorama * (1 - 0.55 * shadow[..., None])
    trunk = (np.abs(side) < 0.16) & (height > 0) & (height < tall)
    panorama = _mix(panorama, (0.16, 0.11, 0.07), trunk * 1.0)
    inside = 1 - (side / wide) ** 2 - ((height - tall) / (wide * 0.9)) ** 2 + rough
    tone = 0.35 + 0.25 * (height - tall) / wide + 1.1 * rough
    return _mix(panorama, _mix(leaves[0], leaves[1], tone), inside * 4)


def night_street(rng: Rng, city: bool = False) -> np.ndarray:
    """Paint a street at night: dark houses with lit windows, lamps, and wet asphalt below."""
    azimuth, elevation = _directions()
    panorama = _mix((0.10, 0.07, 0.13), (0.015, 0.02, 0.05), np.sin(np.clip(elevation, 0, 2)) + 0 * azimuth)
    # Houses get lower towards the two ends of the street.
    column = np.floor((np.arange(WIDTH) + 0.5) / WIDTH * 34).astype(int)
    skyline = (
        0.2 + (0.9 if city else 0.55) * np.abs(np.sin(azimuth)) * rng.uniform(0.5, 1.1, 34)[column][None]
    )
    house = rng.uniform(0.02, 0.06, (34, 1)) * rng.uniform(0.8, 1.3, (34, 3))
    panorama = _mix(panorama, house[column][None], _below(elevation, skyline))
    panorama = panorama + _windows(rng, skyline)
    for _ in range(70):
        panorama = panorama + _light_disc(rng, rng.uniform(-np.pi, np.pi), rng.normal(0.03, 0.07))
    flipped = panorama[::-1] * 0.35
    wet = ndimage.gaussian_filter(flipped, (10, 1.5, 0), mode=("nearest", "wrap", "nearest"))
    asphalt = wet + np.array((0.035, 0.033, 0.04)) * (1 + 0.2 * _noise(rng, (HEIGHT, WIDTH), 2))[..., None]
    return np.where((elevation < -0.03)[..., None], asphalt, panorama)


def _windows(rng: Rng, skyline) -> np.ndarray:
    """Light some windows of the houses below a skyline, rows of them seen in perspective."""
    azimuth, elevation = _directions()
    near = np.clip(np.abs(np.sin(azimuth)), 0.25, 1)  # 1 / distance to the houses, scaled
    storey, bay = elevation / (0.13 * near), azimuth / 0.085
    lit = rng.random((64, 128)) < 0.32
    tint = rng.uniform((0.7, 0.4, 0.15), (1.0, 0.85, 0.6), (64, 128, 3)) * rng.uniform(0.3, 1.6, (64, 128, 1))
    row, place = np.broadcast_arrays(np.floor(storey).astype(int) % 64, np.floor(bay).astype(int) % 128)
    inside = (storey % 1 > 0.25) & (storey % 1 < 0.8) & (bay % 1 > 0.22) & (bay % 1 < 0.75)
    seen = inside & lit[row, place] & (elevation > 0.03) & (elevation < skyline - 0.04)
    return tint[row, place] * seen[..., None]


def _light_disc(rng: Rng, turn, rise) -> np.ndarray:
    """Paint one lamp as an out-of-focus disc: street lamps, shop signs, headlights."""
    colours = (
        (1, 0.62, 0.25),
        (1, 0.85, 0.6),
        (1, 0.15, 0.1),
        (0.3, 0.9, 0.5),
        (0.3, 0.55, 1),
        (1, 0.3, 0.7),
    )
    colour = np.array(colours[rng.choice(len(colours), p=[0.36, 0.26, 0.14, 0.08, 0.08, 0.08])])
    azimuth, elevation = _directions()
    side = (np.mod(azimuth - turn + np.pi, 2 * np.pi) - np.pi) * np.cos(rise)
    radius = rng.uniform(0.012, 0.034)
    from_middle = np.hypot(side, elevation - abs(rise)) / radius
    disc = np.clip((1 - from_middle) * 5, 0, 1) * (0.8 + 0.3 * np.clip(from_middle, 0, 1))
    return disc[..., None] * colour * rng.uniform(0.8, 3.5)


PAINTERS: dict[str, Callable[[Rng], np.ndarray]] = {
    "beach": beach,
    "beach_sunset": lambda rng: beach(rng, sunset=True),
    "mountain": mountain,
    "mountain_dusk": lambda rng: mountain(rng, dusk=True),
    "park": park,
    "park_autumn": lambda rng: park(rng, autumn=True),
    "night_street": night_street,
    "night_city": lambda rng: night_street(rng, city=True),
}


def paint(kind: str, seed: int) -> np.ndarray:
    """Paint a panorama of PAINTERS, float32; a function of its arguments."""
    return np.maximum(PAINTERS[kind](np.random.default_rng(seed)), 0).astype(np.float32)

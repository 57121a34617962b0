"""Places built of boxes and balls and rendered once as small panoramas: rooms, a car, a street."""

import colorsys
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import bpy
import numpy as np

WIDTH, HEIGHT = 512, 256  # px of a panorama
SAMPLES = 6
BOX_FACES = ((0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3))
WARM, WHITE, DAYLIGHT = (1, 0.72, 0.42), (1, 0.95, 0.88), (0.78, 0.89, 1.0)
WOOD, DARK, CHROME = (0.30, 0.16, 0.08), (0.03, 0.03, 0.035), (0.8, 0.8, 0.82)
NEONS = ((1, 0.08, 0.45), (0.1, 0.35, 1), (0.55, 0.1, 1), (0.05, 0.9, 0.7), (1, 0.35, 0.05))


class Place:
    """A scene under construction: metres, z up, the camera near the origin."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.scene = bpy.data.scenes.new("place")
        self._materials: dict = {}
        self._objects: list = []
        self.width, self.length, self.height = 2.2, 2.4, 2.6
        self.eye = (0.0, 0.0, 1.5)

    def colour(self, saturation=(0.1, 0.5), value=(0.3, 0.9), hue=(0.0, 1.0)) -> tuple:
        """Draw a colour, linear RGB."""
        hsv = self.rng.uniform(*hue) % 1, self.rng.uniform(*saturation), self.rng.uniform(*value)
        return tuple(float(c) ** 2.2 for c in colorsys.hsv_to_rgb(*hsv))

    def material(self, colour, rough=0.6, glow=0.0, metal=0.0, bricks=None, second=None, upright=True):
        """Return a material; `bricks` is width, height and joint, metres; joints have the `second` colour."""
        key = (tuple(colour), rough, glow, metal, bricks, second, upright)
        if key not in self._materials:
            material = bpy.data.materials.new("place")
            material.use_nodes = True
            shader = material.node_tree.nodes["Principled BSDF"]
            shader.inputs["Base Color"].default_value = (*colour, 1)
            shader.inputs["Roughness"].default_value = rough
            shader.inputs["Metallic"].default_value = metal
            shader.inputs["Emission Color"].default_value = (*colour, 1)
            shader.inputs["Emission Strength"].default_value = glow
            if bricks:
                _add_bricks(material.node_tree, shader, colour, second, bricks, upright)
            self._materials[key] = material
        return self._materials[key]

    def mesh(self, vertices, faces, material, smooth=False):
        """Add a mesh of quads."""
        mesh = bpy.data.meshes.new("place")
        mesh.from_pydata(np.asarray(vertices, float).tolist(), [], [list(map(int, f)) for f in faces])
        if smooth:
            mesh.shade_smooth()
        mesh.materials.append(material)
        thing = bpy.data.objects.new("place", mesh)
        self.scene.collection.objects.link(thing)
        self._objects.append(thing)

    def box(self, low, high, material):
        """Add a box between two corners."""
        ends = np.array([low, high], float)
        corners = [[ends[i, 0], ends[j, 1], ends[k, 2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
        self.mesh(corners, BOX_FACES, material)

    def ball(self, centre, radius, material):
        """Add a ball, or an ellipsoid where `radius` has three values."""
        rings, around = 9, 16
        polar, turn = np.meshgrid(
            np.linspace(0.02, np.pi - 0.02, rings), np.linspace(0, 2 * np.pi, around, False), indexing="ij"
        )
        unit = np.stack([np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)], -1)
        first = np.arange(rings - 1)[:, None] * around
        here, there = first + np.arange(around), first + (np.arange(around) + 1) % around
        faces = np.stack([here, here + around, there + around, there], -1).reshape(-1, 4)
        self.mesh(unit.reshape(-1, 3) * radius + np.asarray(centre, float), faces, material, smooth=True)

    def against(self, wall, left, right, low, high, depth, material, gap=0.0):
        """Add a box against wall 0 to 3 (+x, +y, -x, -y), from `left` to `right` along it."""
        far = (self.width, self.length)[wall % 2] - gap
        sign = 1 if wall < 2 else -1
        near_, far_ = sorted((sign * (far - depth), sign * far))
        if wall % 2 == 0:
            self.box((near_, left, low), (far_, right, high), material)
        else:
            self.box((left, near_, low), (right, far_, high), material)

    def spot(self, wall, along, height, gap=0.3) -> np.ndarray:
        """Return a point `gap` before a wall."""
        out = ((self.width, self.length)[wall % 2] - gap) * (1 if wall < 2 else -1)
        return np.array([out, along, height] if wall % 2 == 0 else [along, out, height])

    def render(self, sky=(0.10, 0.11, 0.12)) -> np.ndarray:
        """Render all around the eye: linear RGB (HEIGHT, WIDTH, 3), the lowest row first."""
        scene, camera = self.scene, bpy.data.cameras.new("place")
        camera.type = "PANO"
        panorama = camera if hasattr(camera, "panorama_type") else camera.cycles
        panorama.panorama_type = "EQUIRECTANGULAR"
        world = bpy.data.worlds.new("place")
        world.use_nodes = True
        world.node_tree.nodes["Background"].inputs[0].default_value = (*sky, 1)
        holder = bpy.data.objects.new("place", camera)
        holder.location, holder.rotation_euler = self.eye, (np.pi / 2, 0, -np.pi / 2)
        scene.collection.objects.link(holder)
        scene.camera, scene.world = holder, world
        _settings(scene)
        try:
            return _rendered(scene)
        finally:
            self._clear([*self._objects, holder], world)

    def sun(self, power, colour=(1, 0.93, 0.82), tilt=(0.7, 0.3)):
        """Add sunlight."""
        light = bpy.data.lights.new("place", "SUN")
        light.energy, light.color, light.angle = power, colour, 0.03
        thing = bpy.data.objects.new("place", light)
        thing.rotation_euler = (*tilt, 0)
        self.scene.collection.objects.link(thing)
        self._objects.append(thing)

    def _clear(self, things, world):
        kinds = {"Mesh": bpy.data.meshes, "Camera": bpy.data.cameras, "SunLight": bpy.data.lights}
        for thing in things:
            data = thing.data
            bpy.data.objects.remove(thing)
            kinds[type(data).__name__].remove(data)
        for material in self._materials.values():
            bpy.data.materials.remove(material)
        bpy.data.worlds.remove(world)
        bpy.data.scenes.remove(self.scene)


def _add_bricks(tree, shader, colour, second, bricks, upright):
    """Wire a brick pattern to the colour: along x + y and z on walls, along x and y on floors."""
    add = tree.nodes.new
    where, split, joined = (
        add("ShaderNodeTexCoord"),
        add("ShaderNodeSeparateXYZ"),
        add("ShaderNodeCombineXYZ"),
    )
    total, pattern = add("ShaderNodeMath"), add("ShaderNodeTexBrick")
    link = tree.links.new
    link(where.outputs["Object"], split.inputs[0])
    if upright:
        link(split.outputs["X"], total.inputs[0])
        link(split.outputs["Y"], total.inputs[1])
        link(total.outputs[0], joined.inputs["X"])
        link(split.outputs["Z"], joined.inputs["Y"])
    else:
        link(split.outputs["X"], joined.inputs["X"])
        link(split.outputs["Y"], joined.inputs["Y"])
    link(joined.outputs[0], pattern.inputs["Vector"])
    width, height, joint = bricks
    values = {"Scale": 1.0, "Brick Width": width, "Row Height": height, "Mortar Size": joint}
    for name, value in values.items():
        pattern.inputs[name].default_value = value
    pattern.inputs["Color1"].default_value = (*colour, 1)
    pattern.inputs["Color2"].default_value = (*(0.75 * np.array(colour)), 1)
    pattern.inputs["Mortar"].default_value = (*(second or tuple(0.5 * np.array(colour))), 1)
    link(pattern.outputs["Color"], shader.inputs["Base Color"])


def _settings(scene):
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.seed = "CPU", SAMPLES, 0
    cycles.use_adaptive_sampling = False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.max_bounces, cycles.sample_clamp_indirect = 4, 4
    scene.render.threads_mode, scene.render.threads = "FIXED", 1
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.render.resolution_percentage = 100
    scene.view_settings.view_transform = "Standard"
    file = scene.render.image_settings
    file.file_format, file.color_mode, file.color_depth = "OPEN_EXR", "RGBA", "16"


def _rendered(scene) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / f"{os.getpid()}.exr")
        scene.render.filepath = path
        bpy.ops.render.render(write_still=True, scene=scene.name)
        image = bpy.data.images.load(path)
        pixels = np.empty(WIDTH * HEIGHT * 4, np.float32)
        image.pixels.foreach_get(pixels)
        bpy.data.images.remove(image)
    return pixels.reshape(HEIGHT, WIDTH, 4)[..., :3]


# What rooms are made of.


def _shell(place: Place, size, walls, floor, ceiling=(0.8, 0.8, 0.78)):
    """Build the floor, the ceiling and four walls of a room; `walls` are one or two materials."""
    place.width, place.length, place.height = w, d, h = size
    place.box((-w, -d, -0.1), (w, d, 0), floor)
    place.box((-w, -d, h), (w, d, h + 0.1), place.material(ceiling))
    for wall in range(4):
        reach = (d, w)[wall % 2]
        place.against(wall, -reach, reach, 0, h, 0.1, walls[wall % len(walls)], gap=-0.1)


def _window(place: Place, wall, left, wide, low=0.85, high=2.15, glow=9.0, curtain=None, sky=DAYLIGHT):
    """Add a window that shines, with a frame and, where a colour is given, curtains."""
    garden = tuple(np.array(sky) * (0.45, 0.6, 0.3))
    middle = low + 0.3 * (high - low)
    place.against(wall, left, left + wide, middle, high, 0.02, place.material(sky, glow=glow))
    place.against(wall, left, left + wide, low, middle, 0.02, place.material(garden, glow=glow * 0.7))
    frame = place.material((0.8, 0.8, 0.8), 0.4)
    for x in (left - 0.05, left + wide / 2 - 0.025, left + wide):
        place.against(wall, x, x + 0.05, low - 0.05, high + 0.05, 0.05, frame)
    for z in (low - 0.05, high):
        place.against(wall, left, left + wide, z, z + 0.05, 0.06, frame)
    if curtain:
        cloth = place.material(curtain, 0.9)
        for start in (left - 0.4, left + wide):
            for fold in range(6):
                x, deep = start + fold * 0.065, 0.07 + 0.05 * (fold % 2)
                place.against(wall, x, x + 0.06, 0.05, high + 0.2, deep, cloth, gap=0.04)


def _pictures(place: Place, wall, count):
    reach = (place.length, place.width)[wall % 2]
    for x in np.linspace(-0.75, 0.55, max(count, 1)) * reach * place.rng.uniform(0.7, 1):
        wide, high = place.rng.uniform(0.3, 0.6, 2)
        low = place.rng.uniform(1.3, 1.6)
        frame = place.material(DARK if place.rng.random() < 0.5 else (0.7, 0.68, 0.62), 0.4)
        place.against(wall, x - 0.03, x + wide + 0.03, low - 0.03, low + high + 0.03, 0.02, frame)
        base = place.colour((0.2, 0.7), (0.5, 0.95))
        place.against(wall, x, x + wide, low, low + high, 0.025, place.material(base))
        place.against(
            wall,
            x,
            x + wide,
            low,
            low + high * place.rng.uniform(0.3, 0.6),
            0.03,
            place.material(place.colour()),
        )


def _shelf(place: Place, wall, left, wide=0.9, low=0.9, boards=3):
    wood = place.material(place.colour((0.3, 0.6), (0.4, 0.85), (0.06, 0.1)))
    for board in range(boards):
        z = low + 0.36 * board
        place.against(wall, left, left + wide, z, z + 0.03, 0.26, wood)
        x = left
        while x < left + wide - 0.08:
            thick = place.rng.uniform(0.025, 0.07)
            if place.rng.random() < 0.85:
                top = z + 0.03 + place.rng.uniform(0.14, 0.26)
                cover = place.material(place.colour((0.2, 0.8), (0.3, 0.95)))
                place.against(wall, x, x + thick * 0.9, z + 0.03, top, 0.18, cover)
            x += thick


def _plant(place: Place, foot, size=1.0):
    leaf = place.material(place.colour((0.5, 0.7), (0.35, 0.6), (0.25, 0.36)))
    foot = np.asarray(foot, float)
    place.box(
        foot - np.array([0.12, 0.12, 0]), foot + np.array([0.12, 0.12, 0.3]), place.material(place.colour())
    )
    for _ in range(22):
        at = foot + np.array([*place.rng.normal(0, 0.15 * size, 2), place.rng.uniform(0.4, 1.2) * size])
        place.ball(at, place.rng.uniform(0.05, 0.11, 3) * size, leaf)


def _sofa(place: Place, wall, left, wide=1.7):
    cloth = place.material(place.colour((0.15, 0.6), (0.35, 0.85)), 0.9)
    place.against(wall, left, left + wide, 0, 0.42, 0.75, cloth, gap=0.05)
    place.against(wall, left, left + wide, 0.42, 0.82, 0.22, cloth, gap=0.05)
    for x in (left + 0.3, left + wide - 0.35):
        cushion = place.material(place.colour((0.3, 0.8), (0.5, 0.95)), 0.9)
        place.ball(place.spot(wall, x, 0.6, 0.4), (0.2, 0.2, 0.2), cushion)


def _lamp(place: Place, at, radius=0.1, glow=14.0, colour=WARM, cord=False):
    at = np.asarray(at, float)
    place.ball(at, radius, place.material(colour, glow=glow))
    if cord:
        place.box(at - (0.008, 0.008, 0), (at[0] + 0.008, at[1] + 0.008, place.height), place.material(DARK))


def _fairy_lights(place: Place, wall, height=2.1, colours=(WARM,), glow=40.0):
    reach = 0.95 * (place.length, place.width)[wall % 2]
    for i, x in enumerate(np.linspace(-reach, reach, 28)):
        bulb = place.material(colours[i % len(colours)], glow=glow)
        place.ball(place.spot(wall, x, height - 0.16 * abs(np.sin(x * 2.2)), 0.05), 0.02, bulb)


def _panels(place: Place, spots, size=(0.5, 0.15), glow=6.0, colour=WHITE):
    light, h = place.material(colour, glow=glow), place.height
    for x, y in spots:
        place.box((x - size[0], y - size[1], h - 0.04), (x + size[0], y + size[1], h - 0.01), light)


def _plaster(place: Place, saturation=(0.05, 0.4), value=(0.7, 0.96)):
    return place.material(place.colour(saturation, value), 0.8)


def _floorboards(place: Place):
    wood = place.colour((0.25, 0.55), (0.4, 0.8), (0.06, 0.1))
    return place.material(wood, 0.45, bricks=(1.2, 0.13, 0.006), upright=False)


# Whole places.


def living(place: Place) -> np.ndarray:
    """Build a living room: window, sofa, shelves, pictures, plants, lamps."""
    r = place.rng
    size = r.uniform(1.9, 2.8), r.uniform(1.9, 3.0), r.uniform(2.4, 2.9)
    _shell(place, size, [_plaster(place), _plaster(place)], _floorboards(place))
    _window(
        place, 0, r.uniform(-1.2, -0.5), r.uniform(1.0, 1.6), curtain=place.colour((0.05, 0.4), (0.6, 0.95))
    )
    _sofa(place, 1, r.uniform(-1.4, -0.6))
    _pictures(place, 1, 2)
    _shelf(place, 2, r.uniform(-1.4, 0.2))
    _pictures(place, 3, 3)
    _plant(place, place.spot(2, r.uniform(0.9, 1.4), 0, 0.35))
    _plant(place, place.spot(0, -1.6, 0, 0.35), 0.8)
    _lamp(place, place.spot(3, r.uniform(-1.2, 1.2), 1.3), 0.13)
    if r.random() < 0.5:
        _fairy_lights(place, 3)
    _panels(place, [(0, 0)], (0.3, 0.3), 5)
    return place.render()


def bedroom(place: Place) -> np.ndarray:
    """Build a bedroom: bed, wardrobe with a mirror, window, fairy lights."""
    r = place.rng
    _shell(place, (2.1, 2.3, 2.5), [_plaster(place), _plaster(place, (0.1, 0.35))], _floorboards(place))
    sheet, cover = (0.75, 0.74, 0.72), place.colour((0.2, 0.5), (0.5, 0.9))
    place.against(1, -0.9, 0.9, 0, 0.45, 1.7, place.material(sheet, 0.9))
    place.against(1, -0.95, 0.95, 0.2, 0.52, 1.1, place.material(cover, 0.9), gap=0.62)
    place.against(
        1, -1.0, 1.0, 0, 1.1, 0.08, place.material(place.colour((0.2, 0.5), (0.3, 0.8), (0.05, 0.1)))
    )
    for x in (-0.45, 0.45):
        place.ball(place.spot(1, x, 0.58, 0.4), (0.33, 0.2, 0.13), place.material(sheet, 0.9))
    _fairy_lights(place, 1, 1.9)
    _pictures(place, 3, 2)
    _window(place, 0, -0.7, 1.3, curtain=place.colour((0.05, 0.3), (0.7, 0.95)))
    place.against(2, -1.6, 0.2, 0, 2.1, 0.5, place.material((0.72, 0.70, 0.66), 0.5))
    place.against(2, -1.5, -0.8, 0.1, 2.0, 0.01, place.material(CHROME, 0.02, metal=1.0), gap=0.5)
    _lamp(place, place.spot(1, r.choice([-1.4, 1.4]), 0.9), 0.12)
    _panels(place, [(0, 0)], (0.25, 0.25), 4)
    return place.render()


def bathroom(place: Place) -> np.ndarray:
    """Build a bathroom: tiles, a mirror with a light above it, basin, shower, towels."""
    r = place.rng
    tone = place.colour((0.02, 0.35), (0.75, 0.95))
    tile = place.material(tone, 0.15, bricks=(r.choice([0.15, 0.3]), 0.15, 0.006), second=(0.45, 0.45, 0.44))
    stone = place.material(place.colour((0, 0.2), (0.4, 0.7)), 0.2, bricks=(0.3, 0.3, 0.006), upright=False)
    _shell(place, (1.5, 1.7, 2.5), [tile], stone)
    white = place.material((0.85, 0.85, 0.85), 0.15)
    place.against(1, -1.1, 1.1, 0.75, 0.88, 0.5, place.material(WOOD, 0.4))
    place.ball(place.spot(1, 0, 0.92, 0.25), (0.3, 0.2, 0.1), white)
    place.against(1, -0.8, 0.8, 1.1, 2.0, 0.02, place.material(CHROME, 0.02, metal=1.0))
    place.against(1, -0.8, 0.8, 2.06, 2.13, 0.06, place.material(WHITE, glow=14))
    for x in (-0.9, 0.7, 0.85):
        place.against(
            1, x, x + 0.07, 0.88, r.uniform(1.0, 1.12), 0.07, place.material(place.colour((0.4, 0.8))), 0.2
        )
    for x in (-1.0, -0.3):
        place.against(
            0, x, x + 0.45, 0.9, 1.5, 0.05, place.material(place.colour((0.2, 0.7), (0.5, 0.95)), 0.95)
        )
    place.against(2, -1.5, 0.2, 0, 2.1, 0.03, place.material((0.55, 0.68, 0.68), 0.05), gap=0.6)
    _window(place, 3, -0.4, 0.8, 1.4, 2.1)
    place.against(3, 0.7, 1.4, 0, 0.42, 0.6, white)
    _panels(place, [(0, 0), (0.7, -0.7), (-0.7, -0.7)], (0.12, 0.12), 16)
    return place.render()


def kitchen(place: Place) -> np.ndarray:
    """Build a kitchen: cupboards, worktop, tiles, fridge, window, hanging lamps."""
    r = place.rng
    _shell(place, (2.0, 2.3, 2.6), [_plaster(place)], _floorboards(place))
    front = place.material(place.colour((0.05, 0.5), (0.5, 0.95)), 0.35, bricks=(0.5, 0.9, 0.01))
    top, tile = (
        place.material((0.35, 0.22, 0.12), 0.3),
        place.material((0.8, 0.8, 0.78), 0.1, bricks=(0.2, 0.1, 0.005)),
    )
    for wall, reach in ((1, 2.0), (2, 2.3)):
        place.against(wall, -reach, reach, 0, 0.88, 0.6, front)
        place.against(wall, -reach, reach, 0.88, 0.92, 0.63, top)
        place.against(wall, -reach, reach, 0.92, 1.45, 0.01, tile)
    place.against(1, -2.0, 0.9, 1.45, 2.15, 0.35, front)
    place.against(1, 1.2, 1.95, 0, 1.9, 0.65, place.material((0.75, 0.76, 0.78), 0.25))
    for x in np.linspace(-1.6, 0.8, 7).tolist():
        place.ball(
            place.spot(1, x, 1.0, 0.3), r.uniform(0.05, 0.12, 3), place.material(place.colour((0.3, 0.9)))
        )
    _window(place, 2, -0.8, 1.5, 1.1, 2.1)
    _plant(place, place.spot(2, 1.0, 0.92), 0.4)
    _shelf(place, 3, -0.9, low=1.1, boards=2)
    _pictures(place, 0, 2)
    for x in (-0.5, 0.5):
        _lamp(place, (x, -1.3, 1.95), 0.13, 10, WHITE, cord=True)
    _panels(place, [(0, 0.4)], (0.4, 0.2), 5)
    return place.render()


def cafe(place: Place) -> np.ndarray:
    """Build a café: bricks, a shop window, tables, hanging bulbs, a bar with bottles."""
    r = place.rng
    brick = place.material((0.42, 0.17, 0.10), 0.8, bricks=(0.22, 0.075, 0.01), second=(0.5, 0.46, 0.42))
    _shell(place, (3.2, 3.6, 3.0), [brick, _plaster(place)], _floorboards(place), (0.5, 0.47, 0.43))
    for left in (-2.4, -0.7, 1.0):
        _window(place, 3, left, 1.45, 0.5, 2.5, 8)
    place.against(1, -2.4, 2.4, 0, 1.1, 0.6, place.material(WOOD, 0.4), gap=0.5)
    place.against(1, -1.0, 1.0, 1.9, 2.7, 0.03, place.material((0.05, 0.07, 0.06)))
    for z in (1.25, 1.6):
        for x in np.linspace(-2.2, 2.2, 20).tolist():
            bottle = place.material(place.colour((0.4, 0.9), (0.3, 0.9)), 0.1)
            place.against(1, x, x + 0.08, z, z + r.uniform(0.15, 0.3), 0.08, bottle, gap=0.1)
    table, chair = place.material((0.5, 0.30, 0.16), 0.35), place.material(DARK)
    for x, y in ((-2.1, -1.8), (2.0, -1.6), (-2.2, 0.9), (2.2, 1.0), (0.3, -2.6)):
        place.box((x - 0.35, y - 0.35, 0.72), (x + 0.35, y + 0.35, 0.76), table)
        place.box((x - 0.05, y - 0.05, 0), (x + 0.05, y + 0.05, 0.72), chair)
        place.box((x + 0.45, y - 0.2, 0.4), (x + 0.5, y + 0.2, 0.95), chair)
        place.ball((x, y, 0.82), 0.05, place.material((0.85, 0.85, 0.83), 0.2))
        _lamp(place, (x, y, 2.1), 0.09, 22, cord=True)
    _pictures(place, 0, 3)
    _pictures(place, 2, 3)
    _plant(place, (2.8, -3.1, 0), 1.3)
    return place.render()


def gym(place: Place) -> np.ndarray:
    """Build a gym: mirrors, racks of dumbbells, machines, strips of light."""
    r = place.rng
    accent = place.colour((0.7, 0.95), (0.6, 0.95))
    _shell(
        place,
        (4.0, 5.0, 3.2),
        [place.material((0.62, 0.63, 0.65), 0.7), place.material(accent, 0.7)],
        place.material((0.10, 0.10, 0.11), 0.6, bricks=(1.0, 1.0, 0.01), upright=False),
        (0.55, 0.55, 0.56),
    )
    steel, black = place.material((0.5, 0.5, 0.52), 0.3, metal=0.8), place.material(DARK, 0.5)
    for left in np.arange(-4.5, 4.0, 1.5):
        place.against(0, left, left + 1.46, 0.3, 2.3, 0.02, place.material(CHROME, 0.02, metal=1.0))
    for z in (0.4, 0.8, 1.2):
        place.against(1, -3.4, 3.4, z, z + 0.05, 0.4, steel)
        for x in np.arange(-3.2, 3.2, 0.36):
            for side in (0, 0.2):
                weight = black if r.random() < 0.7 else place.material(accent)
                place.ball(place.spot(1, x + side, z + 0.14, 0.2), (0.06, 0.09, 0.09), weight)
    for x, y in ((-2.6, -2.8), (-2.6, 0.2), (-2.4, 2.4), (1.5, -3.6)):
        for dx in (-0.5, 0.5):
            place.box((x + dx - 0.04, y - 0.04, 0), (x + dx + 0.04, y + 0.04, 2.2), steel)
        place.box((x - 0.55, y - 0.04, 2.1), (x + 0.55, y + 0.04, 2.2), steel)
        place.box((x - 0.2, y - 0.6, 0.4), (x + 0.2, y + 0.6, 0.52), place.material(accent))
        place.box((x - 0.7, y - 0.02, 1.2), (x + 0.7, y + 0.02, 1.24), steel)
        for dx in (-0.65, 0.65):
            place.ball((x + dx, y, 1.22), (0.05, 0.22, 0.22), black)
    _window(place, 3, -3.0, 5.5, 1.0, 2.6, 6)
    _panels(place, [(x, y) for x in (-2, 0, 2) for y in (-3.5, -1.2, 1.2, 3.5)], (0.08, 0.9), 12)
    return place.render()


def office(place: Place) -> np.ndarray:
    """Build an office: desks with screens, a front of windows, panels of light, cupboards."""
    r = place.rng
    carpet = place.material(place.colour((0.05, 0.3), (0.35, 0.55)), 0.95)
    _shell(place, (3.4, 4.0, 2.7), [_plaster(place, (0.0, 0.1))], carpet)
    for left in (-3.4, -1.6, 0.2, 2.0):
        _window(place, 0, left, 1.5, 0.8, 2.3, 7)
    desk, black = place.material((0.6, 0.48, 0.34), 0.4), place.material(DARK)
    for x, y in ((-2.2, -2.2), (-2.2, 1.4), (1.6, 2.6), (1.4, -2.8), (-0.4, 3.1)):
        place.box((x - 0.75, y - 0.4, 0.7), (x + 0.75, y + 0.4, 0.74), desk)
        place.box((x - 0.3, y + 0.1, 0.88), (x + 0.3, y + 0.14, 1.24), black)
        screen = place.material((0.5, 0.7, 1.0), glow=1.6)
        place.box((x - 0.28, y + 0.09, 0.9), (x + 0.28, y + 0.1, 1.22), screen)
        place.ball((x, y - 0.7, 0.75), (0.24, 0.06, 0.35), black)
        place.ball((x + 0.5, y, 0.79), 0.05, place.material(place.colour((0.4, 0.8))))
    _shelf(place, 2, -2.6, 1.6, 0.5, 4)
    _shelf(place, 1, -2.6, 1.4, 0.9, 3)
    _pictures(place, 3, 3)
    _plant(place, (2.9, 3.3, 0), 1.2)
    _plant(place, (-2.9, 0.1, 0), r.uniform(0.9, 1.3))
    _panels(place, [(x, y) for x in (-1.7, 0.6) for y in (-2.6, 0, 2.6)], (0.6, 0.3), 4)
    return place.render()


def party(place: Place) -> np.ndarray:
    """Build a room at night: coloured strips, fairy lights, balloons, a bar, guests as soft shapes."""
    r = place.rng
    _shell(
        place,
        (2.8, 3.0, 2.7),
        [place.material(place.colour((0.2, 0.6), (0.25, 0.5)), 0.6)],
        _floorboards(place),
        (0.25, 0.22, 0.25),
    )
    neons = [NEONS[i] for i in r.permutation(len(NEONS))[:3]]
    for wall, neon in zip(range(4), [*neons, neons[0]], strict=True):
        reach = (place.length, place.width)[wall % 2]
        place.against(wall, -reach, reach, 2.5, 2.55, 0.04, place.material(neon, glow=14))
        x = r.uniform(-0.8, 0.8)
        place.against(wall, x, x + 0.05, 0.4, 2.3, 0.04, place.material(neon, glow=14))
        _fairy_lights(place, wall, r.uniform(1.8, 2.2), (WARM, *neons), 30)
    for _ in range(16):
        at = [r.choice([-1, 1]) * r.uniform(1.2, 2.5), r.uniform(-2.6, 2.6), r.uniform(1.9, 2.55)]
        place.ball(at, (0.15, 0.15, 0.19), place.material(place.colour((0.6, 0.9), (0.6, 0.95)), 0.2))
    for _ in range(7):
        turn, away = r.uniform(0, 2 * np.pi), r.uniform(1.8, 2.4)
        x, y, tall = away * np.cos(turn), away * np.sin(turn), r.uniform(1.55, 1.8)
        cloth = place.material(place.colour((0.2, 0.8), (0.2, 0.7)), 0.9)
        place.ball((x, y, tall * 0.55), (0.23, 0.2, tall * 0.33), cloth)
        skin = place.material(place.colour((0.35, 0.5), (0.4, 0.9), (0.05, 0.08)))
        place.ball((x, y, tall - 0.1), (0.085, 0.09, 0.115), skin)
        place.ball((x * 1.02, y * 1.02, tall - 0.06), (0.1, 0.1, 0.11), place.material(DARK, 0.5))
    return place.render((0.02, 0.02, 0.03))


def car(place: Place) -> np.ndarray:
    """Build the inside of a car: seats, pillars, windows onto a bright outside."""
    r = place.rng
    place.eye = (0.25, 0.25, 0.98)
    leather = place.material(place.colour((0.05, 0.35), (0.2, 0.7), (0.04, 0.12)), 0.45)
    lining, black = place.material((0.45, 0.43, 0.40), 0.9), place.material(DARK, 0.5)
    for x in (-0.68, 0.62):  # sides, up to the windows
        place.box((x, -1.5, 0.1), (x + 0.06, 1.1, 0.82), black)
        for y in (-1.35, -0.35, 0.95):
            place.box((x, y, 0.8), (x + 0.06, y + 0.12, 1.32), lining)
    place.box((-0.7, -1.4, 1.3), (0.7, 0.9, 1.36), lining)
    place.box((-0.7, -1.5, 0), (0.7, 1.2, 0.1), black)
    place.box((-0.7, 0.85, 0.1), (0.7, 1.2, 0.86), black)
    place.box((-0.7, -1.5, 0.1), (0.7, -1.3, 0.85), leather)
    place.box((-0.12, 0.7, 1.18), (0.12, 0.73, 1.25), black)
    for x, y in ((-0.36, -0.3), (0.32, -0.3), (-0.32, -1.15), (0.32, -1.15)):
        place.ball((x, y, 0.62), (0.25, 0.1, 0.38), leather)
        place.ball((x, y, 1.05), (0.13, 0.06, 0.09), leather)
        place.box((x - 0.25, y, 0.1), (x + 0.25, y + 0.5, 0.35), leather)
    road, leaf = place.material((0.25, 0.25, 0.26)), place.material((0.10, 0.22, 0.05))
    place.box((-40, -40, -0.5), (40, 40, -0.4), road)
    for _ in range(40):
        turn, away = r.uniform(0, 2 * np.pi), r.uniform(8, 25)
        at = np.array([away * np.cos(turn), away * np.sin(turn), r.uniform(0, 2.5)])
        place.ball(at, r.uniform(1.0, 2.6, 3), leaf)
    for _ in range(10):
        turn, away = r.uniform(0, 2 * np.pi), r.uniform(18, 34)
        x, y = away * np.cos(turn), away * np.sin(turn)
        wall = place.material(place.colour((0.1, 0.4), (0.5, 0.9)))
        place.box((x - 4, y - 4, -0.4), (x + 4, y + 4, r.uniform(4, 9)), wall)
    place.sun(3.0, tilt=(0.9, r.uniform(-0.5, 0.5)))
    return place.render((0.75, 0.9, 1.15))


def street(place: Place) -> np.ndarray:
    """Build a street by day: houses with windows, pavements, parked cars, trees."""
    r = place.rng
    place.box((-60, -60, -0.2), (60, 60, -0.1), place.material((0.16, 0.16, 0.165), 0.8))
    slab = place.material((0.45, 0.44, 0.42), 0.8, bricks=(0.6, 0.6, 0.02), upright=False)
    for side in (-1, 1):
        low, high = sorted((side * 4.5, side * 8.0))
        place.box((low, -60, -0.1), (high, 60, 0), slab)
        y = -55.0
        while y < 55:
            wide = r.uniform(7, 13)
            plaster = place.colour((0.1, 0.5), (0.6, 0.95), (0.0, 0.16))
            glass = tuple(np.array((0.12, 0.16, 0.2)) * r.uniform(0.6, 1.6))
            house = place.material(glass, 0.3, bricks=(2.2, 3.0, 0.55), second=plaster)
            low, high = sorted((side * 8.0, side * 16.0))
            place.box((low, y, 0), (high, y + wide, 3.0 * r.integers(3, 7) + 0.5), house)
            near, far = sorted((side * 7.6, side * 8.0))
            place.box(
                (near, y + 0.5, 2.6), (far, y + wide - 0.5, 3.1), place.material(place.colour((0.5, 0.9)))
            )
            y += wide
        for y in np.arange(-30, 31, 5.5) + r.uniform(-1, 1):
            if r.random() < 0.7:
                _parked_car(place, side * 3.5, y)
            if r.random() < 0.6:
                _tree(place, side * 6.0, y + 2.5)
    for y in np.arange(-40, 40, 3.0):
        place.box((-0.08, y, -0.1), (0.08, y + 1.5, -0.09), place.material((0.7, 0.7, 0.68)))
    place.eye = (5.6, 0.0, 1.5)
    place.sun(3.5, tilt=(r.uniform(-0.6, 0.6), r.uniform(-0.9, 0.9)))
    return place.render((0.55, 0.75, 1.1))


def _parked_car(place: Place, x, y):
    paint = place.material(place.colour((0.0, 0.9), (0.2, 0.95)), 0.2)
    place.ball((x, y, 0.55), (0.95, 2.2, 0.5), paint)
    place.ball((x, y - 0.1, 1.0), (0.8, 1.2, 0.5), place.material((0.05, 0.06, 0.07), 0.1))
    for end in (-1.3, 1.3):
        place.ball((x, y + end, 0.2), (0.98, 0.33, 0.33), place.material(DARK))


def _tree(place: Place, x, y):
    leaf = place.material(place.colour((0.55, 0.8), (0.3, 0.6), (0.2, 0.32)))
    place.box((x - 0.12, y - 0.12, 0), (x + 0.12, y + 0.12, 3.0), place.material(WOOD))
    for _ in range(9):
        at = np.array([x, y, 4.2]) + place.rng.normal(0, 0.75, 3)
        place.ball(at, place.rng.uniform(0.6, 1.3, 3), leaf)


BUILDERS: dict[str, Callable[[Place], np.ndarray]] = {
    **{"living": living, "bedroom": bedroom, "bathroom": bathroom, "kitchen": kitchen, "cafe": cafe},
    **{"gym": gym, "office": office, "party": party, "car": car, "street": street},
}


def render_place(kind: str, seed: int) -> np.ndarray:
    """Render a place of BUILDERS: linear RGB (HEIGHT, WIDTH, 3), the lowest row first."""
    return BUILDERS[kind](Place(seed))

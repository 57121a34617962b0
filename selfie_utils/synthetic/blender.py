"""Blender as a renderer: meshes, strands, lamps, one camera; nothing here knows of selfies.

All state lives in Blender's one scene, so one process renders one photo at a time. Points are in metres;
z points up.
"""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from selfie_utils.synthetic.camera import View
from selfie_utils.synthetic.geometry import to_blender

FAR = 30.0  # metres behind the camera's target where the backdrop stands
SENSOR = 36.0  # mm
_SOCKETS = {"FLOAT_COLOR": "color", "FLOAT": "value", "FLOAT_VECTOR": "vector"}


def mesh_object(name: str, vertices: np.ndarray, faces: np.ndarray, material, attributes: dict | None = None):
    """Put a mesh into the scene: vertices (N, 3), faces (F, 3 or 4) and attributes {name: (type, values)}."""
    mesh = bpy.data.meshes.new(name)
    count, corners = faces.shape
    mesh.vertices.add(len(vertices))
    mesh.vertices.foreach_set("co", np.ascontiguousarray(vertices, np.float32).ravel())
    mesh.loops.add(count * corners)
    mesh.loops.foreach_set("vertex_index", np.ascontiguousarray(faces, np.int32).ravel())
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, count * corners, corners, dtype=np.int32))
    mesh.update(calc_edges=True)
    for attribute, (kind, values) in (attributes or {}).items():
        layer = mesh.attributes.new(attribute, kind, "POINT")
        layer.data.foreach_set(_SOCKETS[kind], np.ascontiguousarray(values, np.float32).ravel())
    mesh.materials.append(material)
    return _into_scene(name, mesh)


def curves_object(name: str, strands: np.ndarray, radius: float, material):
    """Put strands (N, K, 3), in MakeHuman's frame, into the scene; `radius` in metres, thinner at the tip."""
    count, points = strands.shape[:2]
    curves = bpy.data.hair_curves.new(name)
    curves.add_curves([points] * count)
    places = np.ascontiguousarray(to_blender(strands), np.float32).ravel()
    curves.attributes["position"].data.foreach_set("vector", places)
    thickness = curves.attributes.get("radius") or curves.attributes.new("radius", "FLOAT", "POINT")
    profile = radius * np.minimum(1, (1 - np.linspace(0, 1, points)) * 3 + 0.25)
    thickness.data.foreach_set("value", np.tile(profile.astype(np.float32), count))
    curves.materials.append(material)
    return _into_scene(name, curves)


def _into_scene(name: str, data) -> bpy.types.Object:
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made


class Nodes:
    """Write the nodes of a material or a world."""

    def __init__(self, owner):
        owner.use_nodes = True
        self.tree = owner.node_tree
        self.tree.nodes.clear()

    def node(self, kind: str, **settings):
        """Make a shader node; `_name` sets a property, `Two__Words` the input "Two Words"."""
        node = self.tree.nodes.new("ShaderNode" + kind)
        for name, value in settings.items():
            if name.startswith("_"):
                setattr(node, name[1:], value)
            else:
                node.inputs[name.replace("__", " ")].default_value = value
        return node

    def link(self, output, target):
        """Link an output to an input."""
        self.tree.links.new(output, target)

    def attribute(self, name: str, output: str):
        """Return an output, "Color", "Fac" or "Vector", of what a mesh has at each point."""
        return self.node("Attribute", _attribute_name=name).outputs[output]

    def maths(self, operation: str, output, value: float):
        """Return the output of a calculation of an output and a number."""
        node = self.node("Math", _operation=operation)
        node.inputs[1].default_value = value
        self.link(output, node.inputs[0])
        return node.outputs[0]


@dataclass(frozen=True)
class Lamp:
    """A rectangle that shines."""

    position: np.ndarray  # (3,) metres
    width: float  # metres
    height: float
    power: float  # W
    colour: tuple[float, float, float]


def area(lamp: Lamp, target: np.ndarray) -> bpy.types.Object:
    """Put a lamp into the scene that shines on a point (3,)."""
    light = bpy.data.lights.new("area", "AREA")
    light.shape, light.size, light.size_y = "RECTANGLE", lamp.width, lamp.height
    light.energy, light.color, light.cycles.max_bounces = lamp.power, lamp.colour, 2
    placed = _into_scene("area", light)
    placed.rotation_mode = "QUATERNION"
    placed.rotation_quaternion = Vector(np.subtract(target, lamp.position)).to_track_quat("-Z", "Y")
    placed.location = lamp.position
    return placed


def purge(made: list) -> None:
    """Remove objects and what only they used, so that nothing of one photo is left for the next."""
    for thing in made:
        data, kind = thing.data, type(thing.data).__name__
        bpy.data.objects.remove(thing)
        {"Mesh": bpy.data.meshes, "Curves": bpy.data.hair_curves}.get(kind, bpy.data.lights).remove(data)
    for material in [m for m in bpy.data.materials if m.name.startswith("hair_tmp")]:
        bpy.data.materials.remove(material)


def setup(size: int, samples: int, threads: int) -> None:
    """Start from an empty scene with Cycles on the CPU, for square photos of `size` px."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    _set_quality(scene, samples)
    render = scene.render
    render.film_transparent = True
    render.threads_mode, render.threads = "FIXED", threads
    render.resolution_x = render.resolution_y = size
    file = render.image_settings
    file.file_format, file.color_mode, file.color_depth, file.exr_codec = "OPEN_EXR", "RGBA", "16", "NONE"
    camera = _into_scene("camera", bpy.data.cameras.new("camera"))
    scene.camera = camera
    _make_world(scene)
    _make_backdrop(size)


def size() -> int:
    """Return the width and height of photos, px."""
    return bpy.context.scene.render.resolution_x


def _set_quality(scene, samples: int) -> None:
    """Take few paths and a denoiser that knows surfaces; what costs time and is not seen at 192 px is off."""
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.device, cycles.samples, cycles.use_adaptive_sampling = "CPU", samples, False
    cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
    cycles.denoising_input_passes, cycles.denoising_prefilter = "RGB_ALBEDO_NORMAL", "FAST"
    cycles.denoising_quality = "FAST"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 3, 2, 2
    cycles.transmission_bounces, cycles.transparent_max_bounces = 3, 8
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 3.0, 20.0  # fireflies
    cycles.blur_glossy, cycles.use_light_tree = 1.0, False
    scene.cycles_curves.shape, scene.cycles_curves.subdivisions = "RIBBONS", 2


def _make_world(scene) -> None:
    """Make a world that a panorama lights, turned around z."""
    world = bpy.data.worlds.new("world")
    scene.world = world
    nodes = Nodes(world)
    turn, panorama = nodes.node("Mapping", _name="turn"), nodes.node("TexEnvironment", _name="panorama")
    light = nodes.node("Background", _name="light")
    nodes.link(nodes.node("TexCoord").outputs["Generated"], turn.inputs["Vector"])
    nodes.link(turn.outputs[0], panorama.inputs[0])
    nodes.link(panorama.outputs[0], light.inputs[0])
    nodes.link(light.outputs[0], nodes.node("OutputWorld").inputs[0])
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 256


def surround(image: bpy.types.Image, turn: float, strength: float) -> None:
    """Light the scene with a panorama, turned around z by radians."""
    nodes = bpy.context.scene.world.node_tree.nodes
    nodes["panorama"].image = image
    nodes["turn"].inputs["Rotation"].default_value = (0, 0, turn)
    nodes["light"].inputs[1].default_value = strength


def _make_backdrop(size: int) -> None:
    """Make a wall behind everything that only the camera sees, so that hair is denoised in front of it."""
    picture = bpy.data.images.new("backdrop", size, size, float_buffer=True)
    material = bpy.data.materials.new("backdrop")
    material.cycles.emission_sampling = "NONE"  # it is seen, it gives no light
    nodes = Nodes(material)
    texture, shine = nodes.node("TexImage", _image=picture, _extension="EXTEND"), nodes.node("Emission")
    nodes.link(nodes.node("TexCoord").outputs["Window"], texture.inputs[0])
    nodes.link(texture.outputs[0], shine.inputs[0])
    nodes.link(shine.outputs[0], nodes.node("OutputMaterial").inputs[0])
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * FAR * 3
    wall = mesh_object("backdrop", corners, np.array([[0, 1, 2, 3]]), material)
    for ray in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(wall, f"visible_{ray}", False)


def render(view: View, background: np.ndarray, seed: int) -> np.ndarray:
    """Render what stands in the scene, before a background linear RGB (S, S, 3).

    Returns linear RGB, float32 (S, S, 3).
    """
    scene, wall = bpy.context.scene, bpy.data.objects["backdrop"]
    axes = np.column_stack([view.right, view.up, -view.forward])
    scene.camera.matrix_world = _placed(axes, view.position)
    wall.matrix_world = _placed(axes, view.position + FAR * view.forward)
    lens = scene.camera.data
    lens.sensor_fit, lens.sensor_width, lens.lens = "HORIZONTAL", SENSOR, view.focal * SENSOR
    lens.shift_x, lens.shift_y, lens.clip_start = view.shift[0], -view.shift[1], 0.02
    picture = bpy.data.images["backdrop"]
    opaque = np.dstack([background[::-1], np.ones(background.shape[:2])])  # Blender's rows go upwards
    picture.pixels.foreach_set(opaque.astype(np.float32).ravel())
    picture.update()
    scene.cycles.seed = seed % 65536
    return _render_to_pixels(scene, len(background))


def _placed(axes: np.ndarray, position: np.ndarray) -> Matrix:
    return Matrix([*np.column_stack([axes, position]).tolist(), [0, 0, 0, 1]])


def _render_to_pixels(scene, size: int) -> np.ndarray:
    """Render through a file, in memory where that goes: Blender gives linear pixels to nothing else."""
    folder = "/dev/shm" if Path("/dev/shm").is_dir() else tempfile.gettempdir()
    path = Path(folder) / f"selfie_{os.getpid()}.exr"
    scene.render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    pixels = np.empty(size**2 * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    path.unlink()
    return pixels.reshape(size, size, 4)[::-1, :, :3]

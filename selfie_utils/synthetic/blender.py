"""Blender as a renderer: meshes, strands, lamps, one camera; nothing here knows of selfies.

All state lives in Blender's one scene, so one process renders one photo at a time. Points are in metres, z up.
"""

import math  # noqa: F401
import os
import tempfile
from pathlib import Path

import bpy
import numpy as np
from mathutils import Matrix, Vector

from selfie_utils.synthetic.geometry import *  # noqa: F403
from selfie_utils.synthetic.geometry import to_blender

FAR = 30.0  # metres behind the camera's target where the backdrop stands
SENSOR = 36.0  # mm
_SOCKETS = {"FLOAT_COLOR": "color", "FLOAT": "value", "FLOAT_VECTOR": "vector"}
SC: dict = {}


def mesh_object(name, vertices, faces, material, smooth=True, attrs=None):
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
    if not smooth:
        mesh.shade_flat()
    for attribute, (kind, values) in (attrs or {}).items():
        layer = mesh.attributes.new(attribute, kind, "POINT")
        layer.data.foreach_set(_SOCKETS[kind], np.ascontiguousarray(values, np.float32).ravel())
    mesh.materials.append(material)
    return _into_scene(name, mesh)


def curves_object(name, strands, radius, material):
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


def _into_scene(name, data):
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made


class NT:
    """Write a material's or a world's nodes: `n` makes one, `l` links an output to an input."""

    def __init__(self, owner):
        owner.use_nodes = True
        self.t = owner.node_tree
        self.t.nodes.clear()

    def n(self, kind, **settings):
        """Make a node; `_name` sets a property, `Two__Words` the input "Two Words"."""
        node = self.t.nodes.new(kind)
        for name, value in settings.items():
            if name.startswith("_"):
                setattr(node, name[1:], value)
            else:
                node.inputs[name.replace("__", " ")].default_value = value
        return node

    def l(self, output, target):  # noqa: E743
        """Link an output to an input."""
        self.t.links.new(output, target)


def area(position, target, width, height, power, colour, made):
    """Put a lamp of `width` x `height` metres and `power` watts into the scene, that shines on a point."""
    lamp = bpy.data.lights.new("area", "AREA")
    lamp.shape, lamp.size, lamp.size_y = "RECTANGLE", width, height
    lamp.energy, lamp.color, lamp.cycles.max_bounces = power, colour, 2
    placed = _into_scene("area", lamp)
    placed.rotation_mode = "QUATERNION"
    placed.rotation_quaternion = Vector(np.subtract(target, position)).to_track_quat("-Z", "Y")
    placed.location = position
    made.append(placed)


def purge(made):
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
    SC.update(sc=scene, cam=camera, size=size, **_world(scene), **_backdrop(size))


def _set_quality(scene, samples: int) -> None:
    """Few paths and a denoiser that knows surfaces; what costs time and is not seen at 192 px is off."""
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


def _world(scene) -> dict:
    """Make a world that a panorama lights, turned around z."""
    world = bpy.data.worlds.new("world")
    scene.world = world
    nodes = NT(world)
    coordinates, turn = nodes.n("ShaderNodeTexCoord"), nodes.n("ShaderNodeMapping")
    panorama, background = nodes.n("ShaderNodeTexEnvironment"), nodes.n("ShaderNodeBackground")
    nodes.l(coordinates.outputs["Generated"], turn.inputs["Vector"])
    nodes.l(turn.outputs[0], panorama.inputs[0])
    nodes.l(panorama.outputs[0], background.inputs[0])
    nodes.l(background.outputs[0], nodes.n("ShaderNodeOutputWorld").inputs[0])
    world.cycles.sampling_method, world.cycles.sample_map_resolution = "MANUAL", 256
    return {"map": turn, "env": panorama, "bg": background}


def _backdrop(size: int) -> dict:
    """Make a wall behind everything that only the camera sees, so that hair is denoised in front of it."""
    picture = bpy.data.images.new("backdrop", size, size, float_buffer=True)
    material = bpy.data.materials.new("backdrop")
    material.cycles.emission_sampling = "NONE"  # it is seen, it gives no light
    nodes = NT(material)
    window, texture = (
        nodes.n("ShaderNodeTexCoord"),
        nodes.n("ShaderNodeTexImage", _image=picture, _extension="EXTEND"),
    )
    shine = nodes.n("ShaderNodeEmission")
    nodes.l(window.outputs["Window"], texture.inputs[0])
    nodes.l(texture.outputs[0], shine.inputs[0])
    nodes.l(shine.outputs[0], nodes.n("ShaderNodeOutputMaterial").inputs[0])
    corners = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * FAR * 3
    wall = mesh_object("backdrop", corners, np.array([[0, 1, 2, 3]]), material)
    for ray in ("diffuse", "glossy", "transmission", "volume_scatter", "shadow"):
        setattr(wall, f"visible_{ray}", False)
    return {"picture": picture, "wall": wall}


def render(view, background: np.ndarray, seed: int) -> np.ndarray:
    """Render what stands in the scene through a `camera.View`, before a background linear RGB (S, S, 3).

    Returns linear RGB, float32 (S, S, 3).
    """
    size, axes = SC["size"], np.column_stack([view.right, view.up, -view.forward])
    camera, wall = SC["cam"], SC["wall"]
    camera.matrix_world = _placed(axes, view.position)
    wall.matrix_world = _placed(axes, view.position + FAR * view.forward)
    lens = camera.data
    lens.sensor_fit, lens.sensor_width, lens.lens = "HORIZONTAL", SENSOR, view.focal * SENSOR
    lens.shift_x, lens.shift_y, lens.clip_start = view.shift[0], -view.shift[1], 0.02
    opaque = np.concatenate([background[::-1], np.ones((size, size, 1))], 2)  # Blender's rows go upwards
    SC["picture"].pixels.foreach_set(opaque.astype(np.float32).ravel())
    SC["picture"].update()
    SC["sc"].cycles.seed = seed % 65536
    return _render_to_pixels(size)


def _placed(axes: np.ndarray, position: np.ndarray) -> Matrix:
    return Matrix([*np.column_stack([axes, position]).tolist(), [0, 0, 0, 1]])


def _render_to_pixels(size: int) -> np.ndarray:
    """Render through a file: Blender gives linear pixels to nothing else."""
    path = (
        Path(tempfile.gettempdir() if not Path("/dev/shm").is_dir() else "/dev/shm")
        / f"selfie_{os.getpid()}.exr"
    )
    SC["sc"].render.filepath = str(path)
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(str(path))
    pixels = np.empty(size * size * 4, np.float32)
    image.pixels.foreach_get(pixels)
    bpy.data.images.remove(image)
    path.unlink()
    return pixels.reshape(size, size, 4)[::-1, :, :3]

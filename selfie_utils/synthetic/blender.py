"""Blender as a renderer: meshes, strands, lamps, settings; nothing here knows of selfies."""

import math
import numpy as np
import bpy
import os
from mathutils import Matrix
from selfie_utils.synthetic.geometry import *


def mesh_object(name, verts, quads, mat, smooth=True, attrs={}):
    me = bpy.data.meshes.new(name)
    n, f = len(verts), len(quads)
    k = quads.shape[1]
    me.vertices.add(n)
    me.vertices.foreach_set("co", np.ascontiguousarray(verts, np.float32).ravel())
    me.loops.add(f * k)
    me.loops.foreach_set("vertex_index", np.ascontiguousarray(quads, np.int32).ravel())
    me.polygons.add(f)
    me.polygons.foreach_set("loop_start", np.arange(0, f * k, k, dtype=np.int32))
    me.update(calc_edges=True)
    if not smooth:
        me.shade_flat()
    for a, (typ, val) in attrs.items():
        at = me.attributes.new(a, typ, "POINT")
        at.data.foreach_set(
            {"FLOAT_COLOR": "color", "FLOAT": "value", "FLOAT_VECTOR": "vector"}[typ],
            np.ascontiguousarray(val, np.float32).ravel(),
        )
    me.materials.append(mat)
    ob = bpy.data.objects.new(name, me)
    bpy.context.scene.collection.objects.link(ob)
    return ob


def curves_object(name, S, rad, mat):
    n, K = S.shape[:2]
    cu = bpy.data.hair_curves.new(name)
    cu.add_curves([K] * n)
    cu.attributes["position"].data.foreach_set(
        "vector", np.ascontiguousarray(to_blender(S), np.float32).ravel()
    )
    ra = cu.attributes.get("radius") or cu.attributes.new("radius", "FLOAT", "POINT")
    t = np.linspace(0, 1, K)
    prof = np.minimum(1, (1 - t) * 3 + 0.25)
    ra.data.foreach_set("value", np.tile((rad * prof).astype(np.float32), n))
    cu.materials.append(mat)
    ob = bpy.data.objects.new(name, cu)
    bpy.context.scene.collection.objects.link(ob)
    return ob


class NT:
    """tiny helper to write node trees"""

    def __init__(s, mat):
        mat.use_nodes = True
        s.t = mat.node_tree
        s.t.nodes.clear()
        s.mat = mat

    def n(s, typ, **kw):
        nd = s.t.nodes.new(typ)
        for k, v in kw.items():
            if k.startswith("_"):
                setattr(nd, k[1:], v)
            else:
                nd.inputs[k.replace("__", " ")].default_value = v
        return nd

    def l(s, a, b):
        s.t.links.new(a, b)


def area(pos, target, sx, sy, power, colour, objs, shape="RECTANGLE"):
    li = bpy.data.lights.new("area", "AREA")
    li.shape = shape
    li.size = sx
    li.size_y = sy
    li.energy = power
    li.color = colour
    li.cycles.max_bounces = 2
    ob = bpy.data.objects.new("area", li)
    d = np.asarray(target) - np.asarray(pos)
    from mathutils import Vector

    ob.rotation_mode = "QUATERNION"
    ob.rotation_quaternion = Vector(d).to_track_quat("-Z", "Y")
    ob.location = pos
    SC["sc"].collection.objects.link(ob)
    objs.append(ob)


def purge(objs):
    for o in objs:
        d = o.data
        bpy.data.objects.remove(o)
        {"Mesh": bpy.data.meshes, "Curves": bpy.data.hair_curves}.get(
            type(d).__name__, bpy.data.lights
        ).remove(d)
    for m in [m for m in bpy.data.materials if m.name.startswith("hair_tmp")]:
        bpy.data.materials.remove(m)


SC = {}


def setup(size, samples, threads):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    sc = bpy.context.scene
    sc.render.engine = "CYCLES"
    c = sc.cycles
    c.device = "CPU"
    c.samples = samples
    c.use_adaptive_sampling = False
    c.use_denoising = True
    c.denoiser = "OPENIMAGEDENOISE"
    c.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    c.denoising_prefilter = "FAST"
    c.max_bounces = 3
    c.diffuse_bounces = 2
    c.glossy_bounces = 2
    c.transmission_bounces = 3
    c.transparent_max_bounces = 8
    c.caustics_reflective = c.caustics_refractive = False
    c.sample_clamp_indirect = 3.0
    c.sample_clamp_direct = 20.0
    c.blur_glossy = 1.0
    try:
        c.denoising_quality = "FAST"
    except Exception:
        pass
    sc.cycles_curves.shape = "RIBBONS"
    sc.cycles_curves.subdivisions = 2
    sc.render.film_transparent = True
    sc.render.use_persistent_data = False
    sc.render.threads_mode = "FIXED"
    sc.render.threads = threads
    sc.render.image_settings.file_format = "OPEN_EXR"
    sc.render.image_settings.color_mode = "RGBA"
    sc.render.image_settings.color_depth = "16"
    sc.render.image_settings.exr_codec = "NONE"
    sc.render.resolution_x = sc.render.resolution_y = size
    sc.render.resolution_percentage = 100
    sc.view_settings.view_transform = "Raw" if False else "Standard"
    w = bpy.data.worlds.new("w")
    sc.world = w
    t = NT(w)
    tc = t.n("ShaderNodeTexCoord")
    mp = t.n("ShaderNodeMapping")
    ev = t.n("ShaderNodeTexEnvironment")
    bg = t.n("ShaderNodeBackground")
    o = t.n("ShaderNodeOutputWorld")
    t.l(tc.outputs["Generated"], mp.inputs["Vector"])
    t.l(mp.outputs[0], ev.inputs[0])
    t.l(ev.outputs[0], bg.inputs[0])
    t.l(bg.outputs[0], o.inputs[0])
    w.cycles.sampling_method = "MANUAL"
    w.cycles.sample_map_resolution = 256
    cam = bpy.data.objects.new("cam", bpy.data.cameras.new("cam"))
    sc.collection.objects.link(cam)
    sc.camera = cam
    SC.update(sc=sc, map=mp, env=ev, bg=bg, cam=cam, size=size)


def render(view, seed):
    """Render what stands in the scene through a view; linear premultiplied RGBA, float32 (S, S, 4)."""
    size, cam = SC["size"], SC["cam"]
    axes = np.column_stack([view.right, view.up, -view.forward, view.position])
    cam.matrix_world = Matrix([*axes.tolist(), [0, 0, 0, 1]])
    cd = cam.data
    cd.sensor_fit, cd.sensor_width, cd.lens = "HORIZONTAL", 36.0, view.focal * 36.0
    cd.shift_x, cd.shift_y, cd.clip_start = view.shift[0], -view.shift[1], 0.02
    path = f"/dev/shm/selfie_{os.getpid()}.exr"
    SC["sc"].render.filepath = path
    SC["sc"].cycles.seed = seed % 65536
    bpy.ops.render.render(write_still=True)
    im = bpy.data.images.load(path)
    pixels = np.empty(size * size * 4, np.float32)
    im.pixels.foreach_get(pixels)
    bpy.data.images.remove(im)
    return pixels.reshape(size, size, 4)[::-1]

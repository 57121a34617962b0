"""Where a photo is taken, and by what light: a panorama that is both, and lamps."""

import math
import numpy as np
import bpy, os, glob
from scipy import ndimage as ndi
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.blender import *
from selfie_utils.synthetic.materials import *
from selfie_utils.synthetic.effects import disc_blur

HDRI_DIR = os.path.join(bpy.utils.resource_path("LOCAL"), "datafiles/studiolights/world")
ENV = {}
NEON = [((1, 0.15, 0.5), (0.1, 0.5, 1)), ((0.6, 0.15, 1), (0.1, 1, 0.8)), ((1, 0.3, 0.1), (0.3, 0.2, 1))]
_ROOMS = ["interior"] + [f"room{i:02d}" for i in range(2)]
# Panoramas that go with each light.
BACKGROUNDS = {
    "window": _ROOMS,
    "overcast": ["city", "courtyard", "forest"],
    "golden": ["sunset", "sunrise"],
    "sun": ["forest", "courtyard", "sunrise", "sunset"],
    "ring": _ROOMS,
    "flash": [*_ROOMS, "night"],
    "low": [*_ROOMS, "night"],
    "party": [*_ROOMS, "night"],
    "studio": ["studio"],
    "lamp": _ROOMS,
}


def load_envs():
    for f in sorted(glob.glob(HDRI_DIR + "/*.exr")) + sorted(glob.glob("/work/render/rooms/*.exr")):
        k = os.path.basename(f)[:-4]
        im = bpy.data.images.load(f)
        w, h = im.size
        a = np.empty(w * h * 4, np.float32)
        im.pixels.foreach_get(a)
        a = a.reshape(h, w, 4)[..., :3].copy()
        bpy.data.images.remove(im)
        a /= max(
            1e-6, np.median(a.mean(2)[h // 3 :]) * 2.2 + a.clip(0, 4).mean() * 0.6
        )  # comparable brightness
        lightmap = np.minimum(a, 12.0)  # suns become lamps; clamping removes fireflies
        bi = bpy.data.images.new("env_" + k, 512, 256, float_buffer=True)
        s = np.asarray(
            lightmap
            if (w, h) == (512, 256)
            else ndi.zoom(ndi.gaussian_filter(lightmap, (0.6, 0.6, 0)), (256 / h, 512 / w, 1), order=1)
        )
        bi.pixels.foreach_set(np.concatenate([s, np.ones((256, 512, 1))], -1).astype(np.float32).ravel())
        bi.update()
        bi.pack() if False else None
        ENV[k] = (bi, np.minimum(a, 25.0))


def env_lookup(a, d, rotz):
    """numpy version of Blender's equirectangular lookup; d (h,w,3) world directions"""
    c, s = math.cos(rotz), math.sin(rotz)
    x = d[..., 0] * c - d[..., 1] * s
    y = d[..., 0] * s + d[..., 1] * c
    u = -np.arctan2(y, x) / (2 * np.pi) + 0.5
    v = np.arcsin(np.clip(d[..., 2], -1, 1)) / np.pi + 0.5
    h, w = a.shape[:2]
    co = np.stack([(v * h - 0.5).ravel(), (u * w - 0.5).ravel()])
    return np.stack(
        [ndi.map_coordinates(a[..., k], co, order=1, mode="grid-wrap") for k in range(3)], 1
    ).reshape(d.shape)


def light(photo, view, target, objs):
    """p['light'] -> environment strength, lamps. Powers in W for lamps ~1.5 m away."""
    campos, fwd, right = view.position, view.forward, view.right
    k, az = photo.light, photo.light_angle
    up = np.array([0, 0, 1.0])
    back = -fwd  # back: from face to camera

    def at(a, e, d):
        h = norm(np.array([back[0], back[1], 0]))
        s = np.array([-h[1], h[0], 0])
        return np.asarray(target) + d * (math.cos(e) * (math.cos(a) * h + math.sin(a) * s) + math.sin(e) * up)

    S = dict(
        window=0.40,
        overcast=1.1,
        golden=0.55,
        sun=0.8,
        ring=0.35,
        flash=0.10,
        low=0.07,
        party=0.05,
        studio=0.7,
        lamp=0.22,
    )[k]
    if k == "window":
        area(at(az, 0.35, 1.6), target, 1.1, 1.5, 42, (1, 0.97, 0.93), objs)
    elif k == "overcast":
        area(at(az * 0.4, 1.0, 2.5), target, 3.0, 3.0, 40, (0.95, 0.98, 1), objs)
    elif k == "golden":
        area(at(az, 0.22, 3.0), target, 0.5, 0.5, 190, (1, 0.66, 0.34), objs)
        area(at(-az * 0.4, 0.2, 2.0), target, 2, 2, 12, (0.8, 0.88, 1), objs)
    elif k == "sun":
        area(at(az, 0.85, 3.0), target, 0.35, 0.35, 170, (1, 0.94, 0.84), objs)
        area(at(-az * 0.5, -0.3, 2.0), target, 2, 2, 10, (1, 0.95, 0.9), objs)
    elif k == "ring":
        m = bpy.data.materials.get("ring") or bpy.data.materials.new("ring")
        t = NT(m)
        e = t.n("ShaderNodeEmission", Strength=26.0, Color=(1, 0.97, 0.94, 1))
        o = t.n("ShaderNodeOutputMaterial")
        t.l(e.outputs[0], o.inputs[0])
        a = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        u2 = np.cross(right, fwd)
        ctr = np.asarray(campos) - fwd * 0.03
        v, q = tube(ctr + 0.19 * (np.cos(a)[:, None] * right + np.sin(a)[:, None] * u2), 0.022, True, 6)
        ob = mesh_object("ringlight", v, q, m)
        ob.visible_camera = False
        objs.append(ob)
    elif k == "flash":
        area(np.asarray(campos) + up * 0.02 + right * 0.015, target, 0.03, 0.03, 9, (1, 0.98, 0.95), objs)
    elif k == "low":
        area(np.asarray(campos) - up * 0.02, target, 0.08, 0.15, 0.9, (0.72, 0.84, 1), objs)
        area(at(az, 0.5, 1.8), target, 0.3, 0.3, 4.5, (1, 0.62, 0.32), objs)
    elif k == "party":
        area(at(abs(az) + 0.5, 0.1, 1.3), target, 0.15, 1.2, 16, NEON[photo.neon][0], objs)
        area(at(-abs(az) - 0.5, 0.1, 1.3), target, 0.15, 1.2, 16, NEON[photo.neon][1], objs)
        area(np.asarray(campos) + up * 0.05, target, 0.2, 0.2, 1.2, (1, 0.9, 0.85), objs)
    elif k == "studio":
        area(at(az, 0.4, 1.5), target, 0.8, 0.8, 30, (1, 1, 1), objs)
        area(at(-az - 1.6, 0.6, 1.5), target, 0.5, 0.9, 18, (1, 1, 1), objs)
    elif k == "lamp":
        area(at(az, 0.45, 1.4), target, 0.35, 0.35, 20, (1, 0.72, 0.44), objs)
    if k in ("window", "overcast", "golden", "sun", "lamp", "studio"):
        area(
            np.asarray(campos) - fwd * 0.55 + up * 0.35,
            target,
            0.9,
            0.7,
            {"window": 10.0, "overcast": 8.0, "golden": 14.0, "sun": 15.0, "lamp": 4.0, "studio": 6.0}[k],
            (1, 0.96, 0.92),
            objs,
        )  # bounce from the screen side: open shadows, catchlights
    img, _ = ENV[photo.background if photo.background in ENV else "studio"]
    SC["env"].image = img
    SC["map"].inputs["Rotation"].default_value = (0, 0, photo.background_turn)
    SC["bg"].inputs[1].default_value = S
    return S


def background(photo, view, strength, size):
    """Return what lies behind the people, linear RGB (S, S, 3): the panorama through the same camera, out of focus."""
    rays = view.rays(size)
    if photo.backdrop is None:
        seen = env_lookup(ENV[photo.background][1], rays, photo.background_turn) * strength * 1.3
        return disc_blur(seen, photo.blur * size / 192)
    first, second = map(np.array, photo.backdrop)
    w = np.linspace(1, 0, size)[:, None, None] * np.ones((size, size, 1))
    return (first * w + second * (1 - w)) * (0.25 + strength)

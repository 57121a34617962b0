"""Procedural rooms rendered once as small HDR panoramas (light + background of indoor selfies)."""

import bpy, numpy as np, sys, os, colorsys, time

ROOT = os.environ.get("SELFIE_ROOT", ".")
os.makedirs(ROOT + "/rooms", exist_ok=True)


def build(seed):
    r = np.random.default_rng(seed)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    sc = bpy.context.scene

    def mat(c, rough=0.6, emit=0, tex=None):
        m = bpy.data.materials.new("m")
        m.use_nodes = True
        t = m.node_tree
        b = t.nodes["Principled BSDF"]
        b.inputs["Base Color"].default_value = (*c, 1)
        b.inputs["Roughness"].default_value = rough
        if emit:
            b.inputs["Emission Color"].default_value = (*c, 1)
            b.inputs["Emission Strength"].default_value = emit
        if tex:
            tn = t.nodes.new(
                "ShaderNodeTexBrick"
                if tex == "tile"
                else "ShaderNodeTexWave"
                if tex == "wood"
                else "ShaderNodeTexNoise"
            )
            tc = t.nodes.new("ShaderNodeTexCoord")
            mx = t.nodes.new("ShaderNodeMix")
            mx.data_type = "RGBA"
            t.links.new(tc.outputs["Object"], tn.inputs["Vector"])
            tn.inputs["Scale"].default_value = 4.0
            mx.inputs[6].default_value = (*c, 1)
            mx.inputs[7].default_value = (*(np.array(c) * 0.6), 1)
            t.links.new(tn.outputs["Fac"], mx.inputs[0])
            t.links.new(mx.outputs[2], b.inputs["Base Color"])
        return m

    def box(lo, hi, m, rz=0):
        lo, hi = np.array(lo, float), np.array(hi, float)
        v = [[(lo, hi)[i][0], (lo, hi)[j][1], (lo, hi)[k][2]] for i in (0, 1) for j in (0, 1) for k in (0, 1)]
        me = bpy.data.meshes.new("b")
        me.from_pydata(
            v, [], [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        )
        me.materials.append(m)
        o = bpy.data.objects.new("b", me)
        sc.collection.objects.link(o)
        return o

    def ball(c, rad, m):
        bpy.ops.mesh.primitive_uv_sphere_add(radius=rad, location=c, segments=24, ring_count=12)
        o = bpy.context.object
        o.data.materials.append(m)
        bpy.ops.object.shade_smooth()
        return o

    hsv = lambda h, s, v: tuple(x**2.2 for x in colorsys.hsv_to_rgb(h % 1, s, v))
    col = lambda s=(0.1, 0.5), v=(0.3, 0.9): hsv(r.random(), r.uniform(*s), r.uniform(*v))
    W, L, H = r.uniform(1.6, 2.8), r.uniform(1.6, 3.0), r.uniform(2.4, 2.9)
    wallc = [hsv(r.uniform(0, 1), r.uniform(0.02, 0.22), r.uniform(0.62, 0.95)) for _ in range(2)]
    wm = [
        mat(wallc[0], 0.8),
        mat(wallc[1] if r.random() < 0.5 else wallc[0], 0.8, tex="tile" if r.random() < 0.2 else None),
    ]
    T = 0.08
    box(
        [-W, -L, -T],
        [W, L, 0],
        mat(hsv(r.uniform(0.04, 0.11), r.uniform(0.2, 0.6), r.uniform(0.25, 0.7)), 0.5, tex="wood"),
    )
    box([-W, -L, H], [W, L, H + T], mat((0.8, 0.8, 0.78)))
    for k, (lo, hi) in enumerate(
        [
            ([-W - T, -L, 0], [-W, L, H]),
            ([W, -L, 0], [W + T, L, H]),
            ([-W, -L - T, 0], [W, -L, H]),
            ([-W, L, 0], [W, L + T, H]),
        ]
    ):
        box(lo, hi, wm[k % 2])
    day = r.random() < 0.7
    sky = mat((0.75, 0.87, 1.0) if day else (0.03, 0.05, 0.12), emit=r.uniform(7, 13) if day else 1.5)
    side = r.choice([-1, 1])
    for s in range(r.integers(1, 3)):  # windows with curtains
        y = r.uniform(-L * 0.6, L * 0.3)
        w, h = r.uniform(0.7, 1.3), r.uniform(1.1, 1.6)
        x = side * (W - 0.005)
        box([min(x, x - side * 0.02), y, 0.85], [max(x, x - side * 0.02), y + w, 0.85 + h], sky)
        fm = mat((0.8, 0.8, 0.8), 0.4)
        for yy in (y - 0.05, y + w / 2 - 0.02, y + w):
            box([min(x, x - side * 0.05), yy, 0.8], [max(x, x - side * 0.05), yy + 0.05, 0.9 + h], fm)
        if r.random() < 0.7:
            cm = mat(col((0.1, 0.5), (0.5, 0.95)), 0.9)
            for e, sg in ((y - 0.35, 1), (y + w, 1)):
                for q in range(6):
                    box(
                        [min(x - side * (0.06 + 0.04 * (q % 2)), x - side * 0.10), e + q * 0.06, 0.1],
                        [
                            max(x - side * (0.06 + 0.04 * (q % 2)), x - side * 0.10),
                            e + q * 0.06 + 0.055,
                            H - 0.15,
                        ],
                        cm,
                    )
    for wall in range(4):  # pictures, shelves, furniture along the walls
        ax = wall % 2
        sg = 1 if wall < 2 else -1
        D = (W, L)[ax] * sg
        Lh = (L, W)[ax]

        def on(lo_t, hi_t, z0, z1, dep, m, off=0.0):
            a, b = sorted((D - sg * off, D - sg * (off + dep)))
            return box(
                [a, lo_t, z0] if ax == 0 else [lo_t, a, z0], [b, hi_t, z1] if ax == 0 else [hi_t, b, z1], m
            )

        if not (ax == 0 and sg == side):
            for _ in range(r.integers(0, 4)):
                t = r.uniform(-Lh * 0.8, Lh * 0.6)
                z = r.uniform(1.25, 1.8)
                w, h = r.uniform(0.25, 0.7), r.uniform(0.25, 0.6)
                on(
                    t - 0.03,
                    t + w + 0.03,
                    z - 0.03,
                    z + h + 0.03,
                    0.02,
                    mat(r.choice([0.02, 0.7]) * np.ones(3)),
                )
                on(t, t + w, z, z + h, 0.012, mat(col((0.2, 0.8), (0.3, 0.9)), tex="noise"), 0.018)
            if r.random() < 0.55:
                t = r.uniform(-Lh * 0.8, Lh * 0.1)
                z0 = r.uniform(0.5, 1.4)
                wd = mat(hsv(0.08, r.uniform(0.2, 0.6), r.uniform(0.3, 0.85)))
                for sh in range(r.integers(1, 4)):
                    z = z0 + sh * 0.33
                    on(t, t + 0.9, z, z + 0.03, 0.25, wd)
                    q = t
                    while q < t + 0.82:
                        bw = r.uniform(0.02, 0.06)
                        if r.random() < 0.85:
                            on(
                                q,
                                q + bw * 0.9,
                                z + 0.03,
                                z + 0.03 + r.uniform(0.14, 0.25),
                                0.17,
                                mat(col((0.2, 0.8), (0.2, 0.9))),
                            )
                        q += bw
        if r.random() < 0.75:
            t = r.uniform(-Lh * 0.8, Lh * 0.2)
            h = r.uniform(0.4, 0.8)
            w = r.uniform(0.8, 1.8)
            c = mat(col((0.1, 0.6), (0.2, 0.8)), 0.8)
            on(t, t + w, 0, h, r.uniform(0.4, 0.7), c)
            if r.random() < 0.6:
                on(t, t + w, h, h + 0.4, 0.2, c)
            for _ in range(2):
                p = r.uniform(t, t + w)
                pos = [D - sg * 0.3, p, h + 0.14] if ax == 0 else [p, D - sg * 0.3, h + 0.14]
                ball(pos, 0.13, mat(col((0.3, 0.8), (0.4, 0.95)), 0.9))
        if r.random() < 0.4:
            t = r.uniform(-Lh * 0.8, Lh * 0.8)
            base = np.array([D - sg * 0.35, t, 0] if ax == 0 else [t, D - sg * 0.35, 0])
            g = mat(hsv(r.uniform(0.25, 0.38), 0.6, r.uniform(0.25, 0.55)), 0.6)
            box(base + [-0.12, -0.12, 0], base + [0.12, 0.12, 0.3], mat(col()))
            for _ in range(22):
                ball(
                    base + [r.normal(0, 0.14), r.normal(0, 0.14), r.uniform(0.45, 1.2)],
                    r.uniform(0.05, 0.11),
                    g,
                )
    for _ in range(r.integers(1, 4)):  # lamps, fairy lights
        p = [r.uniform(-W * 0.85, W * 0.85), r.choice([-1, 1]) * L * 0.85, r.uniform(0.9, 1.7)]
        ball(p, r.uniform(0.06, 0.13), mat((1, 0.72, 0.42), emit=r.uniform(8, 25)))
    if r.random() < 0.35:
        y = r.choice([-1, 1]) * (L - 0.05)
        fl = mat((1, 0.75, 0.4), emit=40)
        for q in np.linspace(-W, W, 22):
            ball([q, y, 2.0 - 0.15 * np.cos(q * 3) + r.normal(0, 0.02)], 0.016, fl)
    if r.random() < 0.6:
        box([-0.35, -0.35, H - 0.03], [0.35, 0.35, H - 0.01], mat((1, 0.93, 0.82), emit=r.uniform(2, 9)))
    w = bpy.data.worlds.new("w")
    sc.world = w
    w.use_nodes = True
    w.node_tree.nodes["Background"].inputs[0].default_value = (0.08, 0.09, 0.1, 1)
    cd = bpy.data.cameras.new("c")
    cd.type = "PANO"
    try:
        cd.panorama_type = "EQUIRECTANGULAR"
    except AttributeError:
        cd.cycles.panorama_type = "EQUIRECTANGULAR"
    cam = bpy.data.objects.new("c", cd)
    cam.location = (r.uniform(-0.5, 0.5), r.uniform(-0.5, 0.5), 1.5)
    cam.rotation_euler = (np.pi / 2, 0, -np.pi / 2)
    sc.collection.objects.link(cam)
    sc.camera = cam
    sc.render.engine = "CYCLES"
    c = sc.cycles
    c.samples = 10
    c.use_denoising = True
    c.denoiser = "OPENIMAGEDENOISE"
    c.max_bounces = 4
    c.sample_clamp_indirect = 4
    c.use_adaptive_sampling = False
    sc.render.resolution_x, sc.render.resolution_y = 768, 384
    sc.render.image_settings.file_format = "OPEN_EXR"
    sc.render.image_settings.color_depth = "16"
    sc.render.image_settings.exr_codec = "DWAA"
    sc.render.filepath = f"{ROOT}/rooms/room{seed:02d}.exr"
    t = time.time()
    bpy.ops.render.render(write_still=True)
    print("ROOM", seed, time.time() - t, flush=True)


for s in range(int(sys.argv[1]), int(sys.argv[2])):
    build(s)

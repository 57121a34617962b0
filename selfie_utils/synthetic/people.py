"""A whole person, built in Blender: body, eyes, hair, clothes, accessories."""

import math
import numpy as np
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.regions import *
from selfie_utils.synthetic.body import *
from selfie_utils.synthetic.body import WSEL
from selfie_utils.synthetic.makehuman import MODEL, PARTS, T
from selfie_utils.synthetic.faces import EXPR
from selfie_utils.synthetic.blender import *
from selfie_utils.synthetic.materials import *
from selfie_utils.synthetic.skin import *
from selfie_utils.synthetic.beards import facial_strands
from selfie_utils.synthetic.hair import hair_with_hat
from selfie_utils.synthetic.hair_colours import beard_colour, hair_material, strand_colour
from selfie_utils.synthetic.clothes import *
from selfie_utils.synthetic.accessories import *


def as_wishes(person, look):
    """Turn a description into the dict that parts not yet rebuilt still read (goes when none does)."""
    age, male = person.age, person.presented_gender == "male"
    r = np.random.default_rng(person.seed)
    tint = 0.06 * r.random()
    return {
        "gender": 1 - tint if male else tint,
        "age": age,
        "muscle": person.muscle,
        "weight": person.weight,
        "age_param": 0.5 + max(0, age - 25) / 100 * 0.5,
        "ancestry": dict(zip(("caucasian", "asian", "african"), person.ancestry, strict=True)),
        "details": dict(person.features),
        "expression": {k: w * look.strength for k, w in EXPR[look.expression].items()},
        "head_yaw": look.head_yaw,
        "head_pitch": look.head_pitch,
        "head_roll": look.head_roll,
        "body_yaw": look.body_yaw,
        "arm": look.arm,
        "hand_out": look.hand_out,
        "hair": person.hair_style,
        "hair_len": person.hair_length,
        "hair_colour": person.hair_colour,
        "dye": person.dye,
        "part": person.parting,
        "fringe": person.fringe,
        "brow": person.brow,
        "beard": person.beard,
        "beard_len": person.beard_length,
        "skin": person.skin_tone,
        "blush": look.blush,
        "freckles": person.freckles,
        "makeup": look.makeup,
        "eye_open": look.eyes_open,
        "shadow": look.shadow,
        "lip": look.lips,
        "eye": person.eye_colour,
        "top": look.garment,
        "pattern": look.pattern,
        "top_colour": look.colour,
        "top_colour2": look.second_colour,
        "glasses": None if look.glasses == "none" else look.glasses,
        "glasses_shape": look.frame,
        "glasses_metal": look.metal_frame,
        "hat": None if look.hat == "none" else look.hat,
        "hat_colour": look.hat_colour,
        "earrings": look.earrings,
        "strands": 5200,
        "seed": person.seed,
    }


def build_person(person, look, cam_b, shift_b, objs, mirror=False):
    """cam_b: camera position in Blender metres; shift_b: where this person's neck base stands. -> head info"""
    p, seed = as_wishes(person, look), person.seed
    r = np.random.default_rng(seed)
    v = morph(p)
    origin = joint(v, "neck") + np.array([0, 0, 0.0])
    yawB = p.get("body_yaw", 0.0)
    RB = rot([0, 1, 0], yawB)
    to_mh = lambda b: np.array([b[0], b[2], -b[1]]) / DM
    shift = to_mh(shift_b)
    camp = RB.T @ (to_mh(cam_b) - shift) + origin  # camera in this body's frame
    # eyes follow the camera, the lids follow the eyes
    e0 = 0.5 * (v[MODEL["eyes"]["helper-l-eye"][0]] + v[MODEL["eyes"]["helper-r-eye"][0]])
    Rh = rot([0, 1, 0], p["head_yaw"]) @ rot([1, 0, 0], p["head_pitch"]) @ rot([0, 0, 1], p["head_roll"])
    gl = Rh.T @ norm(camp + np.array(p.get("gaze_off", (0, 0, 0))) - e0)
    vert = math.degrees(math.asin(np.clip(gl[1], -1, 1)))
    for s in ("Left", "Right"):
        k = "Up" if vert > 0 else "Down"
        i, d = T[f"fu/eyeLook{k}{s}"]
        v[i] += min(1, abs(vert) / 32) * d
    hand = None
    if p.get("arm") in ("l", "r"):
        sg = 1 if p["arm"] == "l" else -1
        hand = (
            camp + norm(camp) * 1.2 + np.array([sg * p.get("hand_out", 1.2), -0.9, 0])
        )  # at and behind the camera, to one side
        if mirror:  # before the shoulder, beside the chin: there the phone is seen
            hand = joint(v, p["arm"] + "-shoulder") + np.array([sg * 0.45, 0.25, 2.45])
            beside = sg * norm(np.cross([0, 1.0, 0], camp - origin))  # the phone must not hide the face
            hand = hand + beside * max(0, 2.1 - (hand - origin) @ beside)
    vp, R, t = pose(v, p, hand)
    if mirror and hand is not None:
        vp = close_hand(vp, p["arm"])
    vp = (vp - origin) @ RB.T + shift
    R2 = RB @ R
    t2 = RB @ (t - origin) + shift
    eyes = []
    for k in ("helper-l-eye", "helper-r-eye"):
        a, b = MODEL["eyes"][k]
        e = v[a : b + 1]
        lo, hi = e.min(0), e.max(0)
        rad = (hi[0] - lo[0]) / 2
        c = np.array([(lo[0] + hi[0]) / 2, (lo[1] + hi[1]) / 2, lo[2] + rad])
        eyes.append((c, rad))
    P = B["S"] @ vp
    N = quad_normals(P, BQ)
    hd = Head(P, N, R2, t2, v)
    col, rough = skin_colours(p, seed % 10007)
    objs.append(
        mesh_object(
            "body",
            to_blender(P),
            BQ,
            MATS["skin"],
            attrs={"col": ("FLOAT_COLOR", col), "rough": ("FLOAT", rough), "rp": ("FLOAT_VECTOR", BR)},
        )
    )
    camw = to_mh(cam_b) + RB @ np.array(p.get("gaze_off", (0, 0, 0)))
    for c, rad in eyes:
        cw = hd.worm(c)
        g = hd.R.T @ norm(camw - cw)
        g[0] = np.clip(g[0], -0.45, 0.45)
        g[1] = np.clip(g[1], -0.35, 0.35)
        g[2] = max(g[2], 0.5)
        objs.append(eye_object(cw, rad * 1.0, hd.dirw(norm(g)), p["eye"], r))
    for nme in ("teeth", "tongue"):
        TP = PARTS[nme]["S"] @ vp
        if nme == "teeth":
            TP = TP + hd.dirw(np.array([0, -0.055, 0.0])) * (PARTS[nme]["rest"][:, 1:2] > 6.6)
        attrs = {"col": ("FLOAT_COLOR", teeth_colours())} if nme == "teeth" else {}
        material = enamel_material() if nme == "teeth" else MATS[nme]
        objs.append(mesh_object(nme, to_blender(TP), PARTS[nme]["q"], material, attrs=attrs))
    L = PARTS["lash"]
    lp = L["S"] @ vp
    objs.append(
        mesh_object(
            "lash",
            to_blender(lp),
            L["q"],
            MATS["lash"],
            attrs={"cut": ("FLOAT", np.full(len(lp), 0.35 + 0.3 * min(1, p["makeup"])))},
        )
    )
    clothes(vp, p, objs, seed % 1009)
    hairs = hair_with_hat(hd, p, r)
    curly = p["hair"] in ("afro", "curlytop", "curlylong")
    soft = 0.9 if p["hair"] == "buzz" else 0.5  # light through short hair would glitter
    hm = hair_material(strand_colour(p["hair_colour"], p["dye"]), 0.55 if curly else 0.34, soft)
    bm = hair_material(beard_colour(p["hair_colour"]), 0.6, soft=0.85)
    for S, rad, key in hairs + facial_strands(hd, p, r):
        objs.append(curves_object(key, S, rad, hm if key == "hair" else bm))
    accessories(hd, p, [(hd.loc(hd.worm(c)), rad) for c, rad in eyes], r, objs)
    if mirror and hand is not None:
        flesh = col[np.abs(BR[:, 0]) > 4.3].mean(0)
        phone(joint(vp, p["arm"] + "-hand"), camw, 1 if p["arm"] == "l" else -1, flesh, objs)
    # head points for the box: everything of the head above the chin, hair excluded
    sel = (BR[:, 1] > 6.15) & (WSEL > 0.5)
    face = sel & (z_ > 0.55) & (BR[:, 1] < 8.05) & (B["masks"]["ears"] < 0.5)
    return dict(
        head=to_blender(P[sel]),
        face=to_blender(P[face]),
        centre=to_blender(hd.wor(np.array([0, 7.2, 0.9]))[None])[0],
        eyes=[to_blender(hd.worm(c)[None])[0] for c, _ in eyes],
        strands=sum(len(h[0]) for h in hairs),
    )

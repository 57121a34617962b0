"""Hair as strands: guides that grow from the scalp, and children between them."""

import math
import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.regions import *
from selfie_utils.synthetic import regions
from selfie_utils.synthetic.body import *


def grow(hd, root, nrm, rest, r, st):
    """Guide strands. st: dict(length, lift, comb(fn rest->dir head frame), stiff, gravity, offset, steps, keep_face)."""
    K = st["steps"]
    n = len(root)
    L = st["length"](rest) if callable(st["length"]) else np.full(n, st["length"])
    L = L * r.uniform(0.88, 1.05, n)
    sg_ = np.ones(K - 1)
    sg_[:4] = (0.25, 0.4, 0.6, 0.8)[: K - 1] if K > 6 else 1.0
    sg_ /= sg_.sum()
    comb = hd.dirw(norm(st["comb"](rest)))
    g = np.array([0, -1.0, 0])
    off = r.uniform(*st["offset"], n)
    d = norm(nrm * st["lift"] + comb * (1 - st["lift"]))
    p = root - nrm * 0.004
    out = [p]
    for k in range(1, K):
        t = k / (K - 1)
        d = norm(
            d * st["stiff"]
            + comb * st.get("hold", 0.3) * (1 - t) ** st.get("decay", 2)
            + g * st["gravity"] * (0.3 + 0.7 * min(1, t * 2))
        )
        if st.get("hug"):  # no component away from the nearest surface while over the skull
            l = hd.loc(p)
            near = ss(6.9, 7.4, l[:, 1]) * st["hug"]
            _, j0 = hd.tree.query(p)
            nn = hd.kN[j0]
            d = norm(d - nn * (np.clip((d * nn).sum(1), 0, None) * near)[:, None])
        seg = (L * sg_[k - 1])[:, None]
        q = p + d * seg
        o = off * min(1, 0.35 + k / 4.0)
        for _ in range(2):  # push out of head, neck and shoulders
            dist, j = hd.tree.query(q)
            sd = ((q - hd.kP[j]) * hd.kN[j]).sum(1)
            push = np.clip(o - sd, 0, None) * (dist < 1.2)
            q = q + hd.kN[j] * push[:, None] * 0.9
        if st.get("keep_face", True):  # hair stays out of the face
            l = hd.loc(q)
            inn = (l[:, 2] > 0.45) & (l[:, 1] < 7.95) & (l[:, 1] > 4.9)
            lim = np.where(l[:, 1] > 7.0, 0.70, 0.66) + 0.02
            sgn = np.where(np.abs(rest[:, 0]) < 0.05, np.sign(r.normal(size=n)), np.sign(l[:, 0]))
            bad = inn & (np.abs(l[:, 0]) < lim)
            l[:, 0] = np.where(bad, sgn * lim, l[:, 0])
            l[:, 2] = np.where(bad, np.minimum(l[:, 2], 0.98), l[:, 2])
            q = hd.wor(l)
        dd = q - p
        q = p + norm(dd) * seg
        d = norm(q - p)
        p = q
        out.append(p)
    return np.stack(out, 1)


def children(guides, g_rest, root, nrm, rest, r, st):
    n, K = len(root), guides.shape[1]
    same = 4.0 * (np.sign(g_rest[:, 0] - st.get("part", 0)))[:, None]
    samec = 4.0 * np.sign(rest[:, 0] - st.get("part", 0))[:, None]
    use_part = st.get("use_part", False)
    gk = np.hstack([g_rest, same * use_part])
    ck = np.hstack([rest, samec * use_part])
    dist, j = cKDTree(gk).query(ck, k=3)
    w = 1 / (dist + 0.02) ** 2
    w /= w.sum(1, keepdims=True)
    rel = guides - guides[:, :1]
    C = np.einsum("nk,nkcd->ncd", w, rel[j]) + (root - nrm * 0.004)[:, None]
    t = np.linspace(0, 1, K)[None, :, None]
    cl = st.get("clump", 0.4)
    C = C + (guides[j[:, 0]] - C) * (cl * t**1.0) * r.uniform(0.5, 1, (n, 1, 1))
    fz = st.get("frizz", 0.03)
    C = C + r.normal(size=(n, 1, 3)) * fz * t + np.cumsum(r.normal(size=(n, K, 3)), 1) * fz * 0.05
    if st.get("wave", 0):
        ph = st["_phase"][j[:, 0]] + r.normal(0, 0.35, n)
        f = st["wave_freq"] * (1 + 0.1 * r.normal(size=n))
        T_ = norm(np.gradient(C, axis=1))
        a1 = norm(np.cross(T_, [0.3, 0.2, 1.0]))
        a2 = np.cross(T_, a1)
        ang = 2 * np.pi * f[:, None] * t[:, :, 0] + ph[:, None]
        am = st["wave"] * np.minimum(1, t * 4)
        C = C + am * (np.sin(ang)[..., None] * a1 + st.get("helix", 0.3) * np.cos(ang)[..., None] * a2)
    return C


def hair(hd, p, r):
    """-> list of (strands (n,K,3), radius m, colour key)"""
    style, out = p["hair"], []
    if style == "bald":
        return out
    N = p.get("strands", 5000)
    part = p["part"] * 0.35
    lenf = p["hair_len"]

    def comb_side(rest):  # away from the parting, a bit back and down
        s = np.sign(rest[:, 0] - part)
        u = norm(rest - HEADC)
        return np.stack(
            [
                s * (0.9 - 0.3 * np.abs(u[:, 0])),
                -0.25 - 0.5 * np.abs(u[:, 0]),
                -0.55 * ss(0.2, 0.9, u[:, 2]) - 0.1,
            ],
            1,
        )

    comb_back = lambda rest: np.stack(
        [rest[:, 0] * 0.25, 0.05 - 0.5 * ss(0, 0.6, -norm(rest - HEADC)[:, 2]), -np.ones(len(rest))], 1
    )
    comb_fwd = lambda rest: np.stack(
        [
            rest[:, 0] * 0.2 + 0.25 * (p["part"] or 0.3),
            -0.35 - 0.7 * np.clip(np.abs(rest[:, 0]) - 0.3, 0, 1),
            np.where(norm(rest - HEADC)[:, 2] > -0.3, 1.0, -0.1),
        ],
        1,
    )
    comb_down = lambda rest: np.stack([rest[:, 0] * 0.3, -np.ones(len(rest)), rest[:, 2] * 0 - 0.1], 1)
    comb_rad = lambda rest: norm(rest - HEADC)

    def comb_swept(rest):
        u = norm(rest - HEADC)
        top = ss(0.35, 0.75, u[:, 1])[:, None]
        s = 1.0 if part <= 0 else -1.0
        a = np.stack([np.full(len(rest), s), 0 * u[:, 0], 0.15 + 0.4 * u[:, 2]], 1)
        return norm(a) * top + norm(comb_down(rest)) * (1 - top)

    fringe = None
    mask = (regions.SCALP * (regions.ROOTS / np.maximum(regions.SCALP, 1e-6))).copy()
    keep = True
    st = dict(
        steps=14,
        lift=0.35,
        stiff=1.0,
        hold=0.5,
        gravity=0.35,
        offset=(0.05, 0.35),
        clump=0.45,
        frizz=0.05,
        part=part,
    )
    if style == "buzz":
        st.update(
            steps=4,
            length=0.10,
            lift=0.75,
            comb=comb_fwd,
            gravity=0,
            offset=(0.0, 0.1),
            clump=0,
            frizz=0.02,
            keep_face=False,
        )
        N = int(N * 1.3)
    elif style in ("short", "crop", "quiff", "swept"):
        u = lambda rest: ss(0.25, 0.7, norm(rest - HEADC)[:, 1])
        top = {"short": 0.38, "crop": 0.30, "quiff": 0.55, "swept": 0.6}[style] * lenf
        st.update(
            steps=8,
            length=lambda rest: 0.14 * lenf + (top - 0.14 * lenf) * u(rest),
            lift={"short": 0.30, "crop": 0.28, "quiff": 0.42, "swept": 0.30}[style],
            gravity=0.10,
            hold=0.7,
            hug=0.35,
            comb=(
                lambda f: (
                    lambda rest: (
                        norm(f(rest)) * ss(0.2, 0.6, norm(rest - HEADC)[:, 1])[:, None]
                        + norm(comb_down(rest) + [0, 0, -0.5])
                        * (1 - ss(0.2, 0.6, norm(rest - HEADC)[:, 1]))[:, None]
                    )
                )
            )({"short": comb_fwd, "crop": comb_fwd, "quiff": comb_back, "swept": comb_swept}[style]),
            offset=(0.03, 0.22),
            clump=0.5,
            frizz=0.03,
            keep_face=False,
        )
        N = int(N * 1.5)
    elif style in ("long", "bob", "wavy", "curlylong"):
        L = {"long": 4.2, "wavy": 4.0, "bob": 2.3, "curlylong": 3.6}[style] * lenf
        st.update(
            steps=20 if style != "curlylong" else 26,
            length=L,
            lift=0.10,
            comb=comb_side,
            gravity=0.75,
            stiff=0.55,
            decay=5,
            hold=0.7,
            hug=0.9,
            offset=(0.06, 0.30),
            use_part=True,
            clump=0.5,
            frizz=0.06,
        )
        if style == "wavy":
            st.update(steps=24, wave=0.085, wave_freq=2.6 * lenf, helix=0.4, clump=0.55, frizz=0.04)
        if style == "curlylong":
            st.update(
                steps=34,
                wave=0.11,
                wave_freq=5.0 * lenf,
                helix=1.0,
                clump=0.6,
                frizz=0.06,
                offset=(0.08, 0.45),
            )
        if style == "bob":
            st.update(cut=6.25 - 0.3 * (lenf - 1), wave=0.03, wave_freq=1.2)
    elif style == "afro":
        st.update(
            steps=16,
            length=lambda rest: lenf * (0.30 + 0.45 * ss(7.0, 7.9, rest[:, 1])),
            lift=0.9,
            comb=comb_rad,
            gravity=0.02,
            hold=0.7,
            offset=(0.05, 0.2),
            clump=0.3,
            frizz=0.06,
            wave=0.05,
            wave_freq=3.2,
            helix=1.0,
            keep_face=False,
        )
        N = int(N * 1.3)
    elif style == "curlytop":
        u = lambda rest: ss(0.15, 0.6, norm(rest - HEADC)[:, 1])
        st.update(
            steps=14,
            length=lambda rest: 0.25 + 0.55 * lenf * u(rest),
            lift=0.6,
            comb=comb_fwd,
            gravity=0.12,
            hold=0.3,
            offset=(0.05, 0.3),
            clump=0.6,
            frizz=0.08,
            wave=0.10,
            wave_freq=2.6,
            helix=1.0,
            keep_face=False,
        )
    elif style in ("bun", "ponytail"):
        Bn = np.array([0, 8.42, 0.10]) if style == "bun" else np.array([0, 7.75, -0.45])

        def comb_to(rest):
            return Bn - rest

        st.update(
            steps=12,
            length=lambda rest: np.linalg.norm(rest - Bn, axis=1) * 1.12,
            lift=0.10,
            comb=comb_to,
            hold=1.4,
            gravity=0,
            offset=(0.03, 0.16),
            clump=0.3,
            frizz=0.02,
            keep_face=False,
        )
    mask = mask * (BR[:, 1] > 6.4)
    P, Nn = hd.P, hd.N
    ng = 420
    gr, gn, grest, gm = sample_roots(P, Nn, mask, ng, r)
    if style in ("bun", "ponytail"):
        K = 12
        u0, u1 = norm(grest - HEADC), norm(Bn - HEADC)
        om = np.arccos(np.clip(u0 @ u1, -1, 1))[:, None, None]
        t = np.linspace(0, 1, K)[None, :, None]
        u = (np.sin((1 - t) * om) * u0[:, None] + np.sin(t * om) * u1) / np.sin(om)
        l0 = hd.loc(gr)
        rr = np.linalg.norm(l0 - HEADC, axis=1)[:, None, None]
        r1 = np.linalg.norm(hd.loc(hd.kP[hd.tree.query(hd.wor(Bn[None]))[1]]) - HEADC, axis=1)[:, None, None]
        Q = hd.wor((HEADC + u * (rr * (1 - t) + (r1 + 0.08) * t)).reshape(-1, 3))
        off = np.repeat(r.uniform(0.03, 0.13, ng), K) * np.tile(np.minimum(1, np.linspace(0.15, 3.5, K)), ng)
        for _ in range(3):
            dist, j = hd.tree.query(Q)
            sd = ((Q - hd.kP[j]) * hd.kN[j]).sum(1)
            Q = Q + hd.kN[j] * (off - sd)[:, None] * 0.8
        G = Q.reshape(ng, K, 3)
    else:
        G = grow(hd, gr, gn, grest, r, st)
    st["_phase"] = r.uniform(0, 6.28, ng)
    cr, cn, crest, cm = sample_roots(P, Nn, mask, N, r)
    C = children(G, grest, cr, cn, crest, r, st)
    if st.get("keep_face", True):  # the children too keep clear of eyes, nose and mouth
        l = hd.loc(C.reshape(-1, 3))
        lim = np.interp(l[:, 1], [5.0, 7.0, 7.5, 7.8, 8.0], [0.60, 0.68, 0.60, 0.25, 0.0])
        bad = (l[:, 2] > 0.55) & (np.abs(l[:, 0]) < lim)
        sd_ = np.sign(l[:, 0].reshape(len(C), -1)[:, C.shape[1] // 3 :].mean(1) + 1e-6).repeat(
            C.shape[1]
        )  # one side per strand, or it is drawn across the face
        bad |= (l[:, 2] > 0.55) & (lim > 0) & (np.sign(l[:, 0]) != sd_)
        l[:, 0] = np.where(
            bad, sd_ * (lim + 0.075 * np.minimum(1, np.abs(l[:, 0]) / np.maximum(lim, 0.01))), l[:, 0]
        )
        C = hd.wor(l).reshape(C.shape)
        C[:, 1:] = ndi.gaussian_filter1d(C, 1.1 if not st.get("wave") else 0.6, axis=1, mode="nearest")[:, 1:]
    if "cut" in st:  # blunt cut at a height of the head frame
        l = hd.loc(C.reshape(-1, 3)).reshape(C.shape)[..., 1]
        K = C.shape[1]
        below = l < st["cut"] + r.normal(0, 0.04, (len(C), 1))
        first = np.where(below.any(1), below.argmax(1), K - 1).clip(2)
        tt = np.linspace(0, 1, K)[None] * first[:, None]
        i0 = np.floor(tt).astype(int).clip(0, K - 2)
        f = (tt - i0)[..., None]
        C = (
            np.take_along_axis(C, i0[..., None], 1) * (1 - f)
            + np.take_along_axis(C, i0[..., None] + 1, 1) * f
        )
    rad = {
        "buzz": 0.00028,
        "afro": 0.00036,
        "short": 0.00032,
        "crop": 0.00032,
        "quiff": 0.00034,
        "swept": 0.00034,
    }.get(style, 0.00042)
    rad = rad * math.sqrt(5000 / max(p.get("strands", 5000), 1500))
    out.append((C, rad, "hair"))
    if p.get("fringe") and style in ("long", "bob", "wavy", "curlylong", "bun", "ponytail"):
        fm = mask * ss(-0.05, 0.1, z_ - 1.02) * (x_ < 0.62)
        s2 = dict(
            steps=10,
            length=lambda rest: (
                0.55 + 0.25 * np.abs(rest[:, 0]) + np.clip(8.35 - rest[:, 1], -0.3, 0.2) * -0.6
            ),
            lift=0.25,
            stiff=1.0,
            hold=0.5,
            gravity=0.42,
            offset=(0.04, 0.16),
            clump=0.4,
            frizz=0.03,
            keep_face=False,
            comb=lambda rest: np.stack(
                [rest[:, 0] * 0.5 + 0.15 * p["part"], -0.2 + 0 * rest[:, 0], np.ones(len(rest))], 1
            ),
        )
        a, b, c, _ = sample_roots(P, Nn, fm, 80, r)
        G2 = grow(hd, a, b, c, r, s2)
        a2, b2, c2, _ = sample_roots(P, Nn, fm, int(N * 0.16), r)
        out.append((children(G2, c, a2, b2, c2, r, s2), 0.00038, "hair"))
    if style == "bun":  # ball of swirling strands on the crown
        n = int(N * 0.22)
        d = norm(r.normal(size=(n, 3)))
        rb = 0.40 * lenf**0.5
        ax = norm(np.array([0.2, 1.0, -0.4]))
        ctr = Bn + norm(Bn - HEADC) * rb * 0.8
        th = np.linspace(0, 1.6, 10)
        e = norm(np.cross(ax, d))
        S = (
            np.stack([norm(d * math.cos(a) + e * math.sin(a)) for a in th], 1)
            * rb
            * r.uniform(0.9, 1.03, (n, 1, 1))
        )
        out.append((hd.wor((S * [1.1, 0.85, 1.1] + ctr).reshape(-1, 3)).reshape(S.shape), 0.00042, "hair"))
    if style == "ponytail":
        n = int(N * 0.3)
        K = 16
        base = hd.wor(Bn[None])[0]
        t = np.linspace(0, 1, K)[None, :, None]
        sd = np.sign(p["part"] or 1)
        q = r.normal(size=(n, 1, 3)) * 0.14
        drop = hd.dirw(np.array([0.35 * sd, 0.25, -0.9]))
        S = (
            base
            + q * (0.5 + 1.2 * np.sin(np.pi * np.minimum(t * 0.8 + 0.08, 1)))
            + drop * 0.55 * np.sin(t * 2.0)
            + np.array([0.35 * sd, -3.0 * lenf, 0.0]) * t**1.5
            + r.normal(size=(n, K, 3)) * 0.01
        )
        out.append((S, 0.00042, "hair"))
    return out


def facial_strands(hd, p, r):
    out = []

    def patch(mask, n, L, comb, lift, rad, key, fr=0.02, K=4):
        a, b, c, m = sample_roots(hd.P, hd.N, mask, n, r, 0.25)
        d = hd.dirw(norm(comb(c)))
        d = norm(d - b * (d * b).sum(1, keepdims=True))
        t = np.linspace(0, 1, K)[None, :, None]
        Ls = (L * r.uniform(0.6, 1.1, n) * (0.5 + 0.5 * m))[:, None, None]
        S = (
            a[:, None]
            + Ls * t * (d[:, None] * (1 - lift) + b[:, None] * lift * (1 - 0.4 * t))
            + r.normal(size=(n, 1, 3)) * fr * t
        )
        out.append((S, rad, key))

    sg = lambda c: np.sign(c[:, 0])
    patch(
        BROW,
        int(620 * p["brow"]),
        0.062,
        lambda c: np.stack(
            [
                sg(c) * (0.55 + 2.2 * np.clip(np.abs(c[:, 0]) - 0.14, 0, 0.3)),
                0.62 - 2.6 * np.clip(np.abs(c[:, 0]) - 0.18, 0, 0.45),
                0 * c[:, 0],
            ],
            1,
        ),
        0.07,
        0.00013,
        "brow",
        0.002,
    )
    down = lambda c: np.stack([c[:, 0] * 0.5, -np.ones(len(c)), 0.2 + 0 * c[:, 0]], 1)
    if p["beard"] == "full":
        patch(BEARD, 4200, 0.16 * p.get("beard_len", 1), down, 0.30, 0.00033, "beard", 0.03)
    elif p["beard"] == "short":
        patch(BEARD, 3600, 0.075, down, 0.30, 0.00028, "beard", 0.02)
    elif p["beard"] == "goatee":
        patch(GOATEE, 1100, 0.13, down, 0.28, 0.00032, "beard", 0.02)
    elif p["beard"] == "moustache":
        patch(
            MOUST,
            600,
            0.13,
            lambda c: np.stack([sg(c) * 0.9, -np.ones(len(c)) * 0.8, 0.1 + 0 * c[:, 0]], 1),
            0.22,
            0.00034,
            "beard",
            0.02,
        )
    return out


def hair_with_hat(hd, p, r):
    if not p.get("hat"):
        return hair(hd, p, r)
    keep = regions.SCALP
    regions.SCALP = keep * ss(0.02, -0.06, BR[:, 1] - (7.80 + (z_ - 1.3) * 0.33))
    q = dict(p)
    q["fringe"] = False
    if q["hair"] in ("afro", "curlytop", "quiff", "swept", "bun"):
        q["hair"] = "short"
    try:
        return hair(hd, q, r)
    finally:
        regions.SCALP = keep

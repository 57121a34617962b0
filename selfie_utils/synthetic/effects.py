"""From linear light to a photo: exposure, noise, filters, borders."""

import math
import numpy as np
from PIL import Image
from scipy import ndimage as ndi
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.skin import SKINS, lin


def aces(x):
    x = x * 0.72
    return np.clip((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)


def filmic(x):  # softer than ACES: keeps skin from going orange
    y = 1 - np.exp(-1.15 * x)
    return np.clip(y * 1.02 - 0.004, 0, 1)


def disc_blur(a, rad):
    if rad < 0.6:
        return a
    k = int(math.ceil(rad))
    yy, xx = np.mgrid[-k : k + 1, -k : k + 1]
    ker = np.clip(rad + 0.5 - np.hypot(xx, yy), 0, 1)
    ker /= ker.sum()
    from scipy.signal import fftconvolve

    p = np.pad(a, ((k, k), (k, k), (0, 0)), mode="edge")
    return np.maximum(fftconvolve(p, ker[..., None], mode="valid", axes=(0, 1)), 0)


def develop(a, bgd, photo, meas):
    """linear -> 8 bit photo with the exposure on the face, then the photo effects"""
    size = a.shape[0]
    r = np.random.default_rng(photo.seed + 1)
    a = np.clip(a, 0, 60)
    edge = (a[..., 3] < 0.985) & (a[..., 3] > 0.0)
    edge = ndi.binary_dilation(edge)[..., None]
    sm = ndi.gaussian_filter(a, (0.55, 0.55, 0))
    a = np.where(edge, sm, a)
    al = np.clip(a[..., 3:4], 0, 1)
    lin_ = a[..., :3] + (1 - al) * np.minimum(bgd, 6.0)
    x0, y0, x1, y1 = np.clip(np.array(meas["face_boxes"][0]) * size, 0, size - 1).astype(int)
    fc = lin_[y0 : y1 + 1, x0 : x1 + 1]
    lum = fc @ [0.2126, 0.7152, 0.0722]
    L = np.percentile(lum, 62) if lum.size else 0.2
    skin = SKINS[int(round(photo.people[0][0].skin_tone))]
    alb = float(lin(skin) @ [0.2126, 0.7152, 0.0722])
    tgt = (0.22 + 0.52 * alb) * photo.exposure  # dark skin stays dark, light skin stays light
    gain = (tgt / max(L, 1e-4)) ** 0.8 * (1.0 * photo.exposure) ** 0.2
    out = filmic(lin_ * gain)
    out = np.clip(out, 0, 1) ** (1 / 2.2)
    out = np.clip(out + 0.055 * np.sin((out - 0.5) * 2 * np.pi) * photo.contrast, 0, 1)
    if photo.noise:
        n = r.normal(size=(size, size, 3)) * photo.noise
        n = 0.6 * n + 0.8 * ndi.gaussian_filter(
            r.normal(size=(size, size, 3)) * photo.noise * 1.5, (0.8, 0.8, 0)
        )
        out = out + n * (0.5 + 0.8 * (1 - out))
    fx = photo.effect
    if fx == "black_and_white":
        g = out @ [0.35, 0.5, 0.15]
        out = np.repeat(np.clip((g - 0.5) * 1.12 + 0.5, 0, 1)[..., None], 3, 2)
    elif fx == "faded":
        out = out * 0.80 + 0.13
        g = out.mean(2, keepdims=True)
        out = g + (out - g) * 0.78
    elif fx == "warm":
        out = out * [1.05, 1.0, 0.90] + [0.01, 0.0, -0.01]
    elif fx == "cool":
        out = out * [0.94, 1.0, 1.06]
    elif fx == "vivid":
        g = out.mean(2, keepdims=True)
        out = g + (out - g) * 1.3
    if photo.vignette:
        yy, xx = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        out = out * (1 - photo.vignette * ((xx**2 + yy**2) / 2)[..., None])
    im = Image.fromarray((np.clip(out, 0, 1) * 255 + 0.5).astype(np.uint8))
    window = [0.0, 0.0, 1.0, 1.0]
    if photo.border != "none":
        k = int(size * 0.06)
        W = Image.new("RGB", (size, size), (255, 255, 255) if photo.border.startswith("white") else (8, 8, 8))
        if photo.border.endswith("bars"):
            h = int(size * 0.72)
            cy = (y0 + y1) / 2
            window = [0.0, (1 - h / size) / 2, 1.0, (1 + h / size) / 2]
            t = int(np.clip(cy - h * 0.5, 0, size - h))
            W.paste(im.crop((0, t, size, t + h)), (0, (size - h) // 2))
            tr = lambda q: [
                q[0],
                q[1] + ((size - h) // 2 - t) / size,
                q[2],
                q[3] + ((size - h) // 2 - t) / size,
            ]
        else:
            W.paste(im.resize((size - 2 * k, size - 2 * k), Image.LANCZOS), (k, k))
            window = [k / size, k / size, 1 - k / size, 1 - k / size]
            c_ = 1 - 2 * k / size
            tr = lambda q: [v * c_ + k / size for v in q]
        im = W
        for key in ("head_boxes", "face_boxes"):
            meas[key] = [tr(q) for q in meas[key]]
    return meas | {"image": im, "window": window}

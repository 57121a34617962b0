"""Show a picture in a notebook and keep it in the run folder: one way for charts and contact sheets."""

import io

from IPython.display import Image as Shown
from matplotlib.figure import Figure
from PIL import Image

from selfie_utils.files import written_whole
from selfie_utils.run_folder import RunFolder

Picture = Figure | Image.Image


def encode(picture: Picture) -> tuple[bytes, str]:
    """Return the file of a picture and its format: PNG for charts, JPEG for photos."""
    out = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(out, format="png")
        return out.getvalue(), "png"
    picture.save(out, format="JPEG", quality=85, optimize=True)
    return out.getvalue(), "jpeg"


def show(picture: Picture, alt: str) -> Shown:
    """Return what a notebook displays: one image with its alternative text (PIL's own would come twice)."""
    data, kind = encode(picture)
    # A chart is drawn at twice its size, so that it stays sharp on a dense screen.
    width = int(picture.get_figwidth() * 72) if isinstance(picture, Figure) else picture.width
    return Shown(data=data, format=kind, alt=alt, width=width)


def save_figure(run: RunFolder, name: str, picture: Picture, alt: str) -> Shown:
    """Write a picture to figures/NAME.png or .jpg of the run folder and return it for display."""
    shown = show(picture, alt)
    suffix = {"png": ".png", "jpeg": ".jpg"}[shown.format]
    with written_whole(run.root / "figures" / f"{name}{suffix}") as partial:
        partial.write_bytes(shown.data)
    return shown

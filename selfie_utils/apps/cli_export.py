"""The commands that give a network away: `selfie export web`, `onnx`, `safetensors`, and `selfie serve`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from selfie_utils.core.errors import in_one_sentence

# What a command needs is imported when it runs, so that --help answers at once.
exporter = typer.Typer(
    help="Give the network of a run away: as a page with a camera, or as a file.", no_args_is_help=True
)

RunDir = Annotated[str, typer.Option("--run", metavar="DIR", help="Run folder.")]
Photos = Annotated[
    str | None,
    typer.Option(metavar="DIR", help="Photos to check the export with; the run's test photos by default."),
]
OutFolder = Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")]


@exporter.command("web")
def export_web(
    out: Annotated[Path, typer.Argument(metavar="OUT.html", help="Page to write.")] = Path("camera.html"),
    run_dir: RunDir = "runs/demo",
    runtime: Annotated[
        Path | None, typer.Option(metavar="FILE.tgz", help="onnxruntime-web, where npm can't fetch it.")
    ] = None,
    photos: Photos = None,
) -> None:
    """One page with a camera, which scores on the device, offline; checked in Chromium first."""
    with in_one_sentence():
        from selfie_utils.core.run_folder import open_run

        run = open_run(run_dir)
        os.environ.setdefault("TQDM_DELAY", "2")  # seconds; no progress bars for a few photos
        from selfie_utils.apps.export import export_web as export

        export(run, out, runtime, photos, typer.echo)


@exporter.command("onnx")
def export_onnx(
    out: OutFolder,
    run_dir: RunDir = "runs/demo",
    half: Annotated[bool, typer.Option("--half", help="Keep weights in 16 bits: half the size.")] = False,
    photos: Photos = None,
) -> None:
    """A folder with the network as ONNX, its preprocessing inside, its card, and an example of ten lines."""
    with in_one_sentence():
        from selfie_utils.core.run_folder import open_run

        run = open_run(run_dir)
        os.environ.setdefault("TQDM_DELAY", "2")
        from selfie_utils.apps.export import export_onnx as export

        export(run, out, half, photos, typer.echo)


@exporter.command("safetensors")
def export_safetensors(out: OutFolder, run_dir: RunDir = "runs/demo", photos: Photos = None) -> None:
    """A folder with the weights as timm or torchvision name them, the card, and an example of ten lines."""
    with in_one_sentence():
        from selfie_utils.core.run_folder import open_run

        run = open_run(run_dir)
        os.environ.setdefault("TQDM_DELAY", "2")
        from selfie_utils.apps.export import export_safetensors as export

        export(run, out, photos, typer.echo)


def serve(
    page: Annotated[Path, typer.Argument(metavar="PAGE.html", help="What `selfie export web` wrote.")],
    https: Annotated[bool, typer.Option("--https", help="For phones in the same network.")] = False,
    port: Annotated[int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 takes any.")] = 8443,
) -> None:
    """Show a page: on this machine, or with --https to a phone in the same network."""
    with in_one_sentence():
        from selfie_utils.apps.serve import serve as show

        show(page, https, port, typer.echo)

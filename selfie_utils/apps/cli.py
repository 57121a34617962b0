"""The command `selfie`: reproduce the suite, bring posts in, check an installation, rate and crop photos."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfie_utils.apps.cli_bot import bots
from selfie_utils.apps.cli_data import forget, gatherer, importer
from selfie_utils.apps.cli_export import exporter, serve
from selfie_utils.core.errors import in_one_sentence

if TYPE_CHECKING:
    import pandas as pd

# What a command needs is imported when it runs, so that --help answers at once.
app = typer.Typer(
    help="What a deep neural network thinks about your #selfie.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

MENTIONED = 5  # photos at most of which `selfie rate` tells what a crop would gain: each takes a second

RunDir = Annotated[str, typer.Option("--run", metavar="DIR", help="Run folder.")]
Kernel = Annotated[str, typer.Option("--kernel", metavar="NAME", help="Jupyter kernel to run on.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
app.add_typer(importer, name="import")
app.add_typer(gatherer, name="gather")
app.add_typer(exporter, name="export")
app.add_typer(bots, name="bot")
app.command()(forget)
app.command()(serve)


@app.command()
def reproduce(
    parameters: Annotated[
        Path | None, typer.Argument(metavar="PARAMETERS.yaml", help="Parameter file; the demo's by default.")
    ] = None,
    run_dir: Annotated[
        str | None, typer.Option("--run", metavar="DIR", help="Run folder instead of the file's.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Run only this notebook; may be repeated.")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--from", metavar="NAME", help="Leave out the notebooks before this one.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Run even what has not changed.")] = False,
    kernel: Kernel = "python3",
    data: Annotated[
        str | None, typer.Option(metavar="DIR", help="Your own posts: a folder that `selfie import` made.")
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="RUN", help="Score with the network of this run; train nothing.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="One value, as 00_data.group_size=10; may be repeated."
        ),
    ] = None,
    group_size: Annotated[
        int | None,
        typer.Option(metavar="N", help="Posts compared with each other by likes: an even number."),
    ] = None,
    ask: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="What is this annotation worth? Notebook 11; may be repeated."),
    ] = None,
) -> None:
    """Run the notebooks that something has changed for, in order, and write the report site."""
    with in_one_sentence():
        from selfie_utils.runner import reproduce as chain
        from selfie_utils.runner.parameters import find_parameter_file

        asked = chain.Options(
            run_dir, tuple(only or ()), start, force, kernel, data, network, group_size, tuple(ask or ()),
            tuple(settings or ()),
        )  # fmt: skip
        chain.reproduce(find_parameter_file(parameters), asked)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to work in; made if it is missing.")],
) -> None:
    """Copy the notebooks and parameter files to where you work; no file is overwritten."""
    with in_one_sentence():
        from selfie_utils.apps.init import copy_project

        for line in copy_project(folder):
            typer.echo(line)


@app.command()
def check(kernel: Kernel = "python3") -> None:
    """Show what is installed, whether the kernel sees a GPU, the embedded data and the disk space."""
    with in_one_sentence():
        from selfie_utils.apps.diagnosis import diagnose

        for topic, finding in diagnose(kernel):
            typer.echo(f"{topic:<18}{finding}")


@app.command()
def rate(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Photos, folders of photos, file:// addresses.")
    ],
    run_dir: RunDir = "runs/demo",
    device: Device = "auto",
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A page with each photo, its place and the posts most like it."),
    ] = None,
) -> None:
    """Rate any photo with the network of a run: its score, and the share of test posts that score lower.

    It says which photos lie outside what the network knows: their scores are guesses. Of a few photos it also
    tells what the best square crop would gain: `selfie crop` saves it. With --html it writes all that it
    knows into one page, which needs no other file.
    """
    with in_one_sentence():
        from selfie_utils.core.run_folder import open_run

        run = open_run(run_dir)
        os.environ.setdefault("TQDM_DELAY", "2")  # seconds; no progress bars for a few photos
        from selfie_utils.analysis.transfer import familiar_of, rated_in_words, teachers_of
        from selfie_utils.model.scorer import Scorer, rate_photos  # imports torch

        if html:
            from selfie_utils.apps.answer_page import check_page, save_page

            check_page(html)
        familiar, scorer = familiar_of(run), Scorer(run, device)
        crowd = run.read_table("scores")["score"]
        rated = rate_photos(scorer, crowd, photos, familiar.outside if familiar else None)
        good = rated["score"].notna()
        _print_ratings(rated[good])
        if good.any():
            typer.echo(rated_in_words(rated.loc[good, "outside"], teachers_of(run)))
        for row in rated[~good].itertuples():
            typer.echo(f"Error: {row.photo} cannot be rated: {row.reason}.", err=True)
        if html:
            typer.echo(save_page(html, run, scorer, photos))
        elif 1 <= good.sum() <= MENTIONED:
            from selfie_utils.apps.cropping import gains_in_words

            typer.echo("\n".join(gains_in_words(scorer, rated.loc[good, "photo"].tolist())))
    if not good.all():
        raise typer.Exit(1)


def _print_ratings(rated: "pd.DataFrame") -> None:
    """Print a line for each photo, best first."""
    width = max(len(str(photo)) for photo in ["photo", *rated["photo"]])
    typer.echo(f"{'photo':<{width}}  score  percentile")
    shown = rated.assign(outside=rated["outside"].fillna(False))
    for row in shown.sort_values("score", ascending=False).itertuples():
        note = "" if row.faces else "  no face found: the network was taught with faces alone"
        note += "  outside what the network knows" if row.outside else ""
        typer.echo(f"{row.photo!s:<{width}}  {row.score:>5.1%}  {row.percentile:>9.1%}{note}")


@app.command()
def crop(
    photos: Annotated[
        list[str], typer.Argument(metavar="PHOTO...", help="Photos, folders of photos, file:// addresses.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the crops.")],
    run_dir: RunDir = "runs/demo",
    evaluations: Annotated[int, typer.Option(min=1, metavar="N", help="Crops to look at per photo.")] = 150,
    smallest: Annotated[
        float, typer.Option(min=0.05, max=1, metavar="SHARE", help="Smallest crop / the shorter side.")
    ] = 0.6,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed finds the same crop.")] = 0,
    device: Device = "auto",
) -> None:
    """Save the square crop of each photo that the network of a run likes best, at full resolution.

    Prints both scores. The photo itself is left alone, and no file is overwritten.
    """
    with in_one_sentence():
        from selfie_utils.core.run_folder import open_run

        run = open_run(run_dir)
        os.environ.setdefault("TQDM_DELAY", "2")
        from selfie_utils.apps.cropping import best_crops, save_crops  # imports torch
        from selfie_utils.model.scorer import Scorer

        table = best_crops(Scorer(run, device), photos, evaluations, smallest, seed)
        table = save_crops(table, out, smallest)
        good = table["reason"] == ""
        width = max(len(str(photo)) for photo in ["photo", *table.loc[good, "photo"]])
        typer.echo(f"{'photo':<{width}}  score   crop  saved as")
        for row in table[good].itertuples():
            typer.echo(f"{row.photo:<{width}}  {row.score:>5.1%}  {row.crop_score:>5.1%}  {row.saved}")
        for row in table[~good].itertuples():
            typer.echo(f"Error: {row.photo} cannot be cropped: {row.reason}.", err=True)
    if not good.all():
        raise typer.Exit(1)


@app.command()
def tune(
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="SETTING=VALUE...", help="Recipe to start from.")
    ] = None,
    run_dir: RunDir = "runs/demo",
    changes: Annotated[
        list[str] | None,
        typer.Option("--try", metavar="TEXT", help='A change of it, such as "epochs=2 image_size=160".'),
    ] = None,
    trials: Annotated[int, typer.Option(min=0, metavar="N", help="Without --try: changes at random.")] = 8,
    folds: Annotated[int, typer.Option(min=0, metavar="N", help="Cross-validate on training posts.")] = 0,
    device: Device = "auto",
) -> None:
    """Try changes of a recipe and rank them on the validation posts of a run, or by cross-validation.

    The test posts have no say. What was tried is kept: a tuning that was stopped goes on where it was.
    """
    with in_one_sentence():
        from selfie_utils.core.run_folder import open_run
        from selfie_utils.model.recipe import Recipe

        run, base = open_run(run_dir), Recipe().but(settings or [])
        from selfie_utils.model.tune import draw_changes, table_in_words  # imports torch
        from selfie_utils.model.tune import tune as try_changes

        tried = try_changes(run, base, changes or draw_changes(trials, base.seed), folds, device, typer.echo)
        typer.echo("\n" + table_in_words(tried, base))


@app.command()
def report(
    run_dir: RunDir = "runs/demo",
    single_file: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Pack all pages into one file, to mail.")
    ] = None,
    address: Annotated[
        str, typer.Option(metavar="URL", help="Where the report will be on the web, for previews of links.")
    ] = "",
) -> None:
    """Write the report of a run again: a page per notebook, or all of them in one file."""
    with in_one_sentence():
        from selfie_utils.core.run_folder import open_run
        from selfie_utils.runner.report_site import write_single_file, write_site
        from selfie_utils.runner.reproduce import read_state

        run = open_run(run_dir).root
        state = read_state(run)
        if single_file:
            typer.echo(write_single_file(run, state, single_file))
        else:
            typer.echo(write_site(run, state, address=address))


@app.command()
def story(
    run_dir: RunDir = "runs/demo",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the page and pictures.")] = Path(
        "figures"
    ),
) -> None:
    """Tell a finished run on one page with pictures, to read on the web: figures/README.md."""
    with in_one_sentence():
        from selfie_utils.runner.story import tell

        typer.echo(tell(run_dir, out))


@app.command()
def synthesize(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder to write to.")],
    images: Annotated[int, typer.Option(min=1, metavar="N", help="Number of posts.")] = 6000,
    seed: Annotated[int, typer.Option(metavar="S", help="The same seed gives the same posts.")] = 0,
    size: Annotated[int, typer.Option(min=32, metavar="PX", help="Width and height of photos.")] = 192,
    celebrities: Annotated[int, typer.Option(min=0, metavar="N", help="Photos of celebrities.")] = 60,
    twins: Annotated[int, typer.Option(min=0, metavar="N", help="Scenes rendered with changes.")] = 60,
) -> None:
    """Render people who do not exist, and simulate their audience (needs the extra `synthetic`).

    Photos are rendered on all cores; what was rendered is kept: a run that was stopped goes on where it was.
    """
    with in_one_sentence():
        from selfie_utils.synthetic.dataset import synthesize as render
        from selfie_utils.synthetic.dataset import synthesize_celebrities
        from selfie_utils.synthetic.shards import Settings
        from selfie_utils.synthetic.twins import synthesize_twins

        settings = Settings(size=size)
        render(out, images, seed, settings)
        if celebrities:
            synthesize_celebrities(out, celebrities, seed, settings)
        if twins:
            synthesize_twins(out, twins, seed, settings)


if __name__ == "__main__":
    app()

"""The commands that bring posts in and take them out: `selfie import`, `selfie gather`, `selfie forget`."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfie_utils.core.errors import in_one_sentence

if TYPE_CHECKING:
    from selfie_utils.posts.importers.origin import Source

# What a command needs is imported when it runs, so that --help answers at once.
importer = typer.Typer(help="Turn posts from elsewhere into a data folder.", no_args_is_help=True)
gatherer = typer.Typer(help="Gather posts from where that is allowed.", no_args_is_help=True)

SourceDir = Annotated[
    Path, typer.Argument(metavar="SOURCE", help="Folder to read; nothing in it is changed.")
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Data folder to write.")]
Pack = Annotated[bool, typer.Option("--pack", help="Copy the photos into images.zip next to the posts.")]


def _finish(kind: str, source: "Source", out: Path, pack: bool) -> None:
    """Write the data folder, print the summary and say how to go on."""
    from selfie_utils.posts.data_folder import open_data
    from selfie_utils.posts.importing import fitting_group_size, import_posts
    from selfie_utils.posts.table import read_posts

    for line in import_posts(kind, source, out, pack):
        typer.echo(line)
    posts = read_posts(open_data(out).posts)
    size = fitting_group_size(posts)
    scored_only = "label" in posts and posts["label"].isna().all()
    then = " --network RUN" if scored_only else f" --group-size {size}" if size else ""
    typer.echo(f"Next: selfie reproduce --data {shlex.quote(str(out))}{then}")


@importer.command("table")
def import_table(
    table: Annotated[Path, typer.Argument(metavar="TABLE", help="CSV or Parquet, one row per post.")],
    out: Out,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder or zip of the photos; the table's by default.")
    ] = None,
    columns: Annotated[
        list[str] | None, typer.Option("--map", metavar="OURS=THEIRS", help="What a column is called there.")
    ] = None,
    score: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Label by this number, not by likes.")
    ] = None,
    outer: Annotated[
        float, typer.Option(metavar="SHARE", help="Share called good, and bad, by score.")
    ] = 0.5,
    pack: Pack = False,
) -> None:
    """Any table: likes and followers, labels of your own, or a score."""
    with in_one_sentence():
        from selfie_utils.posts.importers.table import TableOptions, read_posts_table

        options = TableOptions(images, tuple(columns or ()), score, outer)
        _finish("table", read_posts_table(table, options), out, pack)


@importer.command("folder")
def import_folder(source: SourceDir, out: Out, pack: Pack = False) -> None:
    """Photos without counts: to be scored, or two folders good and bad."""
    with in_one_sentence():
        from selfie_utils.posts.importers.folder import read_folder

        _finish("folder", read_folder(source), out, pack)


@importer.command("ucf")
def import_ucf(source: SourceDir, out: Out, pack: Pack = False) -> None:
    """The UCF Selfie data set."""
    with in_one_sentence():
        from selfie_utils.posts.importers.ucf import read_ucf

        _finish("ucf", read_ucf(source), out, pack)


@importer.command("instaloader")
def import_instaloader(source: SourceDir, out: Out, pack: Pack = False) -> None:
    """Folders that instaloader has written."""
    with in_one_sentence():
        from selfie_utils.posts.importers.instaloader import read_instaloader

        _finish("instaloader", read_instaloader(source), out, pack)


@importer.command("mastodon")
def import_mastodon(source: SourceDir, out: Out, pack: Pack = False) -> None:
    """What `selfie gather mastodon` has written."""
    with in_one_sentence():
        from selfie_utils.posts.importers.mastodon import read_mastodon

        _finish("mastodon", read_mastodon(source), out, pack)


@gatherer.command("mastodon")
def gather_mastodon(
    instance: Annotated[str, typer.Option(metavar="URL", help="Server, such as https://mastodon.social.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to gather in; goes on where it stopped.")],
    tag: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Hashtag; may be repeated.")] = None,
    posts: Annotated[int, typer.Option(min=0, metavar="N", help="Stop at so many posts; 0 takes all.")] = 0,
    refresh: Annotated[bool, typer.Option("--refresh", help="Update counts of posts a month old.")] = False,
) -> None:
    """Public posts with a photo under a hashtag; a token may be given in MASTODON_ACCESS_TOKEN."""
    with in_one_sentence():
        from selfie_utils.posts.gather import GatherOptions, gather

        gather(GatherOptions(tuple(tag or ["selfie"]), instance, out, posts, refresh), typer.echo)
        gathered, posted = shlex.quote(str(out)), shlex.quote(f"{out}-posts")
        typer.echo(f"Next: selfie import mastodon {gathered} --out {posted}")


def forget(
    ids: Annotated[
        list[str], typer.Argument(metavar="ID...", help="Post ids, or @user@server for all of a user.")
    ],
    folders: Annotated[
        list[Path] | None,
        typer.Option("--in", metavar="DIR", help="Folder to look in, besides data/ and runs/."),
    ] = None,
) -> None:
    """Take posts down: remove them, their photos and their rows wherever they are kept."""
    with in_one_sentence():
        from selfie_utils.core.run_folder import project_root
        from selfie_utils.posts.takedown import find_folders
        from selfie_utils.posts.takedown import forget as take_down

        take_down(ids, [*find_folders(project_root()), *(folders or [])], typer.echo)

"""The commands that start a bot: `selfie bot mastodon`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from selfie_utils.core.errors import SelfieError, in_one_sentence

if TYPE_CHECKING:
    from selfie_utils.apps.manners import Reply
    from selfie_utils.apps.mastodon import MastodonNetwork

bots = typer.Typer(help="Answer people who mention an account with a selfie.", no_args_is_help=True)


@bots.command("mastodon")
def bot_mastodon(
    instance: Annotated[str, typer.Option(metavar="URL", help="Server, such as https://mastodon.social.")],
    run_dir: Annotated[str, typer.Option("--run", metavar="DIR", help="Run folder.")] = "runs/demo",
    journal: Annotated[
        Path, typer.Option(metavar="FILE", help="Where it notes whom it has answered.")
    ] = Path("runs/bot.sqlite"),
    quota: Annotated[int, typer.Option(min=1, metavar="N", help="Answers for a person within a day.")] = 3,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print replies; send and note nothing.")] = False,
    once: Annotated[bool, typer.Option("--once", help="Answer what waits now, then end.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Answer mentions of an account, whose token is read from MASTODON_ACCESS_TOKEN: see docs/bot.md."""
    with in_one_sentence():
        from selfie_utils.apps.mastodon import DryRun, MastodonNetwork
        from selfie_utils.core.run_folder import from_root, open_run

        run = open_run(run_dir)
        network = (DryRun if dry_run else MastodonNetwork)(instance, typer.echo)
        from selfie_utils.analysis.answer import Rater  # imports torch
        from selfie_utils.apps.bot import Bot

        answer = Bot(Rater(run, device)).answer
        start(network, answer, None if dry_run else from_root(journal), quota, once)


def start(
    network: "MastodonNetwork",
    answer: "Callable[[bytes], Reply]",
    journal: Path | None,
    quota: int,
    once: bool,
) -> None:
    """Answer mentions, each once, with a journal in a file, or in memory where nothing is to be noted."""
    from selfie_utils.apps.answering import Service
    from selfie_utils.apps.journal import open_journal
    from selfie_utils.core.run_folder import project_root
    from selfie_utils.posts.takedown import find_folders, forget_person

    def forget(name: str) -> None:
        folders = find_folders(project_root())
        try:
            if folders and journal is not None:
                forget_person(name, network.server.instance, folders, typer.echo)
        except SelfieError as error:  # one folder that can't be read stops no bot; its owner has to look
            typer.echo(f"Error: what was gathered of a person could not be taken down: {error}", err=True)

    with open_journal(journal) as notes:
        notes.claim(network.name)
        typer.echo(f"Answering as {network.name}; {notes.waiting():,} mentions wait from before.")
        if not once:
            network.listen()
        Service(network, answer, notes, forget, quota, typer.echo).serve(once)

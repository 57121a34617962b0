"""A widget that answers for a photo of one's own: dropped, pasted, chosen or taken, or for every frame."""

from datetime import datetime
from pathlib import Path
from typing import Any

import anywidget
from IPython.core.display_functions import DisplayHandle, display
from IPython.display import HTML, Markdown

from selfie_utils.analysis.answer import Answer, Answered, Rater, read
from selfie_utils.apps.answer_page import card, style, write_page
from selfie_utils.core.errors import SelfieError
from selfie_utils.show.display import Live, is_live

SAVED = Path("reports") / "yours"  # in the run folder: `selfie forget` clears it with the other pages
COUNTED = 3  # in every third frame faces are counted, which takes three times as long as to score it
ASLEEP = "In JupyterLab a widget for a photo of your own stands here: open this notebook there, and run it."


class RateYours(anywidget.AnyWidget):
    """Answers what the browser sends: photos, frames of a camera, and the wish to save.

    Photos come as messages and never become part of the widget's state, which a notebook is saved with. Of
    each photo first what is known at once is sent back, then the rest. The browser sends a frame when the one
    before is answered, so that none ever waits.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = style() + Path(__file__).with_suffix(".css").read_text(encoding="utf-8")

    def __init__(self, rater: Rater, kept: DisplayHandle | None = None):
        super().__init__()
        self.rater, self.kept = rater, kept
        self.last: Answer | None = None
        self.faces: int | None = None  # in the frame before
        self.on_msg(self._on_message)

    def _on_message(self, _: Any, asked: dict[str, Any], buffers: list[Any]) -> None:
        """Do what was asked for; whatever goes wrong is told in the browser."""
        tasks = {"photo": self._answer, "frame": self._glance, "save": self._save}
        try:
            tasks[asked["kind"]](asked["id"], bytes(buffers[0]) if buffers else b"")
        except SelfieError as error:
            self._tell("error", asked["id"], text=_in_words(asked["kind"], error))

    def _tell(self, kind: str, number: int, **content: Any) -> None:
        self.send({"kind": kind, "id": number, **content})

    def _answer(self, number: int, data: bytes) -> None:
        self.last = self.faces = None
        answer = self.rater.place(read(data))
        self._tell("answer", number, html=card(answer, self.rater.images), whole=False)
        self.last = self.rater.look(answer)
        self._tell("answer", number, html=card(self.last, self.rater.images), whole=True)

    def _glance(self, number: int, data: bytes) -> None:
        glance = self.rater.glance(read(data), None if number % COUNTED == 0 else self.faces)
        self.faces = glance.faces
        self._tell("score", number, **glance._asdict())

    def _save(self, number: int, _: bytes) -> None:
        """Write the last answer as a page of the run, and into the notebook below the widget."""
        if self.last is None:
            raise SelfieError("There is no answer yet to save: choose a photo first.")
        name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S.html")
        path = self.rater.run.root / SAVED / name
        write_page(path, self.rater, Answered([self.last], [], 0))
        if self.kept:
            self.kept.update(HTML(_styled(card(self.last, self.rater.images))))
        self._tell("saved", number, text=f"Saved as {path}, and below.")


def show_widget(rater: Rater) -> None:
    """Display the widget where somebody sits in front of it; else say where it would stand.

    What is saved appears below it and stays in the notebook, also where there is no kernel any more.
    """
    if not is_live():
        display(Markdown(ASLEEP))
        return
    kept = DisplayHandle()
    display(Live(Markdown(ASLEEP), RateYours(rater, kept)))
    kept.display(Markdown("*What you save appears here, and stays in the notebook.*"))


def _in_words(kind: str, error: SelfieError) -> str:
    reason = str(error).rstrip(".")
    return f"{reason}." if kind == "save" else f"This photo cannot be rated: {reason}."


def _styled(cards: str) -> str:
    return f"<style>{style()}</style>{cards}"


def show_answers(answered: Answered, rater: Rater) -> HTML:
    """Return the answers for display in a notebook and its report."""
    return HTML(_styled("\n".join(card(one, rater.images) for one in answered.answers)))

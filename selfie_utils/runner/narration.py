"""Tell on a terminal or in a log file how a run of notebooks goes."""

import re
import sys
import time
from typing import TextIO

EVERY = 30.0  # seconds between two signs of life of a progress bar in a log file


class Narrator:
    """Say one line per notebook, and pass on what its kernel writes to stderr (papermill's `stderr_file`).

    On a terminal progress bars move as they do anywhere. In a log file a bar would leave a hundred lines, so
    only its last state is kept, and one now and then while it runs.
    """

    def __init__(self, out: TextIO | None = None, every: float = EVERY):
        self.out = out or sys.stdout
        self.every = every
        self._open = ""  # what stands on the present line of a kernel, in a log not yet written
        self._title = ""  # of the notebook that runs, as long as the line is ours
        self._last_sign = 0.0

    def say(self, line: str = "") -> None:
        """Write a line of our own."""
        print(line, file=self.out, flush=True)

    def begin(self, title: str) -> None:
        """Write the name of a notebook and stay on its line."""
        self._title, self._last_sign = title, time.monotonic()
        print(title, end=" ", file=self.out, flush=True)

    def end(self, verdict: str) -> None:
        """Finish the line of a notebook, or write a new one where its kernel has written in between."""
        if self._open.strip():
            self.write("\n")
        self.say(verdict if self._title else f"    {verdict}")
        self._title = self._open = ""

    def write(self, text: str) -> None:
        """Take a piece of a kernel's stderr."""
        if self._title and text.strip():
            self._title = ""
            self.say()
        for piece in re.findall(r"[^\r\n]+|\r\n|\r|\n", text):
            self._show(piece) if self.out.isatty() else self._note(piece)
        self.out.flush()

    def flush(self) -> None:
        """Do nothing: every piece is flushed as it is written."""

    def _show(self, piece: str) -> None:
        self._open = "" if piece.endswith("\n") else piece
        self.out.write(piece)

    def _note(self, piece: str) -> None:
        if piece.endswith("\n"):
            self._print_open()
        elif piece == "\r":
            if time.monotonic() - self._last_sign >= self.every:
                self._print_open()
            self._open = ""
        else:
            self._open += piece

    def _print_open(self) -> None:
        if self._open.strip():
            self.out.write(f"    {self._open.rstrip()}\n")
            self._last_sign = time.monotonic()
        self._open = ""


class Bars:
    """Pass on the progress bars of what a kernel prints (papermill's `stdout_file`), and no other text."""

    def __init__(self, narrator: Narrator):
        self._narrator, self._is_open = narrator, False

    def write(self, text: str) -> None:
        """Take a piece of a kernel's stdout; a bar begins with a carriage return and ends with a new line."""
        if "\r" in text:
            self._narrator.write(text)
            self._is_open = not text.endswith("\n")
        elif self._is_open and text.startswith("\n"):
            self._narrator.write("\n")
            self._is_open = False

    def flush(self) -> None:
        """Do nothing, as the narrator does."""

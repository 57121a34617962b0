"""The one exception that reaches a user: a clear sentence, no traceback needed."""

import difflib
import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

# What the system may say of a file that a user named, and what to do about it.
MENDABLE = {
    errno.EACCES: "check who may read and write there",
    errno.EPERM: "check who may read and write there",
    errno.EROFS: "choose a place that can be written to",
    errno.ENOSPC: "make room on that disk, and run the same command again",
    errno.EDQUOT: "make room on that disk, and run the same command again",
    errno.EEXIST: "a folder is wanted there, choose another place",
    errno.ENOTDIR: "a folder is wanted there, choose another place",
    errno.EISDIR: "a file is wanted there, choose another place",
    errno.ELOOP: "the link leads round to itself, mend it or choose another",
    errno.ENAMETOOLONG: "choose a shorter name",
}


class SelfieError(Exception):
    """Say what was got, what was expected and what to do, in one sentence."""

    def _render_traceback_(self) -> list[str]:
        """Show a notebook's reader the sentence alone: IPython asks for this before it shows a traceback."""
        return [f"Error: {self}"]


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """In a command: turn an error that the user can fix into one sentence and exit code 1."""
    try:
        yield
    except SelfieError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in MENDABLE:
            raise
        where = f" ({error.filename})" if error.filename else ""
        print(f"Error: {error.strerror}{where}: {MENDABLE[error.errno]}.", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\nStopped; what was finished is kept.", file=sys.stderr, flush=True)
        raise SystemExit(130) from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Finish a sentence about an unknown word: the nearest known one, or all there are."""
    known = sorted(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"it knows {', '.join(known) or 'none'}."

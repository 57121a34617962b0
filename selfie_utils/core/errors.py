"""The one exception that reaches a user: a clear sentence, no traceback needed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class SelfieError(Exception):
    """Say what was got, what was expected and what to do, in one sentence."""


@contextmanager
def in_one_sentence() -> Iterator[None]:
    """In a command: turn an error that the user can mend into one sentence and exit code 1."""
    try:
        yield
    except SelfieError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("\nStopped; what was finished is kept.", file=sys.stderr, flush=True)
        raise SystemExit(130) from None

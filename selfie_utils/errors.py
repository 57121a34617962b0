"""The one exception that reaches a user: a clear sentence, no traceback needed."""


class SelfieError(Exception):
    """Say what was got, what was expected and what to do, in one sentence."""

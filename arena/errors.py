"""The one kind of failure a user can put right."""


class ArenaError(Exception):
    """Bad configuration or input: one line that names the key or the file, and what was expected.

    The command line prints it without a traceback and ends with exit code 2.
    """


def first_line(error: BaseException) -> str:
    """The first line of an error's message, for a line of ours; its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

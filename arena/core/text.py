"""Show text that comes from files, such as their names, without letting it act on a terminal."""

import re

_ESCAPED = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Control characters, marks of direction, invisible characters, and bytes of names that are no text."""


def printable(text: str) -> str:
    r"""Return text with control characters, marks of direction and undecodable bytes as escapes of Python.

    >>> printable("a\x1b[2Jb\n")
    'a\\x1b[2Jb\\n'
    """
    return _ESCAPED.sub(lambda found: repr(found[0])[1:-1], text)

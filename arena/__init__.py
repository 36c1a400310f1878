"""arena: an arms race between a generator and every detection technique it can be given, with an honest verdict."""

__version__ = "0.2.0"

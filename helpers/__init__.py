"""The small package behind the notebooks: settings and names, the one connection, waits, looking at a hop, checks, plots."""

import os
from importlib import import_module

_WHERE = {"Settings": "settings", "catch_up": "chapters", "check": "checks", "connect": "session", "is_number": "exercises",
          "self_check": "exercises", "wait_until": "waits", "where_am_i": "progress", "with_patience": "waits"}
__all__ = sorted(_WHERE)

if _learner := os.environ.get("WORKBOOK_LEARNER"):  # one of several on this machine: a local AWS of their own, for every command
    os.environ.setdefault("LOCALAWS_NAME", _learner)


def __getattr__(name: str):
    """Import a public name when it is first asked for: the local AWS lies in this package and must start without pandas."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_WHERE[name]}", __name__), name)

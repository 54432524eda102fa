"""The trainer's timetable: for each chapter the minutes of teaching, of exercises and of the machine, as last measured by a run."""

import json

import nbformat

from . import pace
from .chapters import CHAPTERS, NOTEBOOKS
from .exercises import exercises

PAGE = NOTEBOOKS / "INSTRUCTOR.md"
MINUTES, LAST = 5, 7  # an exercise takes, and the last of a chapter with the talk about it


def timetable() -> str:
    """A table in Markdown; machine minutes are those of the run that is committed (`data/pace.json`)."""
    measured = json.loads(pace.COMMITTED.read_text("utf-8"))["seconds"]
    rows = []
    for chapter in CHAPTERS:
        count = len(list(exercises(nbformat.read(chapter.path, as_version=4))))
        rows.append((chapter.stem.replace("_", " "), chapter.minutes, MINUTES * (count - 1) + LAST if count else 0,
                     measured[chapter.number] / 60))
    rows.append(("all", *(sum(column) for column in list(zip(*rows))[1:])))
    lines = [f"| {name} | {teaching} | {exercise} | {machine:.1f} |" for name, teaching, exercise, machine in rows]
    return "\n".join(["| chapter | teaching | exercises | machine |", "|---|---|---|---|", *lines])

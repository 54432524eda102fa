"""Exercises: what a learner fills in is derived from its solution, and is judged by a check that never raises.

In a chapter an exercise is a task with hints (markdown) and three code cells in a row, tagged `exercise`, `exercise-check` and
`solution`. A solution begins with the line "# Solution" and ends with a call of the check; the rest stands in its metadata:

    "exercise": {"name": "03-place", "kind": "fill in", "blanks": [...], "right": [[...], ...], "wrong": [[...], ...]}

    kind    "predict", "fill in", or "tweak": the learner changes a setting of the pipeline, and the check measures what that does
    blanks  pieces of the solution, in their order; the exercise has `...` in their place
    right   other answers that have to pass, each a list with a piece for every blank
    wrong   answers that must not pass, likewise

A solution's cell binds nothing for good: after it, each name has the learner's value again, so that a solution never stands for an
answer that nobody gave.

`python -m helpers exercises` writes the exercises anew from their solutions; a test fails where somebody forgot.
"""

import ast
import inspect
import math
import re
import symtable
import textwrap
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import chain
from numbers import Real
from types import CodeType
from typing import NamedTuple

import nbformat
from IPython import InteractiveShell, get_ipython
from nbformat import NotebookNode

from .chapters import CHAPTERS
from .checks import MARK

SOLUTION = "# Solution"  # the first line of a solution's cell
RIGHT, WRONG, OPEN = f"{MARK} right:", "✘ not yet:", "… not attempted yet:"  # how a check's line begins


class Exercise(NamedTuple):
    """The code cells of one exercise."""

    given: NotebookNode  # what the learner fills in
    check: NotebookNode
    solution: NotebookNode

    @property
    def name(self) -> str:
        return self.solution.metadata["exercise"]["name"]

    def with_answer(self, pieces: Iterable[str]) -> str:
        """The learner's cell with `pieces` in its blanks. ValueError for a blank that the solution does not have."""
        done, rest = "", "\n".join(self.solution.source.split("\n")[1:-1])
        for blank, piece in zip(self.solution.metadata["exercise"]["blanks"], pieces, strict=True):
            before, found, rest = rest.partition(blank)
            if not found:
                raise ValueError(f"Exercise {self.name}: its solution has no {blank!r} for the next blank.")
            done += before + piece
        return (done + rest).rstrip()

    def blank(self) -> str:
        """The learner's cell before anything is filled in."""
        return self.with_answer("..." for _ in self.solution.metadata["exercise"]["blanks"])


def exercises(notebook: NotebookNode) -> Iterator[Exercise]:
    """The exercises of a chapter, in order."""
    for place, cell in enumerate(notebook.cells):
        if "exercise" in cell.metadata:
            yield Exercise(*notebook.cells[place - 2:place + 1])


def write_exercises() -> list[str]:
    """Derive the learners' cells of all chapters from the solutions; returns the names of those that were not up to date."""
    changed = []
    for chapter in CHAPTERS:
        notebook = nbformat.read(chapter.path, as_version=4)
        stale = [each for each in exercises(notebook) if each.given.source != each.blank()]
        for exercise in stale:
            exercise.given.source = exercise.blank()
        if stale:
            nbformat.write(notebook, chapter.path)
        changed += [exercise.name for exercise in stale]
    return changed


def self_check(why: str) -> Callable[[Callable[..., str | None]], Callable[[], None]]:
    """Decorate a judge: it judges the learner's answer at once, and the solution when its name is called at the solution's end.

    why    what a right answer has shown, printed with it
    judge  its parameters are named after what the learner defines in the notebook; it returns None if that is right, and else
           a sentence that says what is still wrong. What it raises is printed as such a sentence.
    """
    def decorate(judge: Callable[..., str | None]) -> Callable[[], None]:
        notebook = judge.__globals__

        def answers() -> dict[str, object]:
            return {name: notebook.get(name, ...) for name in inspect.signature(judge).parameters}

        print(_verdict(judge, answers(), why))
        return lambda: print(_verdict(judge, answers(), "this is the solution; your own answer is kept"))

    return decorate


def is_number(value: object) -> bool:
    """Is it a finite real number, of Python's, numpy's or a Decimal? A bool is none."""
    return isinstance(value, Real | Decimal) and not isinstance(value, bool) and math.isfinite(value)


def keep_answers(shell: InteractiveShell) -> None:
    """Have `shell` bind again, after each solution's cell, what the learner had bound to its names, or nothing as before."""
    learners: dict[str, object] = {}

    def before(info) -> None:
        learners.clear()
        if info.raw_cell.startswith(SOLUTION):
            learners.update(shell.user_ns)

    def after(result) -> None:
        if not result.info.raw_cell.startswith(SOLUTION):
            return
        for name in _bound(result.info.raw_cell):
            shell.user_ns.pop(name, None)
            if name in learners:
                shell.user_ns[name] = learners[name]
        learners.clear()

    shell.events.register("pre_run_cell", before)
    shell.events.register("post_run_cell", after)


if _shell := get_ipython():  # in a notebook; the cell with its imports runs before any solution
    keep_answers(_shell)


def _bound(source: str) -> list[str]:
    """The names that a cell binds."""
    try:
        symbols = symtable.symtable(source, "cell", "exec").get_symbols()
    except SyntaxError:  # so it was not run
        return []
    return [symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()]


def _names(code: CodeType) -> set[str]:
    """The global names that a function's code asks for, the functions within it included."""
    return set(chain(code.co_names, *(_names(inner) for inner in code.co_consts if isinstance(inner, CodeType))))


def _verdict(judge: Callable[..., str | None], answers: dict[str, object], why: str) -> str:
    try:
        if unanswered := [name for name, value in answers.items() if _has_blank(value)]:
            return f"{OPEN} replace every ... of {' and '.join(unanswered)}, run that cell, then this one again."
        wrong = judge(**answers)
    except Exception as error:  # whatever an answer does, the notebook goes on
        wrong = f"your answer stopped the check with {type(error).__name__}: {error}."
        if isinstance(error, NameError) and error.name in _names(judge.__code__) and error.name not in judge.__globals__:
            wrong = f"this check needs {error.name}, which a cell further up makes: run the cells above, then this one again."
    return f"{WRONG} {wrong}" if wrong else f"{RIGHT} {why}"


def _has_blank(value: object) -> bool:
    """Is it `...`, or is there one left in it: in a text, a collection, or the source of a function?"""
    if isinstance(value, str):
        return bool(re.search(r"(?<![\w.])\.\.\.(?![\w.])", value))  # "Well... which?" is no blank
    if isinstance(value, dict | list | tuple | set):
        return any(map(_has_blank, [*value, *value.values()] if isinstance(value, dict) else value))
    if inspect.isfunction(value):
        try:
            source = ast.parse(textwrap.dedent(inspect.getsource(value)))
        except (OSError, SyntaxError):  # a function without a cell of its own
            return False
        return any(isinstance(node, ast.Constant) and node.value is ... for node in ast.walk(source))
    return value is ...

"""How far a learner is: judged by the state of the cloud and by the checks that passed, never by memory.

What a chapter builds is asked of the cloud (`resources`). Which of its checks passed stands in the learner's own copy, as saved: a
checkpoint counts if its cell is the original's, unchanged, and its output says that it held. So the evidence is where the work is; it
can be looked at, it outlives the kernel and the cloud. A chapter that was caught up with is built, but its checks have not passed here.
One of which nothing is there any more, because chapter 09 took it down, is as done as it was.
"""

import ast
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path

import nbformat
import pandas as pd

from .chapters import CHAPTERS, Chapter
from .checks import held
from .copies import copies_of, read
from .resources import Finding, look_at
from .session import Aws, connect
from .settings import Settings, SettingsError, check_parameters, of_learner

# What is counted: by name, the tag of its cells. Each prints a line that begins with MARK for what holds.
COUNTED = {"checks": "checkpoint", "exercises": "exercise-check"}


@dataclass(frozen=True)
class Progress:
    """How far one chapter is: of how many `resources` that it builds what is `amiss`, and what passed, of how many there are."""

    chapter: Chapter
    resources: int
    amiss: list[str]
    checks: int
    checks_passed: int
    exercises: int
    exercises_passed: int
    taken_down: bool = False  # by chapter 09, whose checks have passed

    built = property(lambda progress: not progress.amiss if progress.resources else None)  # None: there is nothing to build
    done = property(lambda progress: (progress.built is not False or progress.taken_down) and progress.checks_passed == progress.checks)


def where_am_i(aws: Aws | None = None, folder: Path | str = ".") -> pd.DataFrame:
    """How far you are, a row for each chapter: what it builds, as it is found now, and the checks and exercises that passed.

    aws     your connection; without it, one is made with the parameters that your first copy has
    folder  where your copies lie; a notebook runs in its own folder. Only what is saved counts.
    """
    return as_table(look(aws or connect(settings_of(Path(folder))), Path(folder)))


def look(aws: Aws, folder: Path) -> list[Progress]:
    """How far each chapter is, by the cloud that `aws` reaches and the copies in `folder`."""
    findings = look_at(aws, [chapter.number for chapter in CHAPTERS])
    found = [_of_chapter(chapter, [finding for finding in findings if finding.chapter == chapter.number], folder)
             for chapter in CHAPTERS]
    cleaned_up = found[-1].done
    return [replace(each, taken_down=cleaned_up and 0 < each.resources == len(each.amiss)) for each in found]


def settings_of(folder: Path) -> Settings:
    """The settings of the copies in `folder`: the parameters of the first that is there. The defaults if there is none.

    Raises SettingsError if the copy's parameters cannot be read.
    """
    path = next(filter(Path.exists, (folder / chapter.path.name for chapter in CHAPTERS)), None)
    if path is None:
        return Settings(prefix=of_learner(Settings.prefix))
    try:
        [cell] = [cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])]
        given = {node.target.id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body if isinstance(node, ast.AnnAssign)}
    except (AttributeError, SyntaxError, ValueError):  # no notebook, no such cell, no literals
        raise SettingsError(f"The parameters in {path} cannot be read: mend that cell, or delete the file and say `make lab`.") from None
    check_parameters(given)
    return Settings(**given)


def as_table(found: list[Progress]) -> pd.DataFrame:
    """One row for each chapter, to read."""
    def count(passed: int, total: int) -> str:
        return f"{passed} of {total}" if total else "-"

    def built(each: Progress) -> str:
        if each.built is None:
            return "-"
        if each.taken_down:
            return "taken down"
        some = 0 < len(each.amiss) < each.resources
        return "yes" if each.built else f"no: {', '.join(each.amiss)}" if some else "no"

    return pd.DataFrame([{
        "done": "yes" if each.done else "no",
        "built": built(each),
        "checks passed": count(each.checks_passed, each.checks),
        "exercises": count(each.exercises_passed, each.exercises)} for each in found],
        index=pd.Index([each.chapter.stem for each in found], name="chapter"))


def as_json(aws: Aws, found: list[Progress]) -> str:
    """One line for a trainer to collect: whose it is, where they work, when it was asked, and every chapter."""
    chapters = [{"chapter": each.chapter.number, "done": each.done, "built": each.built, "taken_down": each.taken_down,
                 "amiss": each.amiss, **{name: value for name, value in asdict(each).items() if name.startswith(("checks", "exercises"))}}
                for each in found]
    return json.dumps({"name": os.environ.get("WORKBOOK_LEARNER") or _user(), "prefix": aws.settings.prefix,
                       "target": aws.settings.target, "account": aws.settings.account,
                       "time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "chapters": chapters})


def _user() -> str:
    """This user's name; "" where the system has none, as in some containers."""
    try:
        return getuser()
    except (KeyError, OSError):
        return ""


def _of_chapter(chapter: Chapter, findings: list[Finding], folder: Path) -> Progress:
    amiss = [str(finding) for finding in findings if not finding.ok]
    # The originals show that somebody else's checks have passed. A newer chapter that was laid beside an edited one counts too.
    copies = [_code(path) for path in copies_of(chapter, folder) if not path.samefile(chapter.path)]
    counts = {}
    for name, tag in COUNTED.items():
        totals = list(_lines(chapter.path, tag))
        counts[name] = sum(total for _, _, total in totals)
        counts[f"{name}_passed"] = sum(
            max((min(total, held(cells[id_])) for cells in copies if id_ in cells and cells[id_].source == source), default=0)
            for id_, source, total in totals)
    return Progress(chapter, len(findings), amiss, **counts)


def _lines(path: Path, tag: str) -> Iterator[tuple[str, str, int]]:
    """The original's cells with `tag`: id, source, and how many lines of what holds a run of it prints."""
    for id_, cell in _code(path).items():
        if tag in cell.metadata.get("tags", []):
            yield id_, cell.source, max(1, held(cell))


def _code(path: Path) -> dict[str, nbformat.NotebookNode]:
    notebook = read(path)  # a copy that is no notebook any more has no cells that passed
    return {cell.get("id"): cell for cell in notebook.cells if cell.cell_type == "code"} if notebook else {}

"""A learner's own copies of the chapters: laid without outputs, brought up to date, and never written over once edited.

A copy carries in its metadata, under `workbook`, what it was laid from: `original` and `laid`, digests of the original's text and
of its own as laid, and the `settings` that were put into its parameters. So it is known at any time, without a list kept
elsewhere, whether the original has changed since and whether the learner has changed the copy.
"""

import hashlib
import json
import re
import shutil
from pathlib import Path

import nbformat

from .chapters import CHAPTERS, NOTEBOOKS, Chapter

KEY = "workbook"  # in the metadata of a copy


def lay_copies(folder: Path, given: dict) -> dict[str, list[str]]:
    """Bring `folder` up to date with the chapters. Returns the names of the files that were written, by what was done.

    given  parameters, such as {"seed": 7}; those that the copies were laid with before and that are not given now are kept, in a
           copy that is laid because it was deleted too

    A copy that is not there is laid. One whose chapter or parameters are new is renewed if the learner has not edited it: outputs of
    cells that are still the same stay. An edited one stays as it is, and the newer one is laid beside it as `<name>.new.ipynb`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "images").mkdir(exist_ok=True)
    for picture in (NOTEBOOKS / "images").iterdir():
        shutil.copyfile(picture, folder / "images" / picture.name)  # without its mode: originals may be read-only
    given = _settings_there(folder) | given
    done: dict[str, list[str]] = {}
    for chapter in CHAPTERS:
        what, path = _lay(chapter, folder / chapter.path.name, given)
        if what:
            done.setdefault(what, []).append(path.name)
    return done


def _settings_there(folder: Path) -> dict:
    """What the copies in `folder` were laid with: of the first that says so."""
    for chapter in CHAPTERS:
        path = folder / chapter.path.name
        if path.exists() and (notebook := read(path)) and KEY in notebook.metadata:
            return notebook.metadata[KEY].get("settings", {})
    return {}


def copies_of(chapter: Chapter, folder: Path) -> list[Path]:
    """A chapter's files in `folder`: the copy, and the newer ones that were laid beside it."""
    return sorted(path for path in folder.glob(f"{chapter.stem}*.ipynb") if re.fullmatch(rf"{chapter.stem}(\.new)*", path.stem))


def _lay(chapter: Chapter, path: Path, given: dict) -> tuple[str, Path]:
    """Lay one copy. Returns what was done, "" if nothing, and the file that it was done to."""
    if not path.exists():
        nbformat.write(_fresh(chapter, given), path)
        return "laid", path
    there = read(path)
    laid = there.metadata.get(KEY, {}) if there else {}
    given = laid.get("settings", {}) | given
    fresh = _fresh(chapter, given)
    if all(laid.get(what) == fresh.metadata[KEY][what] for what in ("original", "settings")):
        return "", path
    if laid and _digest(there) == laid["laid"]:
        nbformat.write(_with_outputs(fresh, there), path)
        return "renewed, since you had not edited them", path
    what, path = _lay(chapter, path.with_suffix(f".new{path.suffix}"), given)
    return what and "laid beside the ones that you have edited", path


def _fresh(chapter: Chapter, given: dict) -> nbformat.NotebookNode:
    """A chapter as a learner gets it: no outputs, solutions folded, parameters set."""
    notebook = nbformat.read(chapter.path, as_version=4)
    original = _digest(notebook)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
        if "parameters" in tags:
            cell.source = _with_values(cell.source, given)
    notebook.metadata[KEY] = {"original": original, "laid": _digest(notebook), "settings": given}
    return notebook


def read(path: Path) -> nbformat.NotebookNode | None:
    """The notebook, or None if what is there is none."""
    try:
        return nbformat.read(path, as_version=4)
    except (ValueError, KeyError, TypeError, AttributeError, nbformat.ValidationError):
        return None


def _digest(notebook: nbformat.NotebookNode) -> str:
    """Of what a person writes: the cells' text in their order. Running, folding and saving change nothing of it."""
    text = json.dumps([(cell.cell_type, cell.source) for cell in notebook.cells])
    return hashlib.sha256(text.encode()).hexdigest()


def _with_outputs(fresh: nbformat.NotebookNode, old: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """`fresh` with the outputs that `old` has of the same cells: they show which checks have passed. Older tools save no ids."""
    ran = {(cell.get("id"), cell.source): cell for cell in old.cells if cell.cell_type == "code"}
    for cell in fresh.cells:
        if before := ran.get((cell.id, cell.source)):
            cell.outputs, cell.execution_count = before.outputs, before.execution_count
    return fresh


def _with_values(source: str, given: dict) -> str:
    """A parameter cell with `given` values in the place of its literals; comments stay."""
    for name, value in given.items():
        source = re.sub(rf"^({name}: \w+ = )(\S+)", lambda found: found[1] + json.dumps(value), source, flags=re.M)
    return source

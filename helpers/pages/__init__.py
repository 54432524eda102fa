"""The chapters as pages for readers who do not run anything, and as slides for a room: static HTML that works from a file.

Both are made from the committed notebooks, outputs included, by nbconvert; the templates, the style and the few lines of script
beside this file add navigation, light and dark, and large type. A picture's words for those who do not see it are the
`alt` in the metadata of its cell.
"""

import re
import shutil
from pathlib import Path

import nbformat
from jinja2 import Environment, FileSystemLoader, select_autoescape
from nbconvert import HTMLExporter

from ..chapters import CHAPTERS, FOLDING, NOTEBOOKS

HERE = Path(__file__).parent
EXPORTER = HTMLExporter(raw_template="{% extends 'basic/index.html.j2' %}" + FOLDING, exclude_input_prompt=True, exclude_output_prompt=True)


def write_site(folder: Path) -> list[Path]:
    """Write the chapters, a first page that lists them, and the pictures into `folder`, which is emptied first. Returns the pages."""
    _begin(folder)
    notebooks = {chapter: nbformat.read(chapter.path, as_version=4) for chapter in CHAPTERS}
    titles = {chapter: _title(notebook) for chapter, notebook in notebooks.items()}
    pages = [_write(folder / "index.html", "index.html.j2", titles=titles)]
    for place, (chapter, notebook) in enumerate(notebooks.items()):
        body = _body(notebook)
        pages.append(_write(folder / f"{chapter.stem}.html", "chapter.html.j2", titles=titles, chapter=chapter,
                            body=body, sections=_sections(body), before=CHAPTERS[place - 1] if place else None,
                            after=CHAPTERS[place + 1] if place + 1 < len(CHAPTERS) else None))
    return pages


def write_slides(folder: Path) -> list[Path]:
    """Write one presentation a chapter, and a first page that lists them, into `folder`, which is emptied first. Returns the pages.

    slides.js cuts the chapter into slides where it is shown, because only there is it known what fits. Not shown are the parameters.
    """
    _begin(folder)
    titles = {chapter: _title(nbformat.read(chapter.path, as_version=4)) for chapter in CHAPTERS}
    pages = [_write(folder / "index.html", "index.html.j2", titles=titles)]
    for chapter in CHAPTERS:
        notebook = nbformat.read(chapter.path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if "parameters" not in cell.metadata.get("tags", [])]
        pages.append(_write(folder / f"{chapter.stem}.html", "slides.html.j2", chapter=chapter, title=titles[chapter], body=_body(notebook)))
    return pages


def _begin(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copytree(NOTEBOOKS / "images", folder / "images")
    for name in ("style.css", "theme.js", "slides.css", "slides.js"):
        shutil.copy(HERE / name, folder / name)


def _write(path: Path, template: str, **values) -> Path:
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=select_autoescape(["html.j2"]), trim_blocks=True, lstrip_blocks=True)
    path.write_text(environment.get_template(template).render(**values), "utf-8")
    return path


def _title(notebook: nbformat.NotebookNode) -> str:
    return re.search(r"^# (.+)$", notebook.cells[0].source, re.M)[1]


def _sections(body: str) -> list[tuple[str, str]]:
    """The headings of the second level: the anchor that nbconvert gave each, and its words as HTML."""
    return re.findall(r'<h2 id="([^"]+)">(.+?)<a class="anchor-link"', body)


def _body(notebook: nbformat.NotebookNode) -> str:
    """The cells as HTML, without prompts; links between chapters lead to pages."""
    html, _ = EXPORTER.from_notebook_node(notebook)
    return re.sub(r'href="(\w+)\.ipynb"', r'href="\1.html"', html)

"""The chapters as a row of notebooks: which are there, which are already built, and running them headlessly.

The notebooks are the only description of how the pipeline is built. Bringing the pipeline up to a chapter means running the
missing earlier ones with papermill.
"""

import base64
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
import papermill
from tqdm import tqdm
from traitlets.config import Config

from . import pace
from .checks import MARK, held
from .environment import ROOT
from .resources import RESOURCES, Finding, look_at
from .session import Aws
from .settings import Settings, of_learner
from .waits import wait_until

NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / of_learner("runs")
PACE = RUNS / "pace.json"  # how long the chapters of this machine's last `make run` took
CELL_SECONDS = 300  # no cell may take longer; on the local AWS none takes a tenth of it


@dataclass(frozen=True)
class Chapter:
    """One notebook: its file's stem, whose number ("05") it is known by, and the minutes it takes a learner.

    founds  whether later chapters build upon what it makes, so that they run again when it does; others are mended alone
    """

    stem: str
    minutes: int
    founds: bool = False

    number = property(lambda chapter: chapter.stem[:2])
    path = property(lambda chapter: NOTEBOOKS / f"{chapter.stem}.ipynb")


CHAPTERS = [
    Chapter("00_start_here", 10),
    Chapter("01_orders_table", 20, founds=True),
    Chapter("02_change_data_capture", 20, founds=True),
    Chapter("03_kinesis_stream", 20, founds=True),
    Chapter("04_eventbridge_pipe", 25),
    Chapter("05_firehose_lambda", 35),
    Chapter("06_glue_crawler", 30),
    Chapter("07_athena_analysis", 40),
    Chapter("08_when_things_break", 60),
    Chapter("09_clean_up", 10),
]


def building(before: str) -> list[Chapter]:
    """The chapters before number `before` that build something."""
    builders = {number for number, _, _ in RESOURCES}
    return [chapter for chapter in CHAPTERS if chapter.number < before and chapter.number in builders]


def to_run(findings: Iterable[Finding], before: str) -> list[Chapter]:
    """The chapters before number `before` that have to run: where something is amiss, and all that follow one that founds."""
    amiss = {finding.chapter for finding in findings if not finding.ok}
    todo: list[Chapter] = []
    for chapter in building(before):
        if chapter.number in amiss or any(earlier.founds for earlier in todo):
            todo.append(chapter)
    return todo


def missing(aws: Aws, before: str) -> list[Chapter]:
    """The chapters before number `before` that have to run, judged by what is found in the cloud now."""
    return to_run(look_at(aws, [chapter.number for chapter in building(before)]), before)


def catch_up(aws: Aws, chapter: str) -> None:
    """Bring the pipeline up to `chapter` ("05"): say what is amiss, how long it takes at most, and run the chapters that mend it.

    They run with the same settings. Raises ChapterFailed if one stops, or if something is still amiss at the end.
    """
    numbers = [earlier.number for earlier in building(chapter)]
    findings = _settled(aws, numbers)
    todo = to_run(findings, chapter)
    if todo:
        for line in what_runs(findings, todo):
            print(line)
        seconds = pace.at_most([earlier.number for earlier in todo], aws.settings, aws.clock_scale, PACE)
        print(f"this takes at most {pace.in_words(seconds)}")
        run(todo, aws.settings, RUNS / "catch-up")
        if left := [finding for finding in _settled(aws, numbers) if not finding.ok]:
            raise ChapterFailed("\n".join(f"Chapter {finding.chapter} has run, but {finding}." for finding in left))
    print(f"ready for chapter {chapter}" + (f": ran {', '.join(done.stem for done in todo)}" if todo else ""))


def what_runs(findings: Iterable[Finding], todo: Iterable[Chapter]) -> list[str]:
    """Why each chapter of `todo` runs, a line each: "04_eventbridge_pipe runs, because the pipe is STOPPED"."""
    lines = []
    for chapter in todo:
        amiss = [str(finding) for finding in findings if finding.chapter == chapter.number and not finding.ok]
        reason = ", ".join(amiss) or "what it builds upon is made anew"
        lines.append(f"{chapter.stem} runs, because {reason}")
    return lines


def _settled(aws: Aws, numbers: list[str]) -> list[Finding]:
    """What is found when nothing is on its way to another state any more, such as a pipe that is STOPPING."""
    findings = look_at(aws, numbers)
    if any(finding.moving for finding in findings):
        wait_until("all has settled", lambda: not any(finding.moving for finding in look_at(aws, numbers)), every=1, timeout=300,
                   show=lambda: [str(finding) for finding in look_at(aws, numbers) if finding.moving])
        findings = look_at(aws, numbers)
    return findings


@dataclass(frozen=True)
class Result:
    """How a chapter went: seconds, and checkpoints that held."""

    chapter: Chapter
    seconds: float
    checkpoints: int
    path: Path


class ChapterFailed(RuntimeError):
    """A chapter stopped at a cell; the message has the chapter, the cell's error and where the executed notebook lies."""


def run(chapters: Iterable[Chapter], settings: Settings, folder: Path) -> list[Result]:
    """Execute `chapters` in order with `settings`, write the executed notebooks into `folder`, and stop at the first error."""
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    line = "{desc:<24}{bar:20}{n_fmt}/{total_fmt} chapters, {elapsed}"
    with tqdm(list(chapters), bar_format=line, file=sys.stdout) as bar:
        for chapter in bar:
            bar.set_description_str(chapter.stem)
            results.append(_run_one(chapter, settings, folder / chapter.path.name))
    return results


def _run_one(chapter: Chapter, settings: Settings, output: Path) -> Result:
    started = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="kernel-") as sockets:
            notebook = papermill.execute_notebook(
                chapter.path, output, parameters=_changed(settings), cwd=NOTEBOOKS, kernel_name="python3", progress_bar=False,
                execution_timeout=CELL_SECONDS, coalesce_streams=True, log_output=False, config=_kernel_config(sockets),
                extra_arguments=["--log-level=ERROR"])  # the kernel's own warnings are no news of the chapter's
    except papermill.PapermillExecutionError as error:
        raise ChapterFailed(f"Chapter {chapter.stem} stopped at cell {error.cell_index}: {error.ename}: {error.evalue}\n"
                            f"The notebook as far as it came: {output}") from None
    except (TimeoutError, RuntimeError) as error:  # nbclient's: a cell took too long, the kernel died
        raise ChapterFailed(f"Chapter {chapter.stem} stopped: {error}\nThe notebook as far as it came: {output}") from None
    return Result(chapter, time.monotonic() - started, count_checkpoints(notebook), output)


def _kernel_config(folder: str) -> Config:
    """Talk with the kernel through sockets in `folder`, where the system has such: two runs at once may pick the same free ports."""
    return Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}} if os.name == "posix" else {})


def count_checkpoints(notebook: nbformat.NotebookNode) -> int:
    """The checkpoints that held in an executed notebook."""
    return sum(held(cell) for cell in notebook.cells if "checkpoint" in cell.metadata.get("tags", []))  # the doctor has the same mark


def _changed(settings: Settings) -> dict:
    """The parameters that differ from those written in the notebooks: a run with the defaults injects none."""
    defaults = asdict(Settings())
    return {name: value for name, value in asdict(settings).items() if value != defaults[name]}


def merge(results: Iterable[Result]) -> nbformat.NotebookNode:
    """All executed chapters one after the other, as one notebook to read; links between them lead to their beginnings."""
    whole = nbformat.v4.new_notebook()
    for result in results:
        notebook = nbformat.read(result.path, as_version=4)
        whole.metadata = notebook.metadata
        for number, cell in enumerate(notebook.cells):
            cell.id = f"c{result.chapter.number}-{number}"
            if cell.cell_type == "markdown":
                cell.source = re.sub(r"\]\((\w+)\.ipynb\)", r"](#\1)", cell.source)
            if number == 0:
                cell.source = f'<a id="{result.chapter.stem}"></a>\n\n{cell.source}'
            whole.cells.append(cell)
    return whole


# What JupyterLab folds (an exercise's check, its solution with what that prints), a page folds too, under the cell's first line. What
# follows is for a template of nbconvert's, named in an `extends` before it.
FOLDING = """
{% macro fold(cell) %}<details class="folded"><summary>{{ cell.source.split('\n')[0].lstrip('# ') | e }}</summary>{% endmacro %}
{% block html_head %}{{ super() }}
<style>.folded > summary { cursor: pointer; margin: .3em 0 .3em 92px; font-family: var(--jp-content-font-family, sans-serif); }</style>
{% endblock %}
{% block codecell %}{% set whole = cell.metadata.get('jupyter', {}).get('outputs_hidden') %}
{%- if whole %}{{ fold(cell) }}{{ super() }}</details>{% else %}{{ super() }}{% endif %}{% endblock %}
{% block input_group %}{% set input = cell.metadata.get('jupyter', {}).get('source_hidden') %}
{%- if input and not cell.metadata.jupyter.get('outputs_hidden') %}{{ fold(cell) }}{{ super() }}</details>
{%- else %}{{ super() }}{% endif %}{% endblock %}
"""


def write_html(results: Iterable[Result], path: Path) -> None:
    """Write one HTML page with all executed chapters, pictures included, that needs nothing else to be read."""
    from nbconvert import HTMLExporter

    whole = merge(results)
    for cell in whole.cells:
        if cell.cell_type == "markdown":  # nbconvert's own embed_images closes every <details> before what is folded in it
            cell.source = re.sub(r"\]\((images/.+?\.png)\)", _embedded, cell.source)
    exporter = HTMLExporter(raw_template="{% extends 'lab/index.html.j2' %}" + FOLDING)
    page, _ = exporter.from_notebook_node(whole, {"metadata": {"name": "Orders CDC workbook"}})
    path.write_text(page, "utf-8")


def _embedded(link: re.Match) -> str:
    """The target of a picture's link as the picture itself."""
    return f"](data:image/png;base64,{base64.b64encode((NOTEBOOKS / link[1]).read_bytes()).decode()})"


def agreement(results: Iterable[Result]) -> str:
    """The line of the analysis in which lake and table agree. LookupError if no chapter said so."""
    for result in results:
        for cell in nbformat.read(result.path, as_version=4).cells:
            for line in (line for output in cell.get("outputs", []) for line in output.get("text", "").splitlines()):
                if line.startswith(f"{MARK} lake and table agree"):
                    return line
    raise LookupError("No chapter said that lake and table agree.")


def commit_outputs(results: Iterable[Result]) -> None:
    """Put the outputs of a run into the notebooks themselves; nothing else of the run stays in them.

    The picture of a cell tagged `readme-NAME` becomes images/NAME.png, which the README shows. A picture keeps its alt text.
    """
    for result in results:
        executed = nbformat.read(result.path, as_version=4)
        outputs = {cell.id: cell for cell in executed.cells}
        notebook = nbformat.read(result.chapter.path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = outputs[cell.id].outputs, outputs[cell.id].execution_count
                for output in cell.outputs:
                    alt = output.get("metadata", {}).get("image/png", {}).get("alt")
                    output.get("metadata", {}).clear()
                    if alt:
                        output.metadata["image/png"] = {"alt": alt}
                for name in (tag.removeprefix("readme-") for tag in cell.metadata.get("tags", []) if tag.startswith("readme-")):
                    [picture] = [output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {})]
                    (NOTEBOOKS / "images" / f"{name}.png").write_bytes(base64.b64decode(picture))
        nbformat.write(notebook, result.chapter.path)

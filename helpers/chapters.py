"""The chapters as a row of notebooks: which are there, which are already built, and running them headlessly.

The notebooks are the only description of how the pipeline is built. Bringing the pipeline up to a chapter means running the
missing earlier ones with papermill.
"""

import base64
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import nbformat
import papermill
from botocore.exceptions import ClientError
from tqdm import tqdm
from traitlets.config import Config

from .checks import MARK
from .clean_up import says_gone
from .session import Aws
from .settings import Settings

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
RUNS = ROOT / "runs"
CELL_SECONDS = 300  # no cell may take longer; on the local AWS none takes a tenth of it


@dataclass(frozen=True)
class Chapter:
    """One notebook: its number ("05"), its file's stem, the minutes it takes a learner, and whether what it builds is there."""

    stem: str
    minutes: int
    is_built: Callable[[Aws], bool] = lambda aws: True  # a chapter that leaves nothing for later ones is never missing

    number = property(lambda chapter: chapter.stem[:2])
    path = property(lambda chapter: NOTEBOOKS / f"{chapter.stem}.ipynb")


def _table(aws: Aws) -> dict:
    return aws.client("dynamodb").describe_table(TableName=aws.settings.table)["Table"]


def _pipe_runs(aws: Aws) -> bool:
    """From the table's stream of today: one that was switched off and on is another."""
    pipe = aws.client("pipes").describe_pipe(Name=aws.settings.pipe)
    return pipe["CurrentState"] == "RUNNING" and pipe["Source"] == _table(aws).get("LatestStreamArn")


def _lake_has_objects(aws: Aws) -> bool:
    aws.client("lambda").get_function_configuration(FunctionName=aws.settings.function)
    aws.client("firehose").describe_delivery_stream(DeliveryStreamName=aws.settings.delivery_stream)
    found = aws.client("s3").list_objects_v2(Bucket=aws.settings.bucket, Prefix=aws.settings.lake_prefix, MaxKeys=1)
    return found["KeyCount"] > 0


CHAPTERS = [
    Chapter("00_start_here", 10),
    Chapter("01_orders_table", 20, lambda aws: _table(aws)["TableStatus"] == "ACTIVE"),
    Chapter("02_change_data_capture", 20, lambda aws: _table(aws).get("StreamSpecification", {}).get("StreamEnabled", False)),
    Chapter("03_kinesis_stream", 20, lambda aws: bool(
        aws.client("kinesis").describe_stream_summary(StreamName=aws.settings.stream))),
    Chapter("04_eventbridge_pipe", 25, _pipe_runs),
    Chapter("05_firehose_lambda", 35, _lake_has_objects),
    Chapter("06_glue_crawler", 30, lambda aws: bool(
        aws.client("glue").get_crawler(Name=aws.settings.crawler)
        and aws.client("glue").get_table(DatabaseName=aws.settings.database, Name=aws.settings.lake_table))),
    Chapter("07_athena_analysis", 40, lambda aws: bool(
        aws.client("athena").get_work_group(WorkGroup=aws.settings.workgroup)
        and aws.client("glue").get_table(DatabaseName=aws.settings.database, Name="current_orders"))),  # its last view
    Chapter("08_when_things_break", 60),
    Chapter("09_clean_up", 10),
]


def missing(aws: Aws, before: str) -> list[Chapter]:
    """The chapters before number `before` that have to run: the first one whose work is not there, and all after it."""
    earlier = [chapter for chapter in CHAPTERS if chapter.number < before]
    for place, chapter in enumerate(earlier):
        try:
            built = chapter.is_built(aws)
        except ClientError as error:
            if not says_gone(error):
                raise
            built = False
        if not built:
            return earlier[place:]
    return []


def catch_up(aws: Aws, chapter: str) -> None:
    """Bring the pipeline up to `chapter` ("05"): run the earlier chapters that are missing, with the same settings."""
    todo = missing(aws, chapter)
    if todo:
        run(todo, aws.settings, RUNS / "catch-up")
    print(f"ready for chapter {chapter}" + (f": ran {', '.join(done.stem for done in todo)}" if todo else ""))


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
    checkpoints = [cell for cell in notebook.cells if "checkpoint" in cell.metadata.get("tags", [])]  # the doctor has the same mark
    return sum(line.startswith(MARK) for cell in checkpoints for output in cell.outputs for line in output.get("text", "").splitlines())


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


def write_html(results: Iterable[Result], path: Path) -> None:
    """Write one HTML page with all executed chapters, pictures included, that needs nothing else to be read."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(embed_images=True)
    page, _ = exporter.from_notebook_node(merge(results), {"metadata": {"path": str(NOTEBOOKS), "name": "Orders CDC workbook"}})
    path.write_text(page, "utf-8")


def agreement(results: Iterable[Result]) -> str:
    """The line of the analysis in which lake and table agree. LookupError if no chapter said so."""
    for result in results:
        for cell in nbformat.read(result.path, as_version=4).cells:
            for line in (line for output in cell.get("outputs", []) for line in output.get("text", "").splitlines()):
                if line.startswith(f"{MARK} lake and table agree"):
                    return line
    raise LookupError("No chapter said that lake and table agree.")


def copy_for_learner(folder: Path, settings: Settings) -> list[str]:
    """Copy the chapters that `folder` does not have yet, outputs cleared, with `settings` in their parameter cells.

    Returns the stems of those copied. What is there stays as the learner left it, so settings reach new copies only.
    """
    folder.mkdir(exist_ok=True)
    shutil.copytree(NOTEBOOKS / "images", folder / "images", dirs_exist_ok=True)
    copied = []
    for chapter in CHAPTERS:
        if (folder / chapter.path.name).exists():
            continue
        notebook = nbformat.read(chapter.path, as_version=4)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            if "parameters" in cell.metadata.get("tags", []):
                cell.source = _with_values(cell.source, settings)
        nbformat.write(notebook, folder / chapter.path.name)
        copied.append(chapter.stem)
    return copied


def _with_values(source: str, settings: Settings) -> str:
    """A parameter cell with the settings' values in the place of its literals; comments stay."""
    for name, value in asdict(settings).items():
        value = "" if name == "account" and settings.target == "local" else value
        source = re.sub(rf"^({name}: \w+ = )(\S+)", lambda found: found[1] + repr(value).replace("'", '"'), source, flags=re.M)
    return source


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

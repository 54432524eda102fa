"""JupyterLab in a real browser, as a learner uses it: `lab`, chapter 00, an exercise of 01, the charts and the glass pipeline of 07.

Screenshots stay in runs/browser/ to be looked at.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time

import nbformat
import psutil
import pytest

from helpers.chapters import ROOT

LEARNER = f"browser-{os.getpid()}"  # port, state, prefix and copies of its own: nothing of a person's is touched
COPIES, RUNS = ROOT / f"my-workbook-{LEARNER}", ROOT / f"runs-{LEARNER}"
SHOTS = ROOT / "runs" / "browser"
PANEL = ".jp-NotebookPanel:not(.lm-mod-hidden)"  # the notebook in front
CHAPTER_SECONDS = 400


@pytest.fixture
def lab(tmp_path):
    """JupyterLab as `python -m helpers lab` starts it; gives the address that it prints."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LOCALAWS", "AWS_", "JUPYTER"))}
    environment |= {"WORKBOOK_LEARNER": LEARNER, "LOCALAWS_CLOCK_SCALE": "60", "LOCALAWS_DIR": str(tmp_path / "aws"),
                    "JUPYTER_CONFIG_DIR": str(tmp_path / "config"), "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime")}
    log = tmp_path / "lab.log"
    with log.open("w") as file:
        started = subprocess.Popen([sys.executable, "-m", "helpers", "lab", "--no-browser", "changes=200", "rate=0"], cwd=ROOT,
                                   env=environment, stdout=file, stderr=file)
    try:
        yield address(log, started)
    finally:
        for process in [*psutil.Process(started.pid).children(recursive=True), psutil.Process(started.pid)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        started.wait(30)
        subprocess.run([sys.executable, "-m", "helpers.localaws", "stop"], cwd=ROOT, env=environment, capture_output=True, timeout=60)
        for folder in (COPIES, RUNS):
            shutil.rmtree(folder, ignore_errors=True)


def address(log, process, seconds=90):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*token=\w+", log.read_text()):
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start: {log.read_text()[-2000:]}")


def open_chapter(page, stem):
    page.locator(".jp-DirListing-item", has_text=stem).dblclick()
    page.wait_for_selector(f"{PANEL} .jp-CodeCell")
    page.wait_for_selector(f"{PANEL} .jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)


def run_all(page, stem):
    """Run every cell, wait until all have run, and return the notebook as saved."""
    page.wait_for_selector("#jp-main-statusbar >> text=/ipykernel.*Idle/", timeout=90_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    path, end = COPIES / f"{stem}.ipynb", time.monotonic() + CHAPTER_SECONDS
    while time.monotonic() < end:
        page.wait_for_timeout(1_000)
        page.keyboard.press("Control+s")
        with contextlib.suppress(nbformat.reader.NotJSONError):  # it is being written
            notebook = nbformat.read(path, as_version=4)
            code = [cell for cell in notebook.cells if cell.cell_type == "code"]
            if all(cell.execution_count for cell in code) or errors(notebook):
                break
    page.screenshot(path=SHOTS / f"{stem}.png")
    assert errors(notebook) == []
    assert all(cell.execution_count for cell in code), f"{stem} is not through after {CHAPTER_SECONDS} s"
    return notebook


def errors(notebook):
    return [f"{output.ename}: {output.evalue}" for cell in notebook.cells for output in cell.get("outputs", [])
            if output.output_type == "error"]


def answer(page, cell, text):
    """Put `text` in the place of the cell's source, run it, then the check below."""
    editor = cell.locator(".cm-content")
    editor.scroll_into_view_if_needed()
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")


def test_a_learner_comes_from_chapter_00_to_the_charts(lab, page):
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    page.goto(lab)
    page.wait_for_selector(f"{PANEL} .jp-CodeCell", timeout=90_000)
    assert page.locator(f"{PANEL} h1").first.inner_text().startswith("Start here"), "it opens at chapter 00"
    page.wait_for_function("[...document.querySelectorAll('.jp-RenderedMarkdown img')].every((image) => image.naturalWidth > 0)")
    run_all(page, "00_start_here")

    open_chapter(page, "01_orders_table")
    run_all(page, "01_orders_table")
    learners = page.locator(f"{PANEL} .jp-CodeCell", has_text="left = ...").first
    hint = page.locator(f"{PANEL} summary", has_text="Hint").first
    hint.scroll_into_view_if_needed()
    hint.click()
    assert page.locator(f"{PANEL} details[open]").count() == 1
    page.screenshot(path=SHOTS / "hint.png")
    for text, verdict in [('left = {"price"}', "✘ not yet"), ('left = {"orderid", "quantity", "price"}', "✔ right: the second put")]:
        answer(page, learners, text)
        learners = page.locator(f"{PANEL} .jp-CodeCell", has_text="left = {").first
        said = page.locator(f"{PANEL} .jp-OutputArea-output", has_text=verdict).first
        said.wait_for(timeout=30_000)
        said.scroll_into_view_if_needed()
        page.screenshot(path=SHOTS / f"answer-{verdict.split()[1].rstrip(':')}.png")

    open_chapter(page, "07_athena_analysis")
    notebook = run_all(page, "07_athena_analysis")
    drawn = [cell for cell in notebook.cells if any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))]
    assert any("glass.show" in cell.source for cell in drawn) and len(drawn) >= 6
    pictures = page.locator(f"{PANEL} .jp-OutputArea-output img")
    assert pictures.count() >= len(drawn)
    for number in range(pictures.count()):
        pictures.nth(number).scroll_into_view_if_needed()
        assert pictures.nth(number).evaluate("(image) => image.complete && image.naturalWidth > 300")
        page.screenshot(path=SHOTS / f"07-picture-{number}.png")
    # JupyterLab's own files, and pictures that it asks for once before it knows where the notebook lies, are no concern of ours.
    assert [problem for problem in page.problems if not re.search("/static/|failed: .*/lab/tree/images/", problem)] == []

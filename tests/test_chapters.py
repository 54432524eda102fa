"""Running chapters: which are missing, what a run says at its end, and the commands around it."""

import base64
import re
import subprocess
import sys

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers import chapters
from helpers.__main__ import COMMANDS
from helpers.chapters import CHAPTERS, Chapter, ChapterFailed, Result
from helpers.checks import MARK
from helpers.resources import RESOURCES, Finding
from helpers.settings import Settings


def notebook(*sources, outputs=(), tags=()):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = list(tags)
    cells[-1].outputs = [nbformat.v4.new_output("stream", name="stdout", text=text) for text in outputs]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})


def command(*words):
    done = subprocess.run([sys.executable, "-m", "helpers", *words], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


class Connected:
    """Enough of a connection for the chapters' own questions."""

    clock_scale = 20

    def __init__(self, aws, settings):
        self.client, self.settings = aws and aws.client, settings


def test_on_a_fresh_aws_all_earlier_chapters_that_build_something_are_missing(aws):
    connected = Connected(aws, Settings(prefix="chapters-none"))
    assert [chapter.number for chapter in chapters.missing(connected, "05")] == ["01", "02", "03", "04"]
    assert chapters.missing(connected, "01") == []


def test_what_is_there_is_not_missing_and_what_follows_a_gap_is(aws):
    settings = Settings(prefix="chapters-some")
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(TableName=settings.table, BillingMode="PAY_PER_REQUEST", KeySchema=[{"AttributeName": "orderid", "KeyType": "HASH"}],
                          AttributeDefinitions=[{"AttributeName": "orderid", "AttributeType": "S"}])
    aws.client("kinesis").create_stream(StreamName=settings.stream, ShardCount=1)
    try:
        missing = chapters.missing(Connected(aws, settings), "05")
        assert [chapter.number for chapter in missing] == ["02", "03", "04"], "03 builds upon 02, so it runs again"
    finally:
        dynamodb.delete_table(TableName=settings.table)
        aws.client("kinesis").delete_stream(StreamName=settings.stream)


@pytest.mark.parametrize("amiss, numbers", [
    ([], []), (["04"], ["04"]), (["04", "06"], ["04", "06"]), (["03"], ["03", "04", "05", "06"]), (["01", "06"], ["01", "02", "03", "04", "05", "06"])])
def test_a_chapter_that_others_build_upon_takes_them_along_and_the_others_run_alone(amiss, numbers):
    findings = [Finding(number, f"what {number} builds", "is broken" if number in amiss else "") for number, _, _ in RESOURCES]
    todo = chapters.to_run(findings, "07")
    assert [chapter.number for chapter in todo] == numbers
    for line, chapter in zip(chapters.what_runs(findings, todo), todo, strict=True):
        broken = chapter.number in amiss
        assert line.startswith(chapter.stem)
        assert (f"because what {chapter.number} builds is broken" in line) == broken
        assert ("because what it builds upon is made anew" in line) == (not broken)


def test_what_is_still_amiss_after_its_chapter_has_run_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setattr(chapters, "look_at", lambda aws, numbers: [Finding("04", "the pipe", "writes to another stream")])
    monkeypatch.setattr(chapters, "run", lambda *_: [])
    with pytest.raises(ChapterFailed, match="Chapter 04 has run, but the pipe writes to another stream."):
        chapters.catch_up(Connected(None, Settings()), "05")


def test_catching_up_waits_for_what_is_on_its_way(monkeypatch, capsys):
    states = iter(["is STOPPING"] * 3 + [""] * 9)
    monkeypatch.setattr(chapters, "look_at", lambda aws, numbers: [Finding("04", "the pipe", next(states))])
    monkeypatch.setattr(chapters, "run", lambda *_: pytest.fail("nothing has to run"))
    chapters.catch_up(Connected(None, Settings()), "05")
    assert capsys.readouterr().out.endswith("ready for chapter 05\n")


def test_a_run_passes_only_what_differs_so_that_a_default_run_is_the_notebook_as_written():
    assert chapters._changed(Settings()) == {}
    assert chapters._changed(Settings(seed=7, prefix="x")) == {"seed": 7, "prefix": "x"}


def test_a_chapter_that_fails_says_which_cell_and_why(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path)
    nbformat.write(notebook("x = 1", "raise ValueError('the shop is closed')"), tmp_path / "01_a.ipynb")
    with pytest.raises(ChapterFailed, match=r"01_a stopped at cell \d: ValueError: the shop is closed"):
        chapters.run([Chapter("01_a", 5)], Settings(), tmp_path / "runs")


@pytest.mark.parametrize("source, sentence", [("import time\ntime.sleep(60)", "timed out"), ("import os\nos._exit(1)", "died")])
def test_a_cell_that_never_ends_or_ends_its_kernel_fails_its_chapter(tmp_path, monkeypatch, source, sentence):
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(chapters, "CELL_SECONDS", 1)
    nbformat.write(notebook(source), tmp_path / "01_a.ipynb")
    with pytest.raises(ChapterFailed, match=rf"01_a stopped: (?s:.*){sentence}"):
        chapters.run([Chapter("01_a", 5)], Settings(), tmp_path / "runs")


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


@pytest.fixture
def executed(tmp_path, monkeypatch):
    """Two chapters as they are committed, without outputs, and their results, with outputs; each draws a picture for the README."""
    (tmp_path / "notebooks" / "images").mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path / "notebooks")
    results = []
    for stem in ("01_a", "02_b"):
        chapter = Chapter(stem, 5)
        book = notebook("x = 1", f"print('{stem} says so')", tags=["parameters"])
        book.cells[1].metadata["tags"] = ["a-tag", f"readme-{stem}"]
        nbformat.write(book, chapter.path)
        book.cells[1].execution_count = 2
        book.cells[1].outputs = [nbformat.v4.new_output("stream", text=f"{stem} says so")]
        book.cells[1].outputs.append(nbformat.v4.new_output("display_data", {"image/png": PIXEL}, metadata={
            "of": "this machine", "image/png": {"width": 7} | ({"alt": "One pixel"} if stem == "02_b" else {})}))
        book.cells.insert(1, nbformat.v4.new_code_cell("injected = 1"))
        book.metadata["papermill"] = {"output_path": str(tmp_path)}
        nbformat.write(book, tmp_path / "runs" / chapter.path.name)
        results.append(Result(chapter, 1.0, 0, tmp_path / "runs" / chapter.path.name))
    return results


def test_a_runs_outputs_and_nothing_else_of_it_are_committed(executed):
    before = [nbformat.read(result.chapter.path, 4) for result in executed]
    chapters.commit_outputs(executed)
    for book, result in zip(before, executed):
        committed = nbformat.read(result.chapter.path, 4)
        assert committed.metadata == book.metadata
        assert [(cell.id, cell.source) for cell in committed.cells] == [(cell.id, cell.source) for cell in book.cells]
        assert committed.cells[1].execution_count == 2
        assert committed.cells[1].outputs[0].text == f"{result.chapter.stem} says so"
        assert committed.cells[1].outputs[1].metadata == ({"image/png": {"alt": "One pixel"}} if result.chapter.stem == "02_b" else {})
    pictures = {path.name: path.read_bytes() for path in (chapters.NOTEBOOKS / "images").iterdir()}
    assert pictures == dict.fromkeys(["01_a.png", "02_b.png"], base64.b64decode(PIXEL))


def test_one_page_holds_all_chapters_and_their_pictures(executed, tmp_path):
    whole = chapters.merge(executed)
    nbformat.validate(whole)
    assert [cell.id for cell in whole.cells] == ["c01-0", "c01-1", "c01-2", "c02-0", "c02-1", "c02-2"]
    chapters.write_html(executed, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "01_a says so" in page and "02_b says so" in page and f"data:image/png;base64,{PIXEL}" in page


def test_on_one_page_links_between_chapters_lead_to_their_beginnings(tmp_path):
    for stem in ("01_a", "02_b"):
        cells = [nbformat.v4.new_markdown_cell(f"# {stem}\n\nNext: [the other](02_b.ipynb)")]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / f"{stem}.ipynb")
    whole = chapters.merge([Result(Chapter(stem, 5), 1.0, 0, tmp_path / f"{stem}.ipynb") for stem in ("01_a", "02_b")])
    assert [cell.source.splitlines()[0] for cell in whole.cells] == ['<a id="01_a"></a>', '<a id="02_b"></a>']
    assert all("[the other](#02_b)" in cell.source for cell in whole.cells)


def test_on_one_page_pictures_are_in_the_page_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "pixel.png").write_bytes(base64.b64decode(PIXEL))
    cells = [nbformat.v4.new_markdown_cell("# 01_a\n\n![one pixel](images/pixel.png)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_a.ipynb")
    chapters.write_html([Result(Chapter("01_a", 5), 1.0, 0, tmp_path / "01_a.ipynb")], tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text("utf-8")
    assert PIXEL in page and 'src="images' not in page


def test_a_page_folds_what_jupyterlab_folds_and_hints_stay_in_their_folds(tmp_path):
    """The source of a check, all of a solution, and what a chapter's own <details> hold: unseen until somebody unfolds them."""
    book = notebook("# Check: run me\nchecked = 1", "# Solution\nsolved = 2", outputs=["solved it"])
    book.cells[0].outputs = [nbformat.v4.new_output("stream", text="not attempted")]
    book.cells[0].metadata["jupyter"] = {"source_hidden": True}
    book.cells[1].metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
    book.cells.insert(0, nbformat.v4.new_markdown_cell("A task.\n\n<details>\n<summary>Hint</summary>\n\nA `hint`.\n\n</details>"))
    nbformat.write(book, tmp_path / "01_a.ipynb")
    chapters.write_html([Result(Chapter("01_a", 5), 1.0, 0, tmp_path / "01_a.ipynb")], tmp_path / "page.html")
    page = BeautifulSoup((tmp_path / "page.html").read_text("utf-8"), "html.parser")
    folds = {fold.summary.text: fold.text for fold in page.find_all("details") if not fold.has_attr("open")}
    assert list(folds) == ["Hint", "Check: run me", "Solution"]
    assert "A hint." in folds["Hint"] and "checked" in folds["Check: run me"]
    assert "solved = 2" in folds["Solution"] and "solved it" in folds["Solution"]
    for fold in page.find_all("details"):
        fold.decompose()
    seen = page.body.text
    assert "A task." in seen and "not attempted" in seen
    assert not any(word in seen for word in ("hint", "checked", "solved"))


def test_the_line_in_which_lake_and_table_agree_is_found_and_its_absence_is_an_error(tmp_path):
    for name, text in (("a", "nothing"), ("b", f"{MARK} lake and table agree: 3 orders\nmore")):
        nbformat.write(notebook("1", outputs=[text], tags=["checkpoint"]), tmp_path / f"{name}.ipynb")
    results = [Result(CHAPTERS[0], 1.0, 0, tmp_path / f"{name}.ipynb") for name in "ab"]
    assert chapters.agreement(results) == f"{MARK} lake and table agree: 3 orders"
    with pytest.raises(LookupError):
        chapters.agreement(results[:1])
    assert chapters.count_checkpoints(nbformat.read(tmp_path / "b.ipynb", 4)) == 1
    assert chapters.count_checkpoints(notebook("doctor(aws)", outputs=[f"{MARK} table  an INSERT"])) == 0


@pytest.mark.parametrize("words, sentence", [
    (["changes=0"], "changes is 0: give a whole number of at least 1"), (["changes=-3"], "changes is -3"),
    (["changes=many"], "changes is 'many': give a number"), (["target=azure"], "target is 'azure': choose one of 'local', 'aws'"),
    (["target=aws"], "account is ''"), (["prefix=Orders_"], "prefix is 'Orders_'"), (["chagnes=5"], "no parameter 'chagnes'"),
    (["changes"], "'changes' is not of the form name=value"), (["shards=0"], "shards is 0"),
], ids=lambda words: str(words)[:30])
def test_a_bad_word_on_the_command_line_is_refused_at_once_with_a_sentence(words, sentence):
    code, printed = command("run", *words)
    assert code == 1 and sentence in printed and "Traceback" not in printed


def test_words_for_pytest_reach_it_options_first_too():
    code, printed = command("test", "-n0", "-q", "-k", "clock_scales", "tests/localaws/test_service.py")
    assert code == 0 and "1 passed" in printed
    code, printed = command("clean", "--all")
    assert code == 2 and "unrecognized arguments: --all" in printed


def test_help_names_every_command():
    code, printed = command("--help")
    assert code == 0 and all(re.search(rf"^    {word}\b", printed, re.M) for word in COMMANDS)

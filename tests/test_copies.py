"""A learner's copies: laid without outputs, renewed only while nobody has edited them, and otherwise left alone."""

import json

import nbformat
import pytest

from helpers import chapters, copies
from helpers.chapters import Chapter
from helpers.copies import lay_copies

PARAMETERS = 'target: str = "local"  # the switch\naccount: str = ""  # 12 digits\nseed: int = 42  # same seed, same orders'
CHAPTER = Chapter("01_a", 5)
EDITED = "laid beside the ones that you have edited"
RENEWED = "renewed, since you had not edited them"


def code(source, *tags, output=None, id_=None):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    cell.id = id_ or cell.id
    if output:
        cell.execution_count, cell.outputs = 1, [nbformat.v4.new_output("stream", name="stdout", text=output)]
    return cell


def write_original(*cells):
    nbformat.write(nbformat.v4.new_notebook(cells=[code(PARAMETERS, "parameters", id_="p"), *cells]), CHAPTER.path)


def read(path):
    return nbformat.read(path, as_version=4)


def edit(path, source):
    """As JupyterLab saves it: other text in the last cell."""
    notebook = read(path)
    notebook.cells[-1].source = source
    nbformat.write(notebook, path)


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A learner's folder, not there yet; there is one chapter, with a parameter cell, a cell that has run, and a solution."""
    (tmp_path / "notebooks" / "images").mkdir(parents=True)
    (tmp_path / "notebooks" / "images" / "picture.png").write_bytes(b"a picture")
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(copies, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(copies, "CHAPTERS", [CHAPTER])
    solution = code("answer = 2", "solution", output="right\n", id_="s")
    solution.metadata["jupyter"] = {"source_hidden": True}
    write_original(code("1 + 1", output="2\n", id_="sum"), solution)
    return tmp_path / "mine"


@pytest.fixture
def copy(mine):
    assert lay_copies(mine, {}) == {"laid": ["01_a.ipynb"]}
    return mine / "01_a.ipynb"


def test_a_copy_has_no_outputs_a_folded_solution_the_parameters_given_and_the_pictures(mine):
    original = CHAPTER.path.read_bytes()
    lay_copies(mine, {"target": "aws", "account": "012345678901", "seed": 7})
    laid = read(mine / "01_a.ipynb")
    nbformat.validate(laid)
    assert laid.cells[0].source == ('target: str = "aws"  # the switch\naccount: str = "012345678901"  # 12 digits\n'
                                    "seed: int = 7  # same seed, same orders")
    assert not any(cell.outputs or cell.execution_count for cell in laid.cells)
    assert [cell.metadata.get("jupyter", {}).get("source_hidden", False) for cell in laid.cells] == [False, False, True]
    assert (mine / "images" / "picture.png").exists()
    assert CHAPTER.path.read_bytes() == original


def test_laying_again_changes_nothing(copy, mine):
    edit(copy, "answer = 3")
    before = copy.read_bytes()
    assert lay_copies(mine, {}) == {}
    assert copy.read_bytes() == before and len(list(mine.glob("*.ipynb"))) == 1


def test_a_newer_chapter_renews_a_copy_that_was_run_but_not_edited_and_keeps_what_its_cells_have_shown(copy, mine):
    ran = read(copy)
    ran.cells[1] = code("1 + 1", output="2, in my kernel\n", id_="sum")
    ran.cells[2].outputs = [nbformat.v4.new_output("stream", text="of an old cell")]
    ran.metadata["language_info"] = {"name": "python", "version": "3.12"}  # JupyterLab adds such when it saves
    nbformat.write(ran, copy)
    write_original(code("1 + 1", id_="sum"), code("answer = 'new'", id_="s"))
    assert lay_copies(mine, {}) == {RENEWED: ["01_a.ipynb"]}
    renewed = read(copy)
    assert renewed.cells[1].outputs[0].text == "2, in my kernel\n"
    assert renewed.cells[2].source == "answer = 'new'" and renewed.cells[2].outputs == []
    assert lay_copies(mine, {}) == {}


def test_a_newer_chapter_is_laid_beside_a_copy_that_was_edited(copy, mine):
    edit(copy, "my own answer")
    before = copy.read_bytes()
    write_original(code("version = 2", id_="sum"))
    assert lay_copies(mine, {}) == {EDITED: ["01_a.new.ipynb"]}
    assert copy.read_bytes() == before
    assert read(mine / "01_a.new.ipynb").cells[1].source == "version = 2"
    assert lay_copies(mine, {}) == {}, "once is enough"


def test_the_newer_one_beside_it_is_renewed_until_it_is_edited_too(copy, mine):
    edit(copy, "my own answer")
    write_original(code("version = 2", id_="sum"))
    lay_copies(mine, {})
    write_original(code("version = 3", id_="sum"))
    lay_copies(mine, {})
    assert sorted(path.name for path in mine.glob("*.ipynb")) == ["01_a.ipynb", "01_a.new.ipynb"]
    edit(mine / "01_a.new.ipynb", "I have gone on here")
    write_original(code("version = 4", id_="sum"))
    assert lay_copies(mine, {}) == {EDITED: ["01_a.new.new.ipynb"]}
    assert read(mine / "01_a.new.ipynb").cells[-1].source == "I have gone on here"


@pytest.mark.parametrize("text", ["my own notes", "{}", "[]", '{"cells": []}',
                                  nbformat.writes(nbformat.v4.new_notebook(cells=[code("x")]))], ids=["notes", "object", "list", "no cells", "notebook"])
def test_a_file_that_nobody_here_has_laid_is_a_learners_own(mine, text):
    mine.mkdir()
    (mine / "01_a.ipynb").write_text(text)
    assert lay_copies(mine, {}) == {EDITED: ["01_a.new.ipynb"]}
    assert (mine / "01_a.ipynb").read_text() == text


def test_copies_keep_their_parameters_until_others_are_given(mine):
    lay_copies(mine, {"seed": 7})
    write_original(code("version = 2", id_="sum"))
    lay_copies(mine, {})
    assert "seed: int = 7" in read(mine / "01_a.ipynb").cells[0].source
    assert lay_copies(mine, {"account": "012345678901"}) == {RENEWED: ["01_a.ipynb"]}
    source = read(mine / "01_a.ipynb").cells[0].source
    assert "seed: int = 7" in source and '"012345678901"' in source


def test_a_copy_that_was_deleted_comes_back_with_the_parameters_of_the_others(mine, monkeypatch):
    """Else the next chapter would turn the switch back to another cloud."""
    other = Chapter("02_b", 5)
    nbformat.write(nbformat.v4.new_notebook(cells=[code(PARAMETERS, "parameters", id_="p")]), other.path)
    monkeypatch.setattr(copies, "CHAPTERS", [CHAPTER, other])
    lay_copies(mine, {"target": "aws", "account": "123456789012"})
    for lost in (CHAPTER, other):
        (mine / lost.path.name).unlink()
        assert lay_copies(mine, {"seed": 7})["laid"] == [lost.path.name]
        assert 'target: str = "aws"' in read(mine / lost.path.name).cells[0].source
        assert "seed: int = 7" in read(mine / lost.path.name).cells[0].source


def test_read_only_originals_can_be_copied_and_copied_again(mine):
    (mine.parent / "notebooks" / "images" / "picture.png").chmod(0o444)
    (mine.parent / "notebooks" / "images").chmod(0o555)
    try:
        lay_copies(mine, {})
        assert lay_copies(mine, {}) == {}
        assert (mine / "images").stat().st_mode & 0o200
        assert (mine / "images" / "picture.png").stat().st_mode & 0o200
    finally:
        (mine.parent / "notebooks" / "images").chmod(0o755)


def test_a_copy_saved_by_a_tool_that_knows_no_cell_ids_is_renewed_like_any(copy, mine):
    old = json.loads(copy.read_text())
    for cell in old["cells"]:
        del cell["id"]
    copy.write_text(json.dumps(old | {"nbformat_minor": 4}))
    write_original(code("2 + 2", id_="sum"))
    assert lay_copies(mine, {}) == {RENEWED: [copy.name]}
    assert read(copy).cells[1].source == "2 + 2"


def test_parameters_that_a_learner_has_written_are_an_edit(copy, mine):
    notebook = read(copy)
    notebook.cells[0].source = PARAMETERS.replace("42", "1")
    nbformat.write(notebook, copy)
    assert lay_copies(mine, {"seed": 7}) == {EDITED: ["01_a.new.ipynb"]}
    assert "seed: int = 1 " in read(copy).cells[0].source

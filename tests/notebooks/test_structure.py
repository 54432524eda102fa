"""How every notebook is built (shared anatomy), so that a learner finds the same things in the same places."""

import ast
import re

import nbformat
import pytest

from helpers.chapters import CHAPTERS, NOTEBOOKS
from helpers.exercises import exercises
from helpers.settings import Settings

CHAPTER_IDS = [chapter.stem for chapter in CHAPTERS]
WITH_EXERCISES = [chapter for chapter in CHAPTERS if "01" <= chapter.number <= "08"]
MACHINE_PATHS = re.compile(r"/(work|root|home|tmp|Users|private|var)/|[A-Z]:\\\\")
each_chapter = pytest.mark.parametrize("notebook", CHAPTERS, ids=CHAPTER_IDS, indirect=True)
each_with_exercises = pytest.mark.parametrize("notebook", WITH_EXERCISES, ids=[chapter.stem for chapter in WITH_EXERCISES], indirect=True)


@pytest.fixture
def notebook(request):
    return nbformat.read(request.param.path, as_version=4)


def cells(notebook, kind):
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def tags(cell):
    return cell.metadata.get("tags", [])


def headings(notebook):
    prose = "\n".join(re.sub(r"```.*?```", "", cell.source, flags=re.S) for cell in cells(notebook, "markdown"))
    return [(len(mark), text) for mark, text in re.findall(r"^(#+) (.+)$", prose, re.M)]


def test_every_notebook_is_a_chapter_and_they_are_in_order():
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == CHAPTER_IDS == sorted(CHAPTER_IDS)


@each_chapter
def test_it_is_valid_with_unique_ids_and_the_kernel_of_everyone(notebook):
    nbformat.validate(notebook)
    ids = [cell.id for cell in notebook.cells]
    assert len(set(ids)) == len(ids)
    assert notebook.metadata.kernelspec.name == "python3"


@each_chapter
def test_one_title_and_headings_without_gaps(notebook):
    levels = [level for level, _ in headings(notebook)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(later <= earlier + 1 for earlier, later in zip(levels, levels[1:]))


@each_chapter
def test_it_opens_with_what_why_and_the_picture_and_closes_as_all_do(notebook):
    opening = notebook.cells[0].source
    for part in ("You will", "You will learn", "You need", "inutes", "](images/pipeline"):
        assert part in opening, part
    assert [text for level, text in headings(notebook) if level == 2][-3:] == ["On real AWS", "Key points", "Next"]


@each_chapter
def test_no_price_is_set_as_a_formula(notebook):
    """JupyterLab takes what stands between two dollar signs of a cell for LaTeX."""
    for cell in cells(notebook, "markdown"):
        assert re.sub(r"```.*?```|`[^`]*`", "", cell.source, flags=re.S).count("$") < 2, cell.source


@each_chapter
def test_every_picture_has_words_for_those_who_do_not_see_it(notebook):
    for cell in cells(notebook, "markdown"):
        for alt, path in re.findall(r"!\[(.*?)\]\((.+?)\)", cell.source):
            assert len(alt.split()) >= 5, path
            assert (NOTEBOOKS / path).exists(), path


@each_chapter
def test_one_parameter_cell_that_holds_the_settings_defaults_and_nothing_else(notebook):
    [cell] = [cell for cell in notebook.cells if "parameters" in tags(cell)]
    found = {node.target.id: ast.literal_eval(node.value) for node in ast.parse(cell.source).body}
    assert found == {name: field.default for name, field in Settings.__dataclass_fields__.items()}
    assert all("#" in line for line in cell.source.splitlines() if not line.startswith(("prefix", "region"))), "each has its comment"


@each_chapter
def test_code_cells_are_short_and_plain(notebook):
    for cell in cells(notebook, "code"):
        assert len(cell.source.strip().splitlines()) <= 15, cell.source
        assert not re.search(r"^\s*[!%]|\binput\(|\bsleep\(|sys\.exit|pip install", cell.source, re.M), cell.source


@each_chapter
def test_checkpoints_assert(notebook):
    checkpoints = [cell for cell in notebook.cells if "checkpoint" in tags(cell)]
    assert len(checkpoints) >= 2
    for cell in cells(notebook, "code"):
        assert ("checkpoint" in tags(cell)) == bool(re.search(r"^check\(", cell.source, re.M)), cell.source
        for call in (node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "check"):
            assert not isinstance(call.args[1], ast.Constant), "a check that cannot fail"


@each_with_exercises
def test_two_or_three_exercises_stand_before_the_end_each_with_a_title_and_hints(notebook):
    found, titles = list(exercises(notebook)), headings(notebook)
    place = titles.index((2, "Exercises"))
    assert 2 <= len(found) <= 3
    assert [level for level, _ in titles[place:place + len(found) + 2]] == [2, *[3] * len(found), 2]
    assert titles[place + len(found) + 1] == (2, "On real AWS")
    tasks = "\n".join(cell.source for cell in cells(notebook, "markdown")).split("\n## Exercises\n")[1].split("\n### ")[1:]
    for task in tasks:
        hints = re.findall(r"<details>\n<summary>([^<]+)</summary>\n\n(.+?)\n\n</details>", task, re.S)
        assert [name for name, _ in hints] == ["Hint", "Another hint", "Nearly the answer"]


@each_with_exercises
def test_an_exercise_is_three_cells_of_which_check_and_solution_are_folded(notebook):
    found = list(exercises(notebook))
    assert len({exercise.name for exercise in found}) == len(found)
    of_exercises = [cell.id for cell in notebook.cells if {"exercise", "exercise-check", "solution"} & set(tags(cell))]
    assert of_exercises == [cell.id for given, check, solution in found for cell in (given, check, solution)], "none without the others"
    for given, check, solution in found:
        assert re.fullmatch(rf"x{solution.metadata['exercise']['name']}", given.id)
        assert tags(given) == ["exercise", "raises-exception"], "an answer that raises must not end a run of all cells"
        assert tags(check) == ["exercise-check", "nbval-check-output"] and "solution" in tags(solution)
        assert check.metadata.jupyter == {"source_hidden": True}
        assert solution.metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}
        first, decorator, judge = check.source.split("\n")[:3]
        assert first == "# Check: run me after your answer" and decorator.startswith("@self_check(")
        lines = solution.source.split("\n")
        assert (lines[0], lines[-1]) == ("# Solution", re.match(r"def (check_\w+)", judge)[1] + "()")


@each_chapter
def test_its_outputs_come_from_one_clean_run(notebook):
    code = cells(notebook, "code")
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert "papermill" not in notebook.metadata


@each_chapter
def test_nothing_of_a_machine_or_of_a_secret_stands_in_it(notebook):
    text = nbformat.writes(notebook)
    assert not MACHINE_PATHS.search(re.sub(r'"image/png": "[^"]*"', "", text))
    assert not re.search(r"\bA(KIA|SIA)[A-Z0-9]{16}\b", text)
    assert len(text) < 600_000

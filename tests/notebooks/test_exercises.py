"""Exercises: derived from their solutions, open until attempted, and judged by substance: every listed wrong answer fails."""

import re
import types
from decimal import Decimal
from fractions import Fraction

import nbformat
import numpy
import pytest
from IPython import InteractiveShell

from helpers import chapters
from helpers.chapters import CHAPTERS, NOTEBOOKS
from helpers.exercises import OPEN, RIGHT, WRONG, exercises, is_number, keep_answers, self_check, write_exercises
from helpers.localaws import LocalAws
from helpers.settings import Settings
from tests.pipelines import found_by_kernels

WITH_EXERCISES = [chapter for chapter in CHAPTERS if "01" <= chapter.number <= "08"]
ALL = [exercise for chapter in WITH_EXERCISES for exercise in exercises(nbformat.read(chapter.path, as_version=4))]
each_exercise = pytest.mark.parametrize("exercise", ALL, ids=[exercise.name for exercise in ALL])


def printed(cell) -> str:
    return "".join(output.get("text", "") for output in cell.outputs)


def verdict(cell) -> str:
    """The line of a check; what else a judge shows, such as a wait, is not looked at."""
    [line] = [line for line in printed(cell).splitlines() if line.startswith((RIGHT, WRONG, OPEN))]
    return line


@each_exercise
def test_the_learners_cell_is_what_the_solution_makes_it(exercise):
    """If it fails: `python -m helpers exercises`."""
    assert exercise.given.source == exercise.blank()
    assert "..." in exercise.given.source and "..." not in exercise.solution.source


@each_exercise
def test_its_committed_outputs_say_not_attempted_and_then_that_the_solution_is_right(exercise):
    assert not exercise.given.outputs
    assert verdict(exercise.check).startswith(OPEN)
    assert verdict(exercise.solution).startswith(RIGHT)


@each_exercise
def test_it_lists_wrong_answers_and_another_right_one(exercise):
    data = exercise.solution.metadata["exercise"]
    assert len(data["wrong"]) >= 4 and data["right"]
    answers = [data["blanks"], *data["right"], *data["wrong"]]
    assert len(set(map(exercise.with_answer, answers))) == len(answers), "each differs from all others"


def test_each_is_of_a_known_kind_each_chapter_has_two_or_three_and_the_book_has_all_kinds():
    """A tweak changes a setting of a real resource; its check measures what that does and puts the setting back."""
    kinds = [(exercise.name[:2], exercise.solution.metadata["exercise"]["kind"]) for exercise in ALL]
    assert {kind for _, kind in kinds} == {"predict", "fill in", "tweak"}
    for chapter in WITH_EXERCISES:
        assert 2 <= [number for number, _ in kinds].count(chapter.number) <= 3, chapter.stem


def test_a_solution_that_was_changed_is_derived_anew_and_nothing_else_changes(tmp_path, monkeypatch):
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path)
    for chapter in CHAPTERS:
        nbformat.write(nbformat.read(NOTEBOOKS / chapter.path.name, as_version=4), tmp_path / chapter.path.name)
    assert write_exercises() == []
    chapter = WITH_EXERCISES[0]
    before = nbformat.read(chapter.path, as_version=4)
    first = next(exercises(before))
    first.solution.source = first.solution.source.replace("# the names", "# names")
    nbformat.write(before, chapter.path)
    assert write_exercises() == [first.name]
    after = nbformat.read(chapter.path, as_version=4)
    assert next(exercises(after)).given.source == "left = ...  # names of the attributes"
    first.given.source = first.blank()
    assert after == before
    first.solution.metadata["exercise"]["blanks"] = ["what is not there"]
    with pytest.raises(ValueError, match=f"{first.name}: its solution has no 'what is not there'"):
        first.blank()


def test_a_chapter_full_of_wrong_answers_runs_to_its_end_and_each_gets_a_sentence(tmp_path, monkeypatch):
    """Before each exercise as it is committed, its wrong answers and other right ones, each with the check behind it.

    Chapter 08 runs without its drills, as somebody may who goes straight to the exercises; `test_drills.py` runs those.
    """
    copies = tmp_path / "notebooks"
    copies.mkdir()
    expected, after_solution = {}, []
    for chapter in WITH_EXERCISES:
        notebook = nbformat.read(chapter.path, as_version=4)
        notebook.cells = [cell for cell in notebook.cells if not any(tag.startswith("drill-") for tag in cell.metadata.get("tags", []))]
        for exercise in list(exercises(notebook)):
            place = notebook.cells.index(exercise.given)
            data = exercise.solution.metadata["exercise"]
            for mark, pieces in [*((WRONG, pieces) for pieces in data["wrong"]), *((RIGHT, pieces) for pieces in data["right"])]:
                answer = exercise.with_answer(pieces)
                tried = [nbformat.v4.new_code_cell(answer), nbformat.v4.new_code_cell(exercise.check.source)]
                notebook.cells[place:place] = tried
                place += 2
                expected[tried[1].id] = (mark, exercise.name, answer)
            again = nbformat.v4.new_code_cell(exercise.check.source)
            notebook.cells.insert(notebook.cells.index(exercise.solution) + 1, again)
            after_solution.append(again.id)
        nbformat.write(notebook, copies / chapter.path.name)
    with LocalAws.temporary(clock_scale=60) as local, found_by_kernels(local):
        monkeypatch.setattr(chapters, "NOTEBOOKS", copies)
        results = chapters.run(WITH_EXERCISES, Settings(prefix="wrong", changes=300, shards=3, rate=0), tmp_path / "runs")
    told = {}
    for result in results:
        notebook = nbformat.read(result.path, as_version=4)
        told |= {cell.id: verdict(cell) for cell in notebook.cells if cell.id in [*expected, *after_solution]}
        for exercise in exercises(notebook):
            assert verdict(exercise.check).startswith(OPEN), "an earlier answer must not stand for this one"
            assert verdict(exercise.solution).startswith(RIGHT)
    assert all(told[cell].startswith(OPEN) for cell in after_solution), "a solution must not stand for an answer that nobody gave"
    mistaken = [(told[cell], *facts) for cell, facts in expected.items() if not told[cell].startswith(facts[0])]
    assert not mistaken, "\n\n".join(map(str, mistaken))
    for cell, (mark, name, answer) in expected.items():
        if mark == WRONG:
            assert "stopped the check" not in told[cell], (name, answer, told[cell])
            assert len(told[cell].split()) >= 8, (name, answer, told[cell])
    assert "300 change events, none missing, none twice" in chapters.agreement(results)


def test_a_stream_that_has_forgotten_its_records_is_no_fault_of_the_answer(capsys):
    """The day after, chapter 08's second exercise finds nothing to judge by."""
    [fate] = [exercise for exercise in ALL if exercise.name == "08-fate"]
    space = {"self_check": self_check, "aws": None, "shard_records": lambda aws: {"data": []}, "fate": lambda failure: "replay"}
    exec(fate.check.source, space)
    assert capsys.readouterr().out.startswith(f"{WRONG} the stream has forgotten all records after 24 hours: run doctor(aws)")


@pytest.fixture
def notebook_with(capsys):
    """Judge `answer` in a namespace like a notebook's; returns what the check says of it, and the check."""
    def judge_it(judge: str, **names):
        space = {"self_check": self_check, **names}
        exec(f'@self_check("that is why.")\n{judge}', space)
        return capsys.readouterr().out, types.SimpleNamespace(space=space, again=lambda: (space["judge"](), capsys.readouterr().out)[1])
    return judge_it


JUDGE = "def judge(answer):\n    return None if answer == 4 else f'{answer} is not 2 + 2.'"


def test_a_check_says_what_it_thinks(notebook_with):
    assert notebook_with(JUDGE, answer=4)[0] == f"{RIGHT} that is why.\n"
    assert notebook_with(JUDGE, answer=5)[0] == f"{WRONG} 5 is not 2 + 2.\n"


@pytest.mark.parametrize("answer", [..., [1, ...], {"a": ...}, {"a": {"b": [(...,)]}}, "SELECT ... FROM orders", "...",
                                    "WHERE x=...", {..., 1}])
def test_what_still_has_a_blank_is_not_attempted(notebook_with, answer):
    assert notebook_with("def judge(answer): return None", answer=answer)[0].startswith(f"{OPEN} replace every ... of answer")


def with_a_blank(number):
    if number:
        return ...
    return number


def without(number):
    return number


def test_a_function_is_not_attempted_while_a_blank_stands_in_its_source_wherever(notebook_with):
    assert notebook_with("def judge(answer): return None", answer=with_a_blank)[0].startswith(OPEN)
    assert notebook_with("def judge(answer): return None", answer=without)[0].startswith(RIGHT)


def test_a_cell_that_was_never_run_is_not_attempted_and_all_open_names_are_named(notebook_with):
    assert "of first and second," in notebook_with("def judge(first, second, third): return None", third=3)[0]


ENDLESS = [1]
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize("judge, answer, error", [
    ("def judge(answer): return answer / 0", 1, "ZeroDivisionError"), ("def judge(answer): return answer.x", 1, "AttributeError"),
    ("def judge(answer): return None", ENDLESS, "RecursionError")])
def test_a_check_never_raises(notebook_with, judge, answer, error):
    said, _ = notebook_with(judge, answer=answer)
    assert re.match(f"{WRONG} your answer stopped the check with {error}: ", said)


def test_dots_at_the_end_of_a_word_are_no_blank(notebook_with):
    assert notebook_with("def judge(answer): return None", answer="Well... which sells best?")[0].startswith(RIGHT)


def test_a_check_that_lacks_a_cell_further_up_does_not_blame_the_answer(notebook_with):
    lacking = "def judge(answer): return None if any(answer in each for each in events) else 'no.'"
    assert "this check needs events, which a cell further up makes" in notebook_with(lacking, answer=4)[0]
    assert "stopped the check with NameError" in notebook_with("def judge(answer): return answer()", answer=lambda: nowhere)[0]  # noqa: F821


@pytest.mark.parametrize("value, number", [
    (1, True), (0.5, True), (Decimal("1.5"), True), (numpy.int64(3), True), (numpy.float64(3), True), (Fraction(1, 3), True),
    (True, False), (numpy.True_, False), (float("nan"), False), (Decimal("nan"), False), (float("inf"), False), ("3", False),
    (None, False), ([3], False), (1j, False)])
def test_what_a_number_is(value, number):
    assert is_number(value) is number


SOLUTION = "# Solution\nanswer = 4\ndef helper(): return 5\nimport json as tool\ncheck_answer()"
CHECK = f"@self_check('that is why.')\n{JUDGE.replace('judge', 'check_answer')}"


@pytest.fixture
def cell(capsys):
    """Run a cell in a notebook's shell; returns what it printed. The shell is `cell.shell`."""
    shell = InteractiveShell()
    keep_answers(shell)
    shell.user_ns["self_check"] = self_check

    def run(source):
        shell.run_cell(source)
        return capsys.readouterr().out
    run.shell = shell
    return run


@pytest.mark.parametrize("before, answer", [([], None), (["answer = ..."], ...), (["answer = 5"], 5)])
@pytest.mark.parametrize("checked", ["before it was answered", "after"])
def test_a_solution_is_judged_and_leaves_the_learners_answer_whenever_the_check_ran(cell, before, answer, checked):
    """It must never stand for an answer that nobody gave."""
    for source in [CHECK, *before] if checked != "after" else [*before, CHECK]:
        cell(source)
    assert cell(SOLUTION) == f"{RIGHT} this is the solution; your own answer is kept\n", "why it is right is for who has found it"
    assert cell.shell.user_ns.get("answer") == answer
    assert "helper" not in cell.shell.user_ns and "tool" not in cell.shell.user_ns
    assert RIGHT not in cell(CHECK)


def test_a_solution_that_fails_or_is_no_python_leaves_the_learners_answer_too(cell):
    cell("answer = 5")
    assert "NameError" in cell(SOLUTION), "its check was not run"
    assert cell.shell.user_ns["answer"] == 5
    assert "SyntaxError" in cell("# Solution\nanswer = = 4")
    assert cell.shell.user_ns["answer"] == 5
    cell("answer = 6")
    assert cell.shell.user_ns["answer"] == 6, "other cells bind as ever"

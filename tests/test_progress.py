"""How far a learner is: what the cloud has, and the checks and exercises whose cells say in the saved copy that they held."""

import json

import nbformat
import pytest

from helpers import chapters, progress
from helpers.chapters import Chapter
from helpers.checks import MARK
from helpers.resources import Finding
from helpers.settings import Settings, SettingsError
from tests.test_chapters import Connected

CHAPTERS = [Chapter("01_a", 5), Chapter("02_b", 5)]
PARAMETERS = "\n".join(f"{name}: {type(field.default).__name__} = {field.default!r}"
                       for name, field in Settings.__dataclass_fields__.items())


def code(id_, source, *tags, output=""):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)})
    cell.id = id_
    if output:
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=output)]
    return cell


def cells(**outputs):
    """The cells of a chapter: five lines of checks in three cells, and one exercise."""
    return [code("p", PARAMETERS, "parameters"),
            code("two", "check('a', a)\ncheck('b', b)", "checkpoint", output=outputs.get("two", "")),
            code("loop", "for each in many:\n    check(each, True)", "checkpoint", output=outputs.get("loop", "")),
            code("no", "print('no check')", output=f"{MARK} looks like one"),
            code("x", "@self_check", "exercise-check", output=outputs.get("x", ""))]


COMPLETE = {"two": f"{MARK} a\n{MARK} b\n", "loop": "waiting\n" + f"{MARK} each\n" * 3, "x": "… not attempted yet: replace"}


def write(path, notebook_cells):
    nbformat.write(nbformat.v4.new_notebook(cells=notebook_cells), path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder for copies; there are two chapters, and the cloud has what 01 builds."""
    (tmp_path / "notebooks").mkdir()
    monkeypatch.setattr(chapters, "NOTEBOOKS", tmp_path / "notebooks")
    monkeypatch.setattr(progress, "CHAPTERS", CHAPTERS)
    monkeypatch.setattr(progress, "look_at", lambda aws, numbers: [Finding("01", "the table", "")])
    for chapter in CHAPTERS:
        write(chapter.path, cells(**COMPLETE))
    return tmp_path


def first(folder):
    [found, _] = progress.look(None, folder)
    return found


def test_without_a_copy_no_check_has_passed(folder):
    found = first(folder)
    assert (found.checks_passed, found.checks, found.exercises_passed, found.exercises) == (0, 5, 0, 1)
    assert found.built and not found.done


def test_the_originals_are_nobodys_copies(folder):
    [found, _] = progress.look(None, folder / "notebooks")
    assert (found.checks_passed, found.checks) == (0, 5)


def test_a_chapter_is_done_when_it_is_built_and_all_its_checks_have_passed(folder, monkeypatch):
    write(folder / "01_a.ipynb", cells(**COMPLETE | {"x": f"{MARK} right: well done"}))
    found = first(folder)
    assert found.done and found.checks_passed == 5 and found.exercises_passed == 1
    monkeypatch.setattr(progress, "look_at", lambda aws, numbers: [Finding("01", "the table", "is not there")])
    found = first(folder)
    assert not found.done and found.amiss == ["the table is not there"] and found.checks_passed == 5


def test_what_the_last_chapter_took_down_is_done_all_the_same_if_its_checks_had_passed(folder, monkeypatch):
    findings = [Finding("01", "the table", "is not there"), Finding("01", "the role", "is not there")]
    monkeypatch.setattr(progress, "look_at", lambda aws, numbers: findings)
    write(folder / "01_a.ipynb", cells(**COMPLETE))
    assert not first(folder).done, "the last chapter has not run"
    write(folder / "02_b.ipynb", cells(**COMPLETE))
    found = progress.look(None, folder)
    assert [each.done for each in found] == [True, True]
    assert progress.as_table(found)["built"].to_list() == ["taken down", "-"]
    findings[1] = Finding("01", "the role", "")
    assert not first(folder).done, "half of it is there: built again and broken"
    findings[1] = Finding("01", "the role", "is not there")
    write(folder / "01_a.ipynb", cells(two=COMPLETE["two"]))
    assert not first(folder).done


def test_a_newer_chapter_beside_an_edited_copy_counts_too(folder):
    write(folder / "01_a.ipynb", cells(two=COMPLETE["two"]))
    write(folder / "01_a.new.ipynb", cells(loop=f"{MARK} each\n" * 2))
    write(folder / "01_a.newer.ipynb", cells(**COMPLETE))  # no name that a copy is laid under
    write(folder / "01_a.new.new.ipynb", cells(loop=f"{MARK} each\n", x=f"{MARK} right: well done"))
    found = first(folder)
    assert (found.checks_passed, found.exercises_passed) == (2 + 2, 1), "of each cell the best"


def test_a_copy_saved_by_a_tool_that_knows_no_cell_ids_stops_nothing(folder):
    old = nbformat.v4.new_notebook(cells=cells(**COMPLETE))
    for cell in old.cells:
        del cell["id"]
    (folder / "01_a.ipynb").write_text(json.dumps(old | {"nbformat_minor": 4}))
    assert first(folder).checks_passed == 0


@pytest.mark.parametrize("error", [KeyError("getpwuid(): uid not found: 12345"), OSError("No username set in the environment")])
def test_where_the_system_has_no_name_for_its_user_the_line_has_none(monkeypatch, error):
    def getuser():
        raise error
    monkeypatch.setattr(progress, "getuser", getuser)
    assert progress._user() == ""


@pytest.mark.parametrize("outputs, passed", [
    ({}, 0), ({"two": f"{MARK} a\n"}, 1), ({"two": f"{MARK} a\n" * 9}, 2), ({"loop": f"{MARK} each\n" * 2, "two": "does not hold: a"}, 2)])
def test_a_check_counts_once_when_its_cell_says_that_it_held(folder, outputs, passed):
    write(folder / "01_a.ipynb", cells(**outputs))
    assert first(folder).checks_passed == passed


def test_a_check_that_the_learner_has_rewritten_does_not_count(folder):
    changed = cells(**COMPLETE)
    changed[1].source = "check('a', True)\ncheck('b', True)"
    write(folder / "01_a.ipynb", changed)
    assert first(folder).checks_passed == 3


def test_a_chapter_that_builds_nothing_is_done_by_its_checks(folder):
    write(folder / "02_b.ipynb", cells(**COMPLETE))
    [_, found] = progress.look(None, folder)
    assert found.built is None and found.done
    table = progress.as_table(progress.look(None, folder))
    assert table.loc["02_b"].to_dict() == {"done": "yes", "built": "-", "checks passed": "5 of 5", "exercises": "0 of 1"}
    assert table.loc["01_a"].to_dict() == {"done": "no", "built": "yes", "checks passed": "0 of 5", "exercises": "0 of 1"}


def test_the_table_says_what_is_amiss_unless_nothing_is_there_at_all(folder, monkeypatch):
    findings = [Finding("01", "the table", "is not there"), Finding("01", "the rest", "")]
    monkeypatch.setattr(progress, "look_at", lambda aws, numbers: findings)
    assert progress.as_table(progress.look(None, folder)).loc["01_a", "built"] == "no: the table is not there"
    del findings[1]
    assert progress.as_table(progress.look(None, folder)).loc["01_a", "built"] == "no"


def test_a_trainer_gets_one_line_of_json(folder, monkeypatch, aws):
    monkeypatch.setenv("WORKBOOK_LEARNER", "ada")
    write(folder / "01_a.ipynb", cells(**COMPLETE))
    line = progress.as_json(Connected(aws, Settings(prefix="shop")), progress.look(None, folder))
    told = json.loads(line)
    assert "\n" not in line
    assert (told["name"], told["prefix"], told["target"], told["account"]) == ("ada", "shop", "local", "000000000000")
    assert told["time"].endswith("Z")
    assert told["chapters"][0] == {"chapter": "01", "done": True, "built": True, "taken_down": False, "amiss": [],
                                   "checks": 5, "checks_passed": 5, "exercises": 1, "exercises_passed": 0}


def test_settings_are_those_of_the_first_copy(folder):
    assert progress.settings_of(folder) == Settings()
    copy = cells()
    copy[0].source = PARAMETERS.replace("'orders-cdc'", "'mine'")
    write(folder / "01_a.ipynb", copy)
    assert progress.settings_of(folder) == Settings(prefix="mine")


def test_where_the_first_copy_was_deleted_the_next_one_says_which_cloud_it_is(folder):
    copy = cells()
    copy[0].source = PARAMETERS.replace("'orders-cdc'", "'mine'")
    write(folder / "02_b.ipynb", copy)
    assert progress.settings_of(folder) == Settings(prefix="mine")


def test_a_copy_that_is_no_notebook_any_more_has_passed_nothing(folder):
    (folder / "01_a.ipynb").write_text("{}")
    (folder / "02_b.ipynb").write_text("my own notes")
    assert [found.checks_passed for found in progress.look(None, folder)] == [0, 0]


@pytest.mark.parametrize("source", ["prefix: str = 'a' + 'b'", "prefix: str =", "pretfix: str = 'ada'"])
def test_parameters_of_a_copy_that_cannot_be_read_are_named_with_their_file(folder, source):
    write(folder / "01_a.ipynb", [code("p", source, "parameters")])
    with pytest.raises(SettingsError, match="01_a.ipynb|pretfix"):
        progress.settings_of(folder)

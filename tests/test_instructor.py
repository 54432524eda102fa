"""The trainer's page stays true: its timetable, a part for every chapter, the commands that it names."""

import re

import pytest

from helpers.__main__ import COMMANDS
from helpers.chapters import CHAPTERS
from helpers.instructor import PAGE, timetable

TEXT = PAGE.read_text("utf-8")


def test_its_timetable_is_the_one_of_the_chapters_the_exercises_and_the_last_measured_run():
    assert f"<!-- time -->\n{timetable()}\n<!-- /time -->" in TEXT, "`make notebooks` writes it"


@pytest.mark.parametrize("chapter", CHAPTERS, ids=[chapter.stem for chapter in CHAPTERS])
def test_every_chapter_has_its_questions_and_its_common_error(chapter):
    [part] = re.findall(rf"^\*\*{chapter.number} .+?(?=^\*\*\d\d|^## )", TEXT, re.M | re.S)
    assert "*They ask*" in part and re.search(r"\*Common\s+error\*", part)


def test_every_command_it_names_is_one():
    named = set(re.findall(r"`(?:make|python -m helpers) (\w+)", TEXT))
    assert named and named <= COMMANDS.keys()


@pytest.mark.parametrize("part", ["Who it is for", "The day before", "Two hours", "Half a day", "A full day", "Exercises and answers",
                                  "The drills as a contest", "| break |", "cut point"])
def test_it_has_what_a_trainer_looks_for(part):
    assert part in TEXT

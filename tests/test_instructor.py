"""The trainer's page stays true: its timetable, its plans, a part for every chapter, the commands that it names."""

import re
from itertools import pairwise

import pytest

from helpers.__main__ import COMMANDS
from helpers.chapters import CHAPTERS
from helpers.instructor import LAST, MINUTES, PAGE, timetable

TEXT = PAGE.read_text("utf-8")
TEACHING, EXERCISES = ({row[0][:2]: int(row[column]) for row in re.findall(r"^\| (\d\d .+?) \| (\d+) \| (\d+) \|", timetable(), re.M)}
                       for column in (1, 2))
NUMBERS = {"two": 2, "five": 5, "ten": 10}
BREAKS = {"break": 15, "lunch": 60}
A_DRILL = NUMBERS[re.search(r"about (\w+) minutes a drill", TEXT)[1]]
RULES = NUMBERS[re.search(r"First (\w+) minutes for the rules", TEXT)[1]]


def test_its_timetable_is_the_one_of_the_chapters_the_exercises_and_the_last_measured_run():
    assert f"<!-- time -->\n{timetable()}\n<!-- /time -->" in TEXT, "`make notebooks` writes it"


def plan(heading: str) -> tuple[str, list[tuple[int, str]]]:
    """A plan's part of the page, and its slots: the minute of the day that each begins, and what it is for. The last is the end."""
    part = re.search(rf"^### {heading}.*?(?=^##)", TEXT, re.M | re.S)[0]
    return part, [(60 * int(hour) + int(minute), what) for hour, minute, what in re.findall(r"^\| (\d+):(\d\d) \| (.+?) \|", part, re.M)]


def needed(what: str) -> int:
    """Minutes of what a slot is for, as it says before a semicolon: teaching, exercises, a break in it."""
    named = what.partition(";")[0]
    if named in BREAKS:
        return BREAKS[named]
    if found := "one drill of 08" in named:
        named = named.replace("one drill of 08", "")
    chapters = re.findall(r"\b0\d\b", named)
    phrases = {"all exercises": sum(EXERCISES[each] for each in chapters), "without exercises": 0, "its last exercise": LAST,
               "its open question": LAST, "its first two exercises": 2 * MINUTES}
    said = [minutes for phrase, minutes in phrases.items() if phrase in named]
    assert len(chapters) and len(said) == ("09" not in chapters), f"{what!r} has to name chapters, and which of their exercises"
    rest = re.search(r"(\w+) minutes of break", named)
    return sum(TEACHING[each] for each in chapters) + sum(said) + A_DRILL * found + (NUMBERS[rest[1]] if rest else 0)


@pytest.mark.parametrize("heading", ["Half a day", "A full day"])
def test_every_slot_of_a_plan_is_as_long_as_what_it_is_for(heading):
    slots = plan(heading)[1]
    short = [f"{what}: {end - start} minutes, needs {needed(what)}" for (start, what), (end, _) in pairwise(slots)
             if end - start < needed(what) or what in BREAKS and end - start > needed(what)]
    assert not short


@pytest.mark.parametrize("heading", ["Half a day", "A full day"])
def test_a_plan_has_every_chapter_once(heading):
    assert [number for _, what in plan(heading)[1] for number in re.findall(r"\b0\d\b", what.partition(";")[0])] == list(TEACHING)


@pytest.mark.parametrize("heading", ["Two hours", "Half a day", "A full day"])
def test_a_plan_takes_as_long_as_it_says(heading):
    part, slots = plan(heading)
    (start, _), (end, what) = slots[0], slots[-1]
    assert what == "end" and slots == sorted(slots)
    total = re.search(r"It takes (\d+):(\d\d) hours", part)
    assert end - start == (60 * int(total[1]) + int(total[2]) if total else 60 * NUMBERS[heading.split()[0].lower()])


def test_the_contest_of_a_full_day_has_time_for_the_drills_that_are_promised():
    slots = plan("A full day")[1]
    [(minutes, what)] = [(end - start, what) for (start, what), (end, _) in pairwise(slots) if "contest" in what]
    beside = needed(what) - TEACHING["08"] + RULES
    drills = NUMBERS[re.search(r"about (\w+) drills", what)[1]]
    assert drills <= (minutes - beside) // A_DRILL <= drills + 1


def test_a_contest_asks_the_doctor_before_the_cells_that_need_his_verdict():
    [rule] = re.findall(r"^4\. .+?\n\n", TEXT, re.M | re.S)
    assert rule.index("the doctor's cell") < rule.index("the mending cells") < rule.index("the proof")


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

"""The time that is printed before chapters run: from a run's record, scaled to the settings, the clock and the machine of now."""

import json

import pytest

from helpers import pace
from helpers.chapters import CHAPTERS
from helpers.settings import Settings

MEASURED = Settings(changes=1000, rate=100)  # sends for 10 s


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A run's record: chapter 04 took 5 s, chapter 05 30 s, on a clock of 20, by a machine that needs a second for pace's piece of work."""
    monkeypatch.setattr(pace, "speed", lambda: 1.0)
    pace.record({"04": 5.0, "05": 30.0}, MEASURED, 20, tmp_path / "pace.json")
    return tmp_path / "pace.json"


@pytest.mark.parametrize("numbers, settings, clock_scale, speed, expected", [
    ([], MEASURED, 20, 1, 0),
    (["04"], MEASURED, 20, 1, 5),
    (["04", "05"], MEASURED, 20, 1, 35),
    (["04"], Settings(changes=9000, rate=1), 20, 1, 5),  # it sends a few changes, whatever the settings
    (["05"], Settings(changes=1000, rate=50), 20, 1, 20 + 20),  # ten seconds longer for sending
    (["05"], Settings(changes=3000, rate=100), 20, 1, 3 * 20 + 30),
    (["05"], Settings(changes=1000, rate=0), 20, 1, 20 + 1000 / pace.FASTEST),
    (["04"], MEASURED, 1, 1, 5 * 20),  # AWS's own waits
    (["04"], MEASURED, 60, 1, 5),  # not faster: what is no wait takes as long
    (["04"], MEASURED, 20, 3, 15),  # a machine that is slower, or busy
    (["04"], MEASURED, 20, 0.5, 5)])
def test_the_bound_is_twice_what_is_expected(own, monkeypatch, numbers, settings, clock_scale, speed, expected):
    monkeypatch.setattr(pace, "speed", lambda: speed)
    assert pace.at_most(numbers, settings, clock_scale, own) == pytest.approx(pace.ALLOWANCE * expected)


def test_without_a_run_of_this_machine_the_committed_one_counts_and_it_knows_every_chapter(tmp_path):
    measured = json.loads(pace.COMMITTED.read_text("utf-8"))["seconds"]
    assert set(measured) == {chapter.number for chapter in CHAPTERS}
    assert pace.at_most(measured, Settings(), 20, tmp_path / "none.json") >= sum(measured.values())


@pytest.mark.parametrize("text", ["", "{", "no record"])
def test_a_record_that_is_not_whole_is_as_if_there_were_none(tmp_path, monkeypatch, text):
    """As a run leaves it that was ended while it wrote."""
    monkeypatch.setattr(pace, "speed", lambda: 1)
    (tmp_path / "pace.json").write_text(text)
    assert pace.at_most(["04"], MEASURED, 20, tmp_path / "pace.json") == pace.at_most(["04"], MEASURED, 20, tmp_path / "none.json")


def test_speed_is_a_time():
    assert 0 < pace.speed() < 60


@pytest.mark.parametrize("seconds, words", [(1, "10 s"), (95, "100 s"), (120, "120 s"), (121, "3 min"), (600, "10 min")])
def test_it_is_said_in_round_words(seconds, words):
    assert pace.in_words(seconds) == words

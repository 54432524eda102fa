"""Waits end: with what was waited for, or with a sentence."""

import time

import pytest
from botocore.exceptions import ClientError

from helpers.checks import CheckFailed, check
from helpers.waits import WaitTimeout, wait_until, with_patience


def refused(message, code="InvalidParameterValueException"):
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateFunction")


def test_it_returns_the_first_true_answer(capsys):
    answers = iter([None, [], "RUNNING"])
    assert wait_until("the pipe is RUNNING", lambda: next(answers), every=0.01) == "RUNNING"
    assert "waiting until the pipe is RUNNING" in capsys.readouterr().out


def test_a_wait_in_vain_says_what_how_long_and_what_was_seen():
    started = time.monotonic()
    with pytest.raises(WaitTimeout, match="until the pipe is RUNNING, in vain. Last seen: 'CREATING'"):
        wait_until("the pipe is RUNNING", lambda: False, timeout=0.05, every=0.01, show=lambda: "CREATING")
    assert time.monotonic() - started < 2


def test_a_role_that_is_not_everywhere_yet_is_tried_again(capsys):
    answers = iter([refused("The role defined for the function cannot be assumed by Lambda."), "created"])

    def call():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert with_patience(call) == "created"
    assert "not yet" in capsys.readouterr().out


def test_patience_ends_and_other_errors_are_not_tried_again():
    calls, started = [], time.monotonic()

    def call(error):
        calls.append(error)
        raise error

    with pytest.raises(ClientError, match="unable to assume"):
        with_patience(lambda: call(refused("Firehose is unable to assume role")), timeout=0.3)
    assert len(calls) >= 1 and time.monotonic() - started < 5
    calls.clear()
    with pytest.raises(ClientError, match="already exists"):
        with_patience(lambda: call(refused("already exists", "ResourceConflictException")))
    assert len(calls) == 1


def test_a_check_says_what_held_or_raises_with_what_was_seen(capsys):
    check("the table is empty", 0 == 0)
    assert capsys.readouterr().out == "✔ the table is empty\n"
    with pytest.raises(CheckFailed, match=r"does not hold: the table is empty \(seen: 3\)"):
        check("the table is empty", 3 == 0, 3)

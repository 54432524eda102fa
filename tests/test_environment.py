"""The environment check of chapter 00: what is in order, and every way it can find something that is not."""

import subprocess
import sys
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from helpers import environment
from helpers.environment import DATA, ROOT, check_environment, environment_rows


class _Sts:
    def __init__(self, account):
        self.account = account

    def get_caller_identity(self):
        if self.account is None:
            raise ConnectionError("nobody there")
        return {"Account": self.account}


def connection(answering: str | None):
    return SimpleNamespace(settings=SimpleNamespace(account="000000000000"), client=lambda service: _Sts(answering))


def test_here_everything_is_in_order(capsys):
    assert check_environment(connection("000000000000"))
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith("[ OK ] ") for line in lines)
    assert {"Python", "boto3", "ministack", "data", "AWS"} <= {line.split()[3] for line in lines}


def test_it_can_be_asked_before_connecting():
    assert "AWS" not in [row.what for row in environment_rows()]


@pytest.mark.parametrize("answering", ["111111111111", None])
def test_another_account_or_no_answer_fails(answering, capsys):
    assert not check_environment(connection(answering))
    assert "[FAIL] AWS" in capsys.readouterr().out


@pytest.mark.parametrize("needed, found", [("no-such-package-at-all>=1", "missing"), ("boto3<1", "needed: <1")])
def test_a_package_that_is_missing_or_too_new_fails(needed, found):
    row = environment._package(Requirement(needed))
    assert not row.ok and found in row.found


def test_a_package_that_cannot_be_imported_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    row = environment._package(Requirement("boto3"))
    assert not row.ok and "cannot be imported" in row.found


def test_a_missing_data_file_fails_and_the_cure_is_named(monkeypatch, capsys):
    monkeypatch.setattr(environment, "DATA", (*DATA, "events/lost.json"))
    assert not check_environment()
    printed = capsys.readouterr().out
    assert "missing: events/lost.json" in printed and "git checkout data/" in printed


def test_the_list_of_data_files_is_the_folder():
    there = {path.relative_to(ROOT / "data").as_posix() for path in (ROOT / "data").rglob("*") if path.is_file()}
    assert set(DATA) == {name for name in there if not name.endswith((".md", "/.DS_Store")) and not name.startswith("expected/")}


def test_it_runs_by_itself():
    done = subprocess.run([sys.executable, ROOT / "helpers" / "environment.py"], check=False, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_where_nothing_is_installed_it_says_what_to_do():
    done = subprocess.run([sys.executable, "-S", ROOT / "helpers" / "environment.py"], check=False, capture_output=True, text=True,
                          timeout=120)
    assert done.returncode == 1 and "[FAIL] No module named 'packaging'" in done.stderr and "pip install -e ." in done.stderr

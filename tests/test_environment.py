"""The check of chapter 00 and the one before the day: what is in order, and every way they can find something that is not."""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from helpers import environment
from helpers.environment import DATA, ROOT, Row, check_environment, environment_rows, machine_rows
from helpers.localaws import LocalAws


class _Sts:
    def __init__(self, account):
        self.account = account

    def get_caller_identity(self):
        if self.account is None:
            raise ConnectionError("nobody there")
        return {"Account": self.account}


def connection(answering: str | None):
    return SimpleNamespace(settings=SimpleNamespace(account="000000000000"), client=lambda service: _Sts(answering))


def row_of(what: str, rows) -> Row:
    return next(row for row in rows if row.what == what)


def look(what: str) -> Row:
    """One look at this machine, as it is made for its row."""
    return environment._row(what, getattr(environment, f"_{what.lower().replace(' ', '_')}"))


@pytest.fixture
def local():
    with LocalAws.temporary() as local:
        yield local


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
def test_a_package_that_is_missing_or_too_new_fails(needed, found, monkeypatch):
    monkeypatch.setattr(environment, "_pyproject", lambda: f'[project]\nrequires-python = ">=3.11,<3.14"\ndependencies = ["{needed}"]')
    row = row_of("no-such-package-at-all" if "such" in needed else "boto3", environment_rows())
    assert not row.ok and found in row.found and "pip install" in row.fix


def test_a_package_that_cannot_be_imported_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "boto3", None)
    row = row_of("boto3", environment_rows())
    assert not row.ok and "cannot be imported" in row.found


def test_another_python_fails_and_nothing_else_is_looked_at(monkeypatch):
    """An older one could not even read what is needed."""
    monkeypatch.setattr(environment, "_pyproject", lambda: 'requires-python = ">=3.97,<3.99"')
    [python, rest] = machine_rows()
    assert not python.ok and "needed: >=3.97,<3.99" in python.found and "Install Python" in python.fix
    assert not rest.ok and "kernel" in rest.found


def test_a_missing_data_file_fails_and_the_cure_is_named(monkeypatch, capsys):
    monkeypatch.setattr(environment, "DATA", (*DATA, "events/lost.json"))
    assert not check_environment()
    printed = capsys.readouterr().out
    assert "missing: events/lost.json\n       fix: `git checkout data/`" in printed


def test_a_fix_stands_once_under_the_lines_that_it_mends(capsys):
    bad, other = Row(False, "a", "missing", "install"), Row(False, "c", "full", "make room")
    assert not environment._report([bad, bad._replace(what="b"), other, Row(True, "d", "fine")])
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["[FAIL]", "a"], ["[FAIL]", "b"], ["fix:", "install"], ["[FAIL]", "c"], ["fix:", "make"], ["[", "OK"]]


def test_the_list_of_data_files_is_the_folder():
    there = {path.relative_to(ROOT / "data").as_posix() for path in (ROOT / "data").rglob("*") if path.is_file()}
    assert set(DATA) == {name for name in there if not name.endswith((".md", "/.DS_Store")) and not name.startswith("expected/")}


# What `python -m helpers check` tries beyond chapter 00's list: each fails when its cause is there.

@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A folder with a command that Python takes for a graphical browser, and one for a terminal's."""
    folder = tmp_path_factory.mktemp("browsers")
    for name in ("graphical", "w3m"):
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return folder


def run(*words, **variables):
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")}
    return subprocess.run([sys.executable, *words], check=False, capture_output=True, text=True, timeout=300, cwd=ROOT,
                          env=environment | {name: str(value) for name, value in variables.items()})


def test_a_port_that_is_no_number_fails_its_own_line_and_not_the_disk(monkeypatch):
    monkeypatch.setenv("LOCALAWS_PORT", "abc")
    rows = {row.what: row for row in machine_rows(browser=False)}
    assert rows["disk"].ok and not rows["port"].ok


@pytest.mark.parametrize("words, wanted", [(("-m", "helpers", "check"), ["browser"]),
                                           ((ROOT / "helpers" / "environment.py", "--no-browser"), [])])
def test_here_the_machine_is_in_order(words, wanted, browser, local):
    done = run(*words, BROWSER=browser / "graphical", LOCALAWS_PORT=local.port)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert all(line.startswith("[ OK ] ") for line in lines), lines
    tried = ["clock", "disk", "memory", "kernel", "port", "local AWS", *wanted]
    assert [line[7:16].strip() for line in lines[-len(tried) - 1:]] == ["data", *tried]
    assert {*tried, "Python", "data", "browser", "AWS", "the rest"} == environment.FIXES.keys()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="this system has a browser of its own")
def test_without_a_browser_it_fails(browser):
    code = "import sys; from helpers import environment as e; print(*e._row('browser', e._browser))"
    none = run("-c", code, PATH=os.devnull)
    assert none.stdout.startswith("False browser none that JupyterLab could open") and "--no-browser" in none.stdout, none.stderr
    assert run("-c", code, PATH=browser, TERM="xterm").stdout.startswith("False browser w3m"), "JupyterLab is nothing for a terminal"


def test_a_clock_before_the_newest_file_fails_wherever_on_earth_it_hangs(monkeypatch):
    newest = max(path.stat().st_mtime for path in ROOT.glob("helpers/*.py"))
    monkeypatch.setattr(environment.time, "time", lambda: newest - 10 * 86_400)
    row = look("clock")
    assert not row.ok and "before the newest file" in row.found and "date and time" in row.fix
    monkeypatch.setattr(environment.time, "time", lambda: max(newest, written()) - 14 * 3600)
    assert look("clock").ok, "an archive without time zones, written in the farthest zone"


def written() -> float:
    return max(path.stat().st_mtime for folder in ("helpers", "notebooks", "data") for path in (ROOT / folder).rglob("*.*"))


def test_too_little_disk_or_a_folder_that_cannot_be_written_to_fails(monkeypatch):
    assert look("disk").ok
    monkeypatch.setattr(environment, "DISK_BYTES", 2**60)
    row = look("disk")
    assert not row.ok and "GiB free in" in row.found and "Make room" in row.fix
    monkeypatch.setattr(environment.os, "access", lambda folder, mode: Path(folder) != ROOT)
    assert look("disk").found == f"{ROOT} cannot be written to"


def test_too_little_memory_fails(monkeypatch):
    monkeypatch.setattr(environment, "MEMORY_BYTES", 2**60)
    row = look("memory")
    assert not row.ok and "available" in row.found and "Close" in row.fix


@pytest.mark.parametrize("python, helpers, found", [
    ("/no/such/python", "", "No such file"),
    ("dies", "", "[Dd]ied"),
    (sys.executable, "raise ImportError('broken')", "says ImportError: broken"),
    (sys.executable, "", "another copy of the workbook")])
def test_a_kernel_that_is_broken_or_has_another_workbook_fails(python, helpers, found, tmp_path, monkeypatch):
    """A python3 kernel of the user's own goes before that of the environment: a frequent leftover of an older installation."""
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text(helpers)
    argv = [sys.executable, "-c", "raise SystemExit(1)"] if python == "dies" else [python, "-m", "ipykernel_launcher", "-f",
                                                                                   "{connection_file}"]
    spec = tmp_path / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": argv, "display_name": "leftover", "language": "python", "env": {"PYTHONPATH": str(tmp_path)}}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    row = look("kernel")
    assert not row.ok and re.search(found, row.found), row
    assert "jupyter kernelspec" in row.fix


def test_a_port_that_another_program_has_fails_and_one_that_is_ours_does_not(monkeypatch, local, tmp_path):
    monkeypatch.setenv("LOCALAWS_PORT", str(local.port))
    monkeypatch.setenv("LOCALAWS_DIR", str(local.directory))
    assert look("port").found == f"{local.port} is free"
    with socket.socket() as other:
        other.bind(("127.0.0.1", local.port))
        row = look("port")  # it does not even listen
        assert not row.ok and "cannot be used" in row.found and "LOCALAWS_PORT" in row.fix
        other.listen()
        row = look("port")
        assert not row.ok and "in use by something that is not the local AWS" in row.found
    local.start()
    assert look("port") == Row(True, "port", f"{local.port}: the local AWS that is yours answers there")
    monkeypatch.setenv("LOCALAWS_DIR", str(tmp_path))
    row = look("port")
    assert not row.ok and "keeps its state in" in row.found, "somebody else's"


def test_a_local_aws_that_does_not_start_fails_and_its_log_says_why(monkeypatch, tmp_path):
    (tmp_path / "ministack.py").write_text("raise ImportError('a broken ministack')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    row = look("local AWS")
    assert not row.ok and "did not start" in row.found and "a broken ministack" in row.found and "reinstall" in row.fix


@pytest.mark.parametrize("words", [("-m", "helpers", "check"), ("-m", "helpers", "run"), (ROOT / "helpers" / "environment.py",)])
def test_where_nothing_is_installed_every_command_says_what_to_do(words):
    done = run("-S", *words)
    assert done.returncode == 1 and "Traceback" not in done.stdout + done.stderr
    assert "[FAIL] packages     No module named 'packaging'\n       fix: `python -m pip install -e .`" in done.stdout
    assert "[FAIL] the rest" in done.stdout


def test_it_helps_where_the_workbook_itself_cannot_be_imported(tmp_path):
    (tmp_path / "helpers").mkdir()
    for name in ("data", "notebooks", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "helpers" / "__init__.py").write_text("raise ImportError('a half-copied workbook')")
    script = shutil.copy(ROOT / "helpers" / "environment.py", tmp_path / "helpers")
    done = run(script, "--no-browser")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "[FAIL] local AWS    a half-copied workbook" in done.stdout and "[ OK ] data" in done.stdout

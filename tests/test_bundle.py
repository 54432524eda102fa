"""The bundle: what is in it, whom it refuses, and that it installs and runs where there is no network."""

import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from helpers import bundle
from helpers.environment import ROOT
from tests import offline
from tests.conftest import long

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a bundle is made from a git checkout")
BASE = Path(sys.base_prefix) / "bin"  # the Python that tests run with, not their virtual environment
QUIET = {"PATH": f"{BASE}:/usr/bin:/bin", "TERM": "dumb"}  # nothing of this environment: no index, no PYTHONPATH


def unpack(archive: Path, folder: Path) -> Path:
    with zipfile.ZipFile(archive) as file:
        file.extractall(folder)
    return folder / bundle.TOP


@pytest.fixture(scope="module")
def without_wheels(tmp_path_factory):
    """An unpacked bundle with everything but the wheels."""
    folder = tmp_path_factory.mktemp("bundle")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle, "_collect_wheels", lambda folder: (folder / "one-1-py3-none-any.whl").write_bytes(b"wheel"))
        archive = bundle.make(folder / "to" / "here")
    assert archive.name.startswith("orders-cdc-workbook-") and f"-python{sys.version_info[0]}.{sys.version_info[1]}-" in archive.name
    return unpack(archive, folder)


def test_it_has_the_project_as_committed_the_wheels_and_the_start(without_wheels):
    committed = subprocess.run(["git", "ls-tree", "-r", "--name-only", "HEAD"], cwd=ROOT, check=True, capture_output=True, text=True)
    there = {path.relative_to(without_wheels).as_posix() for path in without_wheels.rglob("*") if path.is_file()}
    made_for = {f"wheels/made-for-{what}" for what in ("python", "system", "machine")}
    assert there == {*committed.stdout.splitlines(), *bundle.START, "wheels/one-1-py3-none-any.whl", *made_for}
    page = (without_wheels / "START.html").read_text("utf-8")
    assert f"Python {sys.version_info[0]}.{sys.version_info[1]} on" in page and "$" not in page
    assert all((without_wheels / link).exists() for link in ("README.md", "notebooks/images/pipeline-00.png"))


def test_what_builds_the_project_is_among_the_wheels(monkeypatch, tmp_path):
    """pip builds an editable project in an environment of its own, so it wants setuptools from somewhere."""
    calls = []
    monkeypatch.setattr(bundle, "_call", lambda *command: calls.append(command))
    bundle._collect_wheels(tmp_path)
    [command] = calls
    assert "setuptools>=77" in command and "--requirement=requirements.lock" in command and "--no-deps" in command


@pytest.mark.parametrize("what, other", [("python", "3.10"), ("system", "Plan 9"), ("machine", "z80")])
def test_it_refuses_another_python_and_another_machine_with_a_sentence(without_wheels, tmp_path, what, other):
    folder = shutil.copytree(without_wheels, tmp_path / "copy")
    (folder / "wheels" / f"made-for-{what}").write_text(other)
    done = subprocess.run([sys.executable, "start.py"], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "This bundle was made for" in done.stderr and other in done.stderr
    assert "Ask for a bundle for yours" in done.stderr and not (folder / ".venv").exists()


@pytest.mark.skipif(os.name != "posix", reason="a shell script")
def test_without_its_python_the_start_script_says_so(without_wheels, tmp_path):
    folder = shutil.copytree(without_wheels, tmp_path / "copy")
    (folder / "wheels" / "made-for-python").write_text("3.98")
    done = subprocess.run(["sh", "start.sh"], cwd=folder, capture_output=True, text=True, timeout=60, env=QUIET)
    assert done.returncode == 1 and done.stderr.startswith("There is no Python 3.98 here")


def test_where_it_cannot_be_made_a_sentence_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(bundle, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(bundle.BundleError, match="(?s)git checkout.*not a git repository"):
        bundle.make(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(bundle.BundleError, match="no git here"):
        bundle.make(tmp_path)


@long
@pytest.mark.timeout(2400)  # a minute or two on a quiet machine
def test_it_installs_checks_and_runs_without_a_network():
    """Made with what pip has stored or fetches, then cut off from everything: no network, no environment, another home."""
    with tempfile.TemporaryDirectory(prefix="bundle-") as folder:
        offline.run("true")  # skips early
        try:
            archive = bundle.make(Path(folder))
        except bundle.BundleError as error:
            if "from versions: none" not in str(error):
                raise
            pytest.skip(f"the wheels cannot be had here: {error}")
        project = unpack(archive, Path(folder))
        archive.unlink()
        environment = {**QUIET, "HOME": folder}
        done = offline.run("sh", "start.sh", "run", "changes=60", "rate=0", cwd=project, env=environment)
        assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
        assert "Installing into" in done.stdout and "lake and table agree" in done.stdout
        assert (project / "runs" / "workbook.html").exists()
        done = offline.run("sh", "start.sh", "check", "--no-browser", cwd=project, env=environment)
        assert done.returncode == 0 and "Installing" not in done.stdout, done.stdout + done.stderr
        assert f"[ OK ] kernel       python3 starts and answers ({project / '.venv'}" in done.stdout

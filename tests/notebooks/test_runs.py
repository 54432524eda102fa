"""The chapters as a headless run executes them: in order, with other parameters, twice, each alone, and against their outputs."""

import os
import random
import subprocess
import sys
import tempfile

import nbformat
import papermill
import pytest
from jupyter_core.utils import run_sync
from nbclient import NotebookClient
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from helpers import chapters
from helpers.chapters import CHAPTERS, NOTEBOOKS, ROOT
from helpers.localaws import LocalAws
from helpers.settings import Settings
from tests import offline
from tests.conftest import long
from tests.pipelines import found_by_kernels

FAST_CLOCK = 60  # the chapters' waits are not what is tested here
WITHOUT_DRILLS = [chapter for chapter in CHAPTERS if chapter.number != "08"]  # they take longest; test_drills.py has each of them


@pytest.fixture
def local():
    """A fresh local AWS that the kernels find by environment."""
    with LocalAws.temporary(clock_scale=FAST_CLOCK) as local, found_by_kernels(local):
        yield local


@pytest.mark.parametrize("seed, shards, prefix", [(1, 1, "one"), (7, 2, "shop-seven"), (2026, 4, "four")])
def test_every_change_is_accounted_for_in_the_lake(local, tmp_path, seed, shards, prefix):
    """2,000 changes in, none missing, none counted twice, state equal to the table: chapter 07 says so."""
    settings = Settings(prefix=prefix, seed=seed, shards=shards, changes=2000, rate=0)
    results = chapters.run(WITHOUT_DRILLS, settings, tmp_path)
    assert [result.chapter for result in results] == WITHOUT_DRILLS
    assert all(result.checkpoints for result in results)
    assert "2,000 change events, none missing, none twice" in chapters.agreement(results)


def test_all_chapters_run_again_on_the_local_aws_they_left(local, tmp_path):
    settings = Settings(prefix="again", changes=300, rate=0)
    chapters.run(CHAPTERS[:-1], settings, tmp_path / "first")
    assert "none missing, none twice" in chapters.agreement(chapters.run(CHAPTERS, settings, tmp_path / "second"))
    chapters.run(CHAPTERS[-1:], settings, tmp_path / "nothing-left")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=[chapter.stem for chapter in CHAPTERS])
def test_it_runs_alone_from_nothing(local, tmp_path, chapter):
    [result] = chapters.run([chapter], Settings(prefix="alone", changes=120, rate=0), tmp_path)
    assert result.checkpoints


ORDER_SEED = int(os.environ.get("WORKBOOK_ORDER_SEED", 7))  # another one gives another order


@long
@pytest.mark.timeout(1800)  # two dozen chapters run, one after the other
def test_chapters_pass_in_a_shuffled_order_with_a_kernel_restart_in_the_middle(local, tmp_path):
    """As a learner jumps about: half of a chapter, "Restart kernel", all of it from the top; what is missing is caught up with."""
    order = random.Random(ORDER_SEED).sample(CHAPTERS, len(CHAPTERS))
    print("seed", ORDER_SEED, "order", [chapter.number for chapter in order])  # pytest shows it when the test fails
    parameters = {"prefix": "jump", "changes": 60, "rate": 0}
    for chapter in order:
        notebook = parameterize_notebook(load_notebook_node(str(chapter.path)), parameters)
        half = nbformat.v4.new_notebook(cells=notebook.cells[:len(notebook.cells) // 2], metadata=notebook.metadata)
        with tempfile.TemporaryDirectory() as sockets:
            client = NotebookClient(half, timeout=chapters.CELL_SECONDS, resources={"metadata": {"path": str(NOTEBOOKS)}},
                                    kernel_name="python3", config=chapters._kernel_config(sockets))
            with client.setup_kernel():
                for index, cell in enumerate(half.cells):
                    client.execute_cell(cell, index)
                client.kc.stop_channels()
                run_sync(client.km.restart_kernel)(now=True)
                client.start_new_kernel_client()
                client.nb = notebook
                for index, cell in enumerate(notebook.cells):
                    client.execute_cell(cell, index)
        assert chapters.count_checkpoints(notebook) == chapters.count_checkpoints(nbformat.read(chapter.path, as_version=4)), chapter.stem


def test_the_smallest_run_there_is(local, tmp_path):
    chapters.run(CHAPTERS, Settings(prefix="tiny", changes=1, rate=0), tmp_path)


@pytest.mark.parametrize("parameters, sentence", [
    ({"changes": 0}, "changes is 0"), ({"changes": -5}, "changes is -5"), ({"target": "azure"}, "target is 'azure'"),
    ({"prefix": "Orders_CDC"}, "prefix is 'Orders_CDC'"), ({"account": 0}, "account is the number 0"),
    ({"chagnes": 500}, "no parameter 'chagnes'")])
def test_bad_parameters_are_refused_at_once_with_a_sentence(local, tmp_path, parameters, sentence):
    with pytest.raises(papermill.PapermillExecutionError, match=sentence):
        papermill.execute_notebook(NOTEBOOKS / "01_orders_table.ipynb", tmp_path / "out.ipynb", parameters, cwd=NOTEBOOKS,
                                   progress_bar=False)


def test_committed_outputs_are_those_of_a_new_run(local):
    """nbval runs every chapter again and compares the cells marked nbval-check-output with what is committed."""
    for chapter in CHAPTERS:
        done = subprocess.run([sys.executable, "-m", "pytest", "--nbval-lax", "-x", "-q", "-p", "no:cacheprovider", str(chapter.path)],
                              cwd=ROOT, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout[-4000:]


def test_the_run_command_needs_no_network():
    """`python -m helpers run` in a network namespace that has nothing but loopback."""
    done = offline.run(sys.executable, "-m", "helpers", "run", "changes=200", "rate=0", "prefix=offline", cwd=ROOT,
                       env={name: value for name, value in os.environ.items() if not name.startswith("LOCALAWS")})
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert "lake and table agree" in done.stdout
    for chapter in CHAPTERS:
        assert chapter.stem in done.stdout and (chapters.RUNS / chapter.path.name).exists()
    assert (chapters.RUNS / "workbook.html").exists()

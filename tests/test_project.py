"""The project's files agree with each other: dependencies, lock, environment, Makefile, README."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from helpers.chapters import CHAPTERS

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
DEPENDENCIES = {canonicalize_name(r.name): r for r in map(Requirement, PROJECT["project"]["dependencies"])}
CARD = {"jupyterlab", "boto3", "pandas", "awswrangler", "matplotlib", "papermill", "nbval"}


def locked() -> dict[str, list[Requirement]]:
    found: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text("utf-8").splitlines():
        requirement = Requirement(line)
        found.setdefault(requirement.name, []).append(requirement)
    return found


def test_the_packages_on_the_card_are_dependencies():
    assert CARD <= DEPENDENCIES.keys()


def test_every_dependency_has_its_reason_beside_it():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    for name in (requirement.name for requirement in DEPENDENCIES.values()):
        line = next(line for line in text.splitlines() if re.match(rf'\s+"{name}[~=>]', line))
        assert re.search(r"#\s+\S+", line), f"{name} gives no reason"


def test_the_lock_pins_every_package_exactly_and_within_its_range():
    lock = locked()
    for name, pins in lock.items():
        for pin in pins:
            assert [s.operator for s in pin.specifier] == ["=="], f"{name} is not pinned: {pin}"
    for name, requirement in DEPENDENCIES.items():
        for pin in lock[name]:
            assert requirement.specifier.contains(next(iter(pin.specifier)).version), f"{pin} is outside {requirement}"


@pytest.mark.parametrize("name", ["requirements.lock", "pyproject.toml", "environment.yml", "Makefile"])
def test_no_registry_host_stands_in_a_file_that_installs(name):
    assert not re.search(r"https?://|index-url [^-]|find-links", (ROOT / name).read_text("utf-8").replace("--no-emit-index-url", ""))


def test_environment_yml_asks_for_what_pyproject_asks_for():
    entries = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    conda = [entry for entry in entries if isinstance(entry, str)]
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    asked = {r.name.removeprefix("python-"): r for r in map(Requirement, [*conda, *(p for p in pip if not p.startswith("--"))])}
    assert asked.pop("python").specifier == Requirement("python" + PROJECT["project"]["requires-python"]).specifier
    asked.pop("pip")
    assert {name: r.specifier for name, r in asked.items()} == {name: r.specifier for name, r in DEPENDENCIES.items()}
    assert "--editable ." in pip
    assert CARD <= {Requirement(entry).name for entry in conda}, "the card's packages come from conda-forge by name"


def test_ci_calls_the_test_command_of_the_readme():
    assert (ROOT / ".ci" / "run").read_text("utf-8").rstrip().endswith("make test")
    assert "make test" in (ROOT / "README.md").read_text("utf-8")


def test_the_readmes_table_has_every_chapter_with_its_minutes():
    rows = re.findall(r"^\| \[\d\d .+?\]\(notebooks/(\w+)\.ipynb\) \| .+ \| (\d+) \|$", (ROOT / "README.md").read_text("utf-8"), re.M)
    assert rows == [(chapter.stem, str(chapter.minutes)) for chapter in CHAPTERS]


def test_every_make_target_is_named_in_the_readme_or_contributing():
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.M)[1].split()
    text = (ROOT / "README.md").read_text("utf-8") + (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert [target for target in targets if f"make {target}" not in text] == []

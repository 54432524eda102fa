"""Is everything here that the workbook needs? A list of [ OK ] and [FAIL].

It imports nothing of the workbook, so `python helpers/environment.py` also helps where `import helpers` fails.
"""

import importlib
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

try:
    import tomllib

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
except ImportError as error:
    sys.exit(f"[FAIL] {error}. Use Python 3.11 to 3.13; `python -m pip install -e .` in the workbook's folder brings the packages.")

ROOT = Path(__file__).resolve().parents[1]
DATA = ("products.csv",
        *(f"events/{name}" for name in ("insert.json", "good.json", "ignored.json", "remove.json", "malformed.txt")),
        *(f"policies/{hop}{part}.json" for hop in ("pipe", "delivery", "function", "crawler") for part in ("", "-trust")))
CURE = ("`python -m pip install -e .` in the workbook's folder brings missing packages, `git checkout data/` missing files, "
        "and `python -m helpers.localaws logs` tells why the local AWS does not answer.")


class Row(NamedTuple):
    """One line of the list: whether it is in order, what was looked at, and what was found."""

    ok: bool
    what: str
    found: str


def check_environment(aws=None) -> bool:
    """Print a row for everything that was looked at, and how to mend what is not in order. True if all is.

    aws  a connection (`helpers.connect`), to be asked as well; without it nothing is connected to
    """
    rows = environment_rows(aws)
    for row in rows:
        print(f"{'[ OK ]' if row.ok else '[FAIL]'} {row.what:<12} {row.found}")
    if all(row.ok for row in rows):
        return True
    print(CURE)
    return False


def environment_rows(aws=None) -> list[Row]:
    """Python and the packages against the ranges of pyproject.toml, the data files, and an STS call if there is a connection."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    rows = [_in_range("Python", platform.python_version(), SpecifierSet(project["requires-python"]))]
    rows += [_package(Requirement(line)) for line in project["dependencies"]]
    missing = [name for name in DATA if not (ROOT / "data" / name).is_file()]
    rows.append(Row(not missing, "data", f"missing: {', '.join(missing)}" if missing else f"{len(DATA)} files"))
    return rows + ([_answers(aws)] if aws else [])


def _in_range(what: str, version: str, needed: SpecifierSet) -> Row:
    return Row(needed.contains(version, prereleases=True), what, f"{version} (needed: {needed})")


def _package(needed: Requirement) -> Row:
    """Imported, not only looked up: a package that is there may still not fit this machine."""
    try:
        version = metadata.version(needed.name)
        importlib.import_module(needed.name)
    except metadata.PackageNotFoundError:
        return Row(False, needed.name, f"missing (needed: {needed.specifier})")
    except Exception as error:  # noqa: BLE001 (whatever it is, the row says it)
        return Row(False, needed.name, f"{version} cannot be imported: {type(error).__name__}: {error}")
    return _in_range(needed.name, version, needed.specifier)


def _answers(aws) -> Row:
    """STS, because every AWS has it, it needs no permission, and it says whose credentials these are."""
    try:
        account = aws.client("sts").get_caller_identity()["Account"]
    except Exception as error:  # noqa: BLE001 (whatever it is, the row says it)
        return Row(False, "AWS", f"does not answer: {error}")
    return Row(account == aws.settings.account, "AWS", f"answers as account {account} (needed: {aws.settings.account})")


if __name__ == "__main__":
    sys.exit(0 if check_environment() else 1)

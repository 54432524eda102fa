"""One archive from which a laptop without a network installs the workbook and runs it: for rooms with bad Wi-Fi."""

import platform
import string
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from .environment import ROOT

TOP = "orders-cdc-workbook"  # the one folder in the archive; short, because Windows limits the length of paths
START = ("start.sh", "start.bat", "start.py", "START.html")  # in bundle/; they stand at the top of the archive


class BundleError(RuntimeError):
    """The archive could not be made; the message says why and what to do."""


def make(folder: Path) -> Path:
    """Write the archive into `folder` and return its path. Needs git, and a network or what pip has stored. Raises BundleError.

    It holds the project as committed (HEAD: it has a name, and nothing half-done is handed out), the wheels of
    requirements.lock and of what builds the project, for this Python and this system, and what START names.
    """
    commit = _call("git", "rev-parse", "--short", "HEAD").strip()
    if changed := _call("git", "status", "--porcelain").splitlines():
        print(f"the bundle has commit {commit}, without what you changed since: {len(changed)} file(s)")
    made_for = {"python": "{}.{}".format(*sys.version_info), "system": platform.system(), "machine": platform.machine()}
    name = "-".join([TOP, commit, f"python{made_for['python']}", made_for["system"].lower(), made_for["machine"]])
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{name}.zip"
    with tempfile.TemporaryDirectory() as wheels:
        _collect_wheels(Path(wheels))
        _call("git", "archive", f"--output={archive.resolve()}", f"--prefix={TOP}/", "HEAD")
        with zipfile.ZipFile(archive, "a") as file:
            for wheel in sorted(Path(wheels).iterdir()):
                file.write(wheel, f"{TOP}/wheels/{wheel.name}")  # as they are: wheels are compressed
            for key, value in made_for.items():
                file.writestr(f"{TOP}/wheels/made-for-{key}", value)
            for start in START:
                text = _call("git", "show", f"HEAD:bundle/{start}")
                if start.endswith(".html"):
                    text = string.Template(text).substitute(made_for, commit=commit)
                file.writestr(f"{TOP}/{start}", text.replace("\n", "\r\n") if start.endswith(".bat") else text)
    return archive


def _collect_wheels(folder: Path) -> None:
    """All that is installed without a network: the lock's packages, and what pip builds the project with."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    _call(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps", f"--wheel-dir={folder}",
          "--requirement=requirements.lock", *project["build-system"]["requires"])


def _call(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, encoding="utf-8").stdout
    except FileNotFoundError:
        raise BundleError(f"There is no {command[0]} here, and the bundle is made with it: install it.") from None
    except subprocess.CalledProcessError as error:
        said = "\n".join(error.stderr.strip().splitlines()[-5:])
        raise BundleError(f"`{' '.join(command[:4])} …` failed in {ROOT}; a bundle needs the git checkout of the workbook, pip, and a "
                          f"network or what pip has stored. It said:\n{said}") from None

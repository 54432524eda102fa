"""Install the workbook in this folder, without a network, then start it. Standard library only.

`start.py` installs if nothing is installed yet, checks the machine and opens JupyterLab at chapter 00. Words go to
`python -m helpers`: `start.py run changes=200` runs all chapters, `start.py check` only checks.
"""

import os
import platform
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
WHEELS = HERE / "wheels"
VENV = HERE / ".venv"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
READY = VENV / "ready"  # the Makefile's mark, too


def install():
    wanted = [(WHEELS / f"made-for-{what}").read_text() for what in ("python", "system", "machine")]
    here = ["{}.{}".format(*sys.version_info), platform.system(), platform.machine()]
    if here != wanted:
        sys.exit("This bundle was made for Python {} on {} {}; here is Python {} on {} {}. Ask for a bundle for yours."
                 .format(*wanted, *here))
    print("Installing into {}: a minute or two, without a network ...".format(VENV), flush=True)
    try:
        venv.create(str(VENV), clear=True, with_pip=True)
    except subprocess.CalledProcessError:
        sys.exit("Python here cannot make a virtual environment; on Debian and Ubuntu: sudo apt install python3-venv")
    pip("--requirement", "requirements.lock")
    pip("--editable", ".")
    READY.touch()


def pip(*what):
    """Install from the wheels alone: settings of this user or this company, such as an index of their own, are left aside.

    Not compiled ahead: Python does it at first use, and only what is used.
    """
    code = subprocess.call([str(PYTHON), "-m", "pip", "--isolated", "install", "--quiet", "--disable-pip-version-check", "--no-index",
                            "--find-links", str(WHEELS), "--no-deps", "--no-compile", *what],
                           cwd=str(HERE), env=dict(os.environ, PIP_CONFIG_FILE=os.devnull))
    if code:
        sys.exit("The packages could not be installed: pip says above why. The system may be older than the one the bundle was made on.")


def helpers(*words):
    return subprocess.call([str(PYTHON), "-m", "helpers", *words], cwd=str(HERE))


if not READY.exists():
    install()
if sys.argv[1:]:
    sys.exit(helpers(*sys.argv[1:]))
sys.exit(helpers("check") or helpers("lab"))

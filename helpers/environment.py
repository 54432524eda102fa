"""Is everything here that the workbook needs? A list of [ OK ] and [FAIL], and under what failed how to mend it.

Only the standard library is imported before something is looked at, so `python helpers/environment.py` also helps where
nothing is installed yet, or where `import helpers` fails.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
DATA = ("products.csv", "pace.json",
        *(f"events/{name}" for name in ("insert.json", "good.json", "ignored.json", "remove.json", "malformed.txt")),
        *(f"policies/{hop}{part}.json" for hop in ("pipe", "delivery", "function", "crawler") for part in ("", "-trust")))
DISK_BYTES = 2**30  # the local AWS's state, executed notebooks, copies: far less, but a full disk is no fun
MEMORY_BYTES = 1.5 * 2**30  # JupyterLab, two kernels and the local AWS
KERNEL_SECONDS = 60
TERMINAL_BROWSERS = {"www-browser", "links", "elinks", "lynx", "w3m"}  # JupyterLab shows nothing in them

INSTALL = "`python -m pip install -e .` in the workbook's folder brings missing packages."
FIXES = {
    "Python": "Install Python 3.11, 3.12 or 3.13; `make PYTHON=python3.12 check` chooses one of several.",
    "data": "`git checkout data/` in the workbook's folder brings missing files.",
    "AWS": "`python -m helpers.localaws logs` tells why the local AWS does not answer.",
    "clock": "Set the date and time of this machine, best by switching on automatic time.",
    "disk": "Make room, or run the workbook from a folder of your own on another disk.",
    "memory": "Close other programs.",
    "kernel": "`python -m pip install -e .` in the workbook's folder lets kernels import the workbook; `jupyter kernelspec list` shows "
              "where the python3 kernel comes from, and `jupyter kernelspec remove python3` removes a broken one.",
    "port": "The local AWS takes another port if LOCALAWS_PORT is set, for example to 4600.",
    "local AWS": "If its log above does not help, reinstall the packages: `python -m pip install --force-reinstall -r requirements.lock`.",
    "browser": "Install a browser, or set BROWSER to its command. If yours is on another machine or system (SSH, WSL), `python -m helpers "
               "lab --no-browser` prints the address for it; `check --no-browser` leaves this line out.",
    "the rest": "Mend the lines above first, then check again.",
}


class Row(NamedTuple):
    """One line of the list: whether it is in order, what was looked at, what was found, and how to mend it if it is not."""

    ok: bool
    what: str
    found: str
    fix: str = ""


def check_environment(aws=None) -> bool:
    """Print whether Python, the packages and the data files are those the workbook needs. True if all are.

    aws  a connection (`helpers.connect`), to be asked as well; without it nothing is connected to
    """
    return _report(environment_rows(aws))


def check_machine(browser: bool = True) -> bool:
    """Print whether this machine is ready for the workbook: check_environment, then everything is tried. True if all is well.

    A kernel and a local AWS (on a free port, in a temporary folder) are started for it and stopped again.

    browser  whether a browser is looked for, too
    """
    return _report(machine_rows(browser))


def environment_rows(aws=None) -> list[Row]:
    """Python and the packages against the ranges of pyproject.toml, the data files, and an STS call if there is a connection."""
    python = _row("Python", _python)
    if not python.ok:
        return [python]  # an older one cannot even read pyproject.toml
    return [python, *_packages(), _row("data", _data), *([_row("AWS", lambda: _answers(aws))] if aws else [])]


def machine_rows(browser: bool = True) -> Iterator[Row]:
    """The rows of environment_rows, then clock, disk, memory, kernel, port, local AWS and browser, each as soon as it was looked at."""
    rows = environment_rows()
    yield from rows
    looks = {"clock": _clock, "disk": _disk, "memory": _memory, "kernel": _kernel, "port": _port, "local AWS": _local_aws,
             **({"browser": _browser} if browser else {})}
    if not all(row.ok for row in rows if row.what != "data"):
        yield Row(False, "the rest", f"not looked at yet: {', '.join(looks)}", FIXES["the rest"])
        return
    for what, look in looks.items():
        yield _row(what, look)


def _report(rows: Iterable[Row]) -> bool:
    """Print the rows as they come, a fix once under all the rows in a row that it mends. Whether all are in order."""
    in_order = True
    for fix, together in groupby(rows, key=lambda row: row.fix):
        for row in together:
            print(f"{'[ OK ]' if row.ok else '[FAIL]'} {row.what:<12} {row.found}", flush=True)
            in_order = in_order and row.ok
        if fix:
            print(f"       fix: {fix}", flush=True)
    return in_order


def _row(what: str, look: Callable[[], str], fix: str = "") -> Row:
    """A look returns what it found, or raises with what is wrong."""
    try:
        return Row(True, what, look())
    except Exception as error:  # noqa: BLE001 (whatever it is, the row says it)
        return Row(False, what, str(error) or type(error).__name__, fix or FIXES[what])


class NotInOrder(Exception):
    """What was found is not what is needed; the message is the row's."""


def _needed(found: str, ok: bool) -> str:
    if not ok:
        raise NotInOrder(found)
    return found


def _pyproject() -> str:
    return (ROOT / "pyproject.toml").read_text("utf-8")


def _python() -> str:
    """By hand, because the library that compares versions may not be installed yet."""
    needed, lowest, above = re.search(r'^requires-python = "(>=3\.(\d+),<3\.(\d+))"', _pyproject(), re.M).groups()
    return _needed(f"{platform.python_version()} (needed: {needed})", (3, int(lowest)) <= sys.version_info < (3, int(above)))


def _packages() -> list[Row]:
    import tomllib

    try:
        from packaging.requirements import Requirement
    except ImportError as error:
        return [Row(False, "packages", str(error), INSTALL)]
    needed = map(Requirement, tomllib.loads(_pyproject())["project"]["dependencies"])
    return [_row(package.name, lambda package=package: _package(package), INSTALL) for package in needed]


def _package(needed) -> str:
    """Imported, not only looked up: a package that is there may still not fit this machine."""
    try:
        version = metadata.version(needed.name)
    except metadata.PackageNotFoundError:
        raise NotInOrder(f"missing (needed: {needed.specifier})") from None
    try:
        importlib.import_module(needed.name)
    except Exception as error:  # noqa: BLE001 (whatever it is, the row says it)
        raise NotInOrder(f"{version} cannot be imported: {type(error).__name__}: {error}") from None
    return _needed(f"{version} (needed: {needed.specifier})", needed.specifier.contains(version, prereleases=True))


def _data() -> str:
    missing = [name for name in DATA if not (ROOT / "data" / name).is_file()]
    return _needed(f"missing: {', '.join(missing)}" if missing else f"{len(DATA)} files", not missing)


def _answers(aws) -> str:
    """STS, because every AWS has it, it needs no permission, and it says whose credentials these are."""
    try:
        account = aws.client("sts").get_caller_identity()["Account"]
    except Exception as error:  # noqa: BLE001 (whatever it is, the row says it)
        raise NotInOrder(f"does not answer: {error}") from None
    return _needed(f"answers as account {account} (needed: {aws.settings.account})", account == aws.settings.account)


def _clock() -> str:
    """Nothing of the workbook can be younger than now. A day's grace, because an archive may keep local times without their zone."""
    files = [path for folder in ("helpers", "notebooks", "data") for path in (ROOT / folder).rglob("*.*")]
    newest, now = max(path.stat().st_mtime for path in files), time.time()
    shown = [f"{datetime.fromtimestamp(moment, timezone.utc):%Y-%m-%d %H:%M} UTC" for moment in (now, newest)]
    if now < newest - 86_400:
        raise NotInOrder(f"{shown[0]}, which is before the newest file of the workbook was written ({shown[1]})")
    return shown[0]


def _disk() -> str:
    """Where the workbook writes: its own folder, temporary folders, the local AWS's state."""
    from helpers.localaws import LocalAws, LocalAwsError

    folders, free = [ROOT, Path(tempfile.gettempdir())], {}
    with contextlib.suppress(LocalAwsError):  # settings that cannot work are what the line of the port says
        state = LocalAws().directory
        folders.append(next(folder for folder in (state, *state.parents) if folder.is_dir()))
    for folder in folders:
        _needed(f"{folder} cannot be written to", os.access(folder, os.W_OK))
        free[folder] = shutil.disk_usage(folder).free
    least = min(free, key=free.get)
    return _needed(f"{_gib(free[least])} free in {least} (needed: {_gib(DISK_BYTES)})", free[least] >= DISK_BYTES)


def _memory() -> str:
    import psutil

    free = psutil.virtual_memory().available
    return _needed(f"{_gib(free)} available (needed: {_gib(MEMORY_BYTES)})", free >= MEMORY_BYTES)


def _kernel() -> str:
    """Start the kernel the notebooks name, as JupyterLab does, and have it import the workbook."""
    from jupyter_client.manager import start_new_kernel

    said = []
    manager, client = start_new_kernel(kernel_name="python3", startup_timeout=KERNEL_SECONDS, cwd=ROOT / "notebooks",
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        reply = client.execute_interactive(
            "import sys, helpers; print(helpers.__path__[0], sys.executable, sep='\\n')", timeout=KERNEL_SECONDS,
            output_hook=lambda message: said.append(message["content"].get("text", "")))["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    _needed(f"starts, but says {reply.get('ename')}: {reply.get('evalue')}", reply["status"] == "ok")
    package, python = "".join(said).splitlines()
    _needed(f"imports another copy of the workbook, {package}", Path(package).samefile(ROOT / "helpers"))
    return f"python3 starts and answers ({python})"


def _port() -> str:
    from helpers.localaws import LocalAws

    local = LocalAws()
    if local.status():
        local.start()  # says whose it is, if it is not ours
        return f"{local.port}: the local AWS that is yours answers there"
    with socket.socket() as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # free is also what was closed a moment ago
        try:
            probe.bind(("127.0.0.1", local.port))
        except OSError as error:
            raise NotInOrder(f"{local.port} cannot be used: {error.strerror}") from None
    return f"{local.port} is free"


def _local_aws() -> str:
    """One of its own: started, asked in both of its processes, stopped."""
    import boto3
    from botocore.config import Config

    from helpers.localaws import LocalAws

    with LocalAws.temporary() as local:
        started = time.monotonic()
        status = local.start()
        seconds = time.monotonic() - started
        variables = status.environment
        session = boto3.Session(variables["AWS_ACCESS_KEY_ID"], variables["AWS_SECRET_ACCESS_KEY"], region_name=status.region)
        direct = Config(proxies={}, retries={"total_max_attempts": 2})
        session.client("sts", endpoint_url=status.endpoint, config=direct).get_caller_identity()
        session.client("athena", endpoint_url=status.endpoint, config=direct).list_work_groups()
    return f"starts in {seconds:.1f} s, answers and stops"


def _browser() -> str:
    """As JupyterLab will look for it: Python's own list."""
    import webbrowser

    try:
        found = webbrowser.get()
    except webbrowser.Error:
        raise NotInOrder("none that JupyterLab could open") from None
    name = getattr(found, "name", type(found).__name__)
    return _needed(name, Path(str(name)).name not in TERMINAL_BROWSERS)


def _gib(size: float) -> str:
    return f"{size / 2**30:.1f} GiB"


if __name__ == "__main__":
    sys.path[0] = str(ROOT)  # not helpers/, whose modules' names are nobody else's business
    sys.exit(0 if check_machine(browser="--no-browser" not in sys.argv) else 1)

"""`python -m helpers`: everything the Makefile does, for people without make."""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from .environment import check_machine

try:
    from . import chapters, pace
    from .bundle import BundleError
    from .bundle import make as make_bundle
    from .chapters import CHAPTERS, NOTEBOOKS, ROOT, RUNS
    from .copies import lay_copies
    from .localaws import LocalAws, LocalAwsError
    from .session import GuardError, connect
    from .settings import Settings, SettingsError, check_learner, check_parameters, of_learner
except ImportError as error:  # whatever the command, say which package is missing and how to mend it
    check_machine()
    sys.exit(f"{type(error).__name__}: {error}")

LEARNERS_COPIES = ROOT / of_learner("my-workbook")
LAB_CONFIG = ROOT / "helpers" / "jupyterlab"
COMMANDS: dict[str, tuple[Callable, tuple]] = {}  # each function here that is a command, and the arguments of argparse that it takes


def argument(*names: str, **how) -> tuple:
    """What argparse's add_argument is called with."""
    return names, how


def command(*arguments: tuple) -> Callable[[Callable], Callable]:
    """Make a function a command of its name, described by its docstring; it is called with what argparse found."""
    def register(function: Callable) -> Callable:
        COMMANDS[function.__name__] = function, arguments
        return function

    return register


PARAMETERS = argument("parameters", nargs="*", metavar="name=value", help="settings that differ from the defaults, such as "
                      "changes=500 seed=7; target=aws account=123456789012 turns the switch to real AWS")


@command(argument("--no-browser", dest="browser", action="store_false", help="do without one on this machine"))
def check(options) -> None:
    """say whether this machine has all the workbook needs: [ OK ] or [FAIL], and how to mend it; look the day before"""
    sys.exit(0 if check_machine(options.browser) else 1)


@command(PARAMETERS)
def run(options) -> None:
    """execute all chapters headlessly and write them, and one HTML page, into runs/"""
    settings = settings_from(options)
    with fresh_local_aws() if settings.target == "local" else contextlib.nullcontext():
        started = time.monotonic()
        results = chapters.run(CHAPTERS, settings, RUNS)
        if settings.target == "local":
            pace.record(seconds_of(results), settings, LocalAws().clock_scale, chapters.PACE)
        page = RUNS / "workbook.html"
        chapters.write_html(results, page)
    width = max(len(result.chapter.stem) for result in results)
    print(f"\n{'chapter':<{width}}  seconds  checkpoints")
    for result in results:
        print(f"{result.chapter.stem:<{width}}  {result.seconds:7.1f}  {result.checkpoints:11}")
    print(f"{'all':<{width}}  {time.monotonic() - started:7.1f}  {sum(result.checkpoints for result in results):11}")
    print(f"\nread it: {page.relative_to(ROOT)}")
    print(chapters.agreement(results))


@command(PARAMETERS, argument("--no-browser", dest="browser", action="store_false", help="only print the address"))
def lab(options) -> None:
    """open JupyterLab at chapter 00, on your own copies in my-workbook/ (brought up to date; what you edited is never overwritten)"""
    settings_from(options)
    for done, names in lay_copies(LEARNERS_COPIES, given_by(options)).items():
        print(f"{LEARNERS_COPIES.name}/: {done}: {', '.join(names)}")
    arguments = [] if options.browser else ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")  # in a container everybody is root; the server listens on loopback and wants a token
    # Beside the learner's own settings of JupyterLab: defaults for a workbook, such as saving every few seconds.
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, [str(LAB_CONFIG), os.environ.get("JUPYTER_CONFIG_PATH")]))
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for JupyterLab, which asks; this process waits for its answer
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", *arguments, "--ip=127.0.0.1",
                              f"--LabApp.workspaces_dir={LEARNERS_COPIES / '.jupyterlab'}",  # the tabs left open are one's own
                              f"--ServerApp.root_dir={LEARNERS_COPIES}",
                              f"--LabApp.default_url=/lab/tree/{CHAPTERS[0].path.name}"]))


@command(PARAMETERS, argument("--json", action="store_true", help="as one line of JSON, for a trainer to collect"))
def where(options) -> None:
    """show how far you are: what each chapter builds, as it is found in the cloud, and the checks that passed in your copies"""
    from . import progress

    settings = settings_here(options)
    with contextlib.redirect_stdout(sys.stderr):  # the banner; what is asked for stands alone on stdout
        aws = connect(settings)
    found = progress.look(aws, LEARNERS_COPIES)
    print(progress.as_json(aws, found) if options.json else progress.as_table(found).to_string())


@command(PARAMETERS, argument("--order", metavar="ORDERID", help="follow this order's newest change instead of a probe"),
         argument("--no-probe", dest="probe", action="store_false", help="write nothing: follow the newest change there is"),
         argument("--patience", type=float, metavar="SECONDS", help="how long to wait for what is due"))
def doctor(options) -> None:
    """follow one order through the pipeline; says where it stops, why, and what mends it: 0 healthy, 1 broken, 3 wait"""
    from .doctor import doctor

    verdict = doctor(connect(settings_here(options)), options.order, probe=options.probe, patience=options.patience)
    sys.exit({"healthy": 0, "broken": 1, "wait": 3}[verdict.state])  # 2 is a wrong command line's


@command()
def test(options) -> None:
    """run the tests, three at a time, since most of them wait for a hop; further words go to pytest, such as -k transform"""
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", "-n3", "--dist=loadgroup", *options.pytest], cwd=ROOT))


@command(argument("--write", action="store_true", help="put the table into the local AWS's page as well"))
def bench(options) -> None:
    """measure, within about seven minutes: start, memory, changes per second, latency, Athena; each beside its target"""
    from . import bench as measured

    with fresh_local_aws() as (local, seconds):
        measured.main(local, seconds, options.write)


@command()
def notebooks(_options) -> None:
    """write the committed notebooks' outputs and the pictures afresh, from one clean run"""
    from .instructor import PAGE, timetable
    from .marks import put_between_marks
    from .plots import save_pipelines

    save_pipelines(NOTEBOOKS / "images")
    with fresh_local_aws():
        results = chapters.run(CHAPTERS, Settings(), RUNS)
        chapters.commit_outputs(results)
        pace.record(seconds_of(results), Settings(), LocalAws().clock_scale, pace.COMMITTED)
    put_between_marks(PAGE, "time", timetable())


@command()
def exercises(_options) -> None:
    """derive the exercises' cells from their solutions, after a solution was changed"""
    from .exercises import write_exercises

    print(f"written anew: {', '.join(write_exercises()) or 'none, all were up to date'}")


@command()
def site(_options) -> None:
    """write the chapters, outputs and pictures included, as HTML pages to read in a browser, without network: runs/site/"""
    from .pages import write_site

    print(f"read it: {write_site(RUNS / 'site')[0].relative_to(ROOT)}")


@command()
def slides(_options) -> None:
    """write each chapter as slides for a room, to show in a browser, without network: runs/slides/"""
    from .pages import write_slides

    print(f"show it: {write_slides(RUNS / 'slides')[0].relative_to(ROOT)} (the arrow keys go on and back)")


@command(argument("--to", dest="folder", type=Path, default=ROOT / "dist", metavar="folder", help="where to (dist/)"))
def bundle(options) -> None:
    """make one archive in dist/ from which a laptop like this one installs and runs the workbook without a network"""
    archive = make_bundle(options.folder)
    print(f"{archive} ({archive.stat().st_size / 2**20:.0f} MiB): unpack it and open START.html")


@command()
def clean(_options) -> None:
    """stop the local AWS, empty it, and remove runs/; your own copies stay"""
    local = LocalAws()
    local.stop()
    local.reset()
    shutil.rmtree(RUNS, ignore_errors=True)
    print(f"the local AWS is stopped and empty, {RUNS.name}/ is gone")


@contextlib.contextmanager
def fresh_local_aws():
    """A local AWS for one command, on a free port and in a temporary folder: a learner's own is never touched."""
    with LocalAws.temporary() as local:
        started = time.monotonic()
        local.start()
        seconds = time.monotonic() - started
        os.environ.update(LOCALAWS_PORT=str(local.port), LOCALAWS_DIR=str(local.directory))
        yield local, seconds


def seconds_of(results) -> dict[str, float]:
    return {result.chapter.number: result.seconds for result in results}


def settings_from(options) -> Settings:
    """Settings from the command line, checked."""
    return Settings(**given_by(options))


def settings_here(options) -> Settings:
    """Those that the command line gives; without any, those of the learner's copies."""
    from .progress import settings_of

    return settings_from(options) if options.parameters else settings_of(LEARNERS_COPIES)


def given_by(options) -> dict:
    """The parameters that the command line gives; a word `name=value` that is none is refused. A learner's prefix is their own."""
    given = {"prefix": of_learner(Settings.prefix)} if of_learner("") else {}
    for word in options.parameters:
        name, equals, value = word.partition("=")
        if not equals:
            raise SettingsError(f"{word!r} is not of the form name=value, such as changes=500.")
        check_parameters([name])
        kind = Settings.__dataclass_fields__[name].type
        try:
            given[name] = {"int": int, "float": float, "str": str}[getattr(kind, "__name__", kind)](value)
        except ValueError:
            raise SettingsError(f"{name} is {value!r}: give a number.") from None
    return given


def main(words: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers", description="The orders CDC workbook, by command. The local AWS "
                                     "has commands of its own: python -m helpers.localaws --help")
    commands = parser.add_subparsers(required=True, metavar="command")
    for name, (function, arguments) in COMMANDS.items():
        sub = commands.add_parser(name, help=function.__doc__, description=function.__doc__)
        sub.set_defaults(command=function)
        for names, how in arguments:
            sub.add_argument(*names, **how)
    options, options.pytest = parser.parse_known_args(words)
    if options.pytest and options.command is not test:
        parser.error(f"unrecognized arguments: {' '.join(options.pytest)}")
    try:
        check_learner()
        options.command(options)
    except (SettingsError, GuardError, LocalAwsError, BundleError, chapters.ChapterFailed) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except PermissionError as error:
        if not error.filename or not Path(error.filename).resolve().is_relative_to(ROOT):
            raise
        sys.exit(f"PermissionError: {error}. The workbook writes into its own folder, {ROOT}: each user of a machine needs a clone of "
                 "their own, or the rights to write there.")


if __name__ == "__main__":
    main()

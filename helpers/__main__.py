"""`python -m helpers`: everything the Makefile does, for people without make."""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time

from . import chapters
from .chapters import CHAPTERS, NOTEBOOKS, ROOT, RUNS
from .localaws import LocalAws, LocalAwsError
from .session import GuardError
from .settings import Settings, SettingsError, check_parameters

LEARNERS_COPIES = ROOT / "my-workbook"


def run(options) -> None:
    """execute all chapters headlessly and write them, and one HTML page, into runs/"""
    settings = settings_from(options)
    with fresh_local_aws() if settings.target == "local" else contextlib.nullcontext():
        started = time.monotonic()
        results = chapters.run(CHAPTERS, settings, RUNS)
        page = RUNS / "workbook.html"
        chapters.write_html(results, page)
    width = max(len(result.chapter.stem) for result in results)
    print(f"\n{'chapter':<{width}}  seconds  checkpoints")
    for result in results:
        print(f"{result.chapter.stem:<{width}}  {result.seconds:7.1f}  {result.checkpoints:11}")
    print(f"{'all':<{width}}  {time.monotonic() - started:7.1f}  {sum(result.checkpoints for result in results):11}")
    print(f"\nread it: {page.relative_to(ROOT)}")
    print(chapters.agreement(results))


def lab(options) -> None:
    """open JupyterLab at chapter 00, on your own copies in my-workbook/ (made if missing, never overwritten)"""
    made = chapters.copy_for_learner(LEARNERS_COPIES, settings_from(options))
    if made:
        print(f"made your own copies in {LEARNERS_COPIES.name}/: {', '.join(made)}")
    arguments = [] if options.browser else ["--no-browser"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments.append("--allow-root")  # in a container everybody is root; the server listens on loopback and wants a token
    signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for JupyterLab, which asks; this process waits for its answer
    sys.exit(subprocess.call([sys.executable, "-m", "jupyterlab", *arguments, "--ip=127.0.0.1",
                              f"--ServerApp.root_dir={ROOT}",
                              f"--LabApp.default_url=/lab/tree/{LEARNERS_COPIES.name}/{CHAPTERS[0].path.name}"]))


def test(options) -> None:
    """run the tests, three at a time, since most of them wait for a hop; further words go to pytest"""
    sys.exit(subprocess.call([sys.executable, "-m", "pytest", "-n3", "--dist=loadgroup", *options.pytest], cwd=ROOT))


def bench(options) -> None:
    """measure, within about seven minutes: start, memory, changes per second, latency, Athena; each beside its target"""
    from . import bench as measured

    with fresh_local_aws() as (local, seconds):
        measured.main(local, seconds, options.write)


def notebooks(_options) -> None:
    """write the committed notebooks' outputs and the pictures afresh, from one clean run"""
    from .plots import save_pipelines

    save_pipelines(NOTEBOOKS / "images")
    with fresh_local_aws():
        chapters.commit_outputs(chapters.run(CHAPTERS, Settings(), RUNS))


def site(_options) -> None:
    """write the chapters, outputs and pictures included, as HTML pages to read in a browser, without network: runs/site/"""
    from .pages import write_site

    print(f"read it: {write_site(RUNS / 'site')[0].relative_to(ROOT)}")


def slides(_options) -> None:
    """write each chapter as slides for a room, to show in a browser, without network: runs/slides/"""
    from .pages import write_slides

    print(f"show it: {write_slides(RUNS / 'slides')[0].relative_to(ROOT)} (the arrow keys go on and back)")


def clean(_options) -> None:
    """stop the local AWS, empty it, and remove runs/; your own copies stay"""
    local = LocalAws()
    local.stop()
    local.reset()
    shutil.rmtree(RUNS, ignore_errors=True)
    print("the local AWS is stopped and empty, runs/ is gone")


@contextlib.contextmanager
def fresh_local_aws():
    """A local AWS for one command, on a free port and in a temporary folder: a learner's own is never touched."""
    with LocalAws.temporary() as local:
        started = time.monotonic()
        local.start()
        seconds = time.monotonic() - started
        os.environ.update(LOCALAWS_PORT=str(local.port), LOCALAWS_DIR=str(local.directory))
        yield local, seconds


def settings_from(options) -> Settings:
    """Settings from the command line; a word `name=value` that is no parameter is refused."""
    given = {}
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
    return Settings(**given)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers", description="The orders CDC workbook, by command. The local AWS "
                                     "has commands of its own: python -m helpers.localaws --help")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (run, lab, test, bench, notebooks, site, slides, clean):
        sub = commands.add_parser(command.__name__, help=command.__doc__, description=command.__doc__)
        sub.set_defaults(command=command)
        if command in (run, lab):
            sub.add_argument("parameters", nargs="*", metavar="name=value", help="settings that differ from the defaults, such as "
                             "changes=500 seed=7; target=aws account=123456789012 turns the switch to real AWS")
        if command is lab:
            sub.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")
        if command is bench:
            sub.add_argument("--write", action="store_true", help="put the table into the local AWS's page as well")
        if command is test:
            sub.usage = f"{sub.prog} [words for pytest, such as -k transform]"
    options, options.pytest = parser.parse_known_args(arguments)
    if options.pytest and options.command is not test:
        parser.error(f"unrecognized arguments: {' '.join(options.pytest)}")
    try:
        options.command(options)
    except (SettingsError, GuardError, LocalAwsError, chapters.ChapterFailed) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()

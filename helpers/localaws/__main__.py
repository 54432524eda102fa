"""`python -m helpers.localaws`: the local AWS by command."""

import argparse
import shlex
import sys
import time

from .lifecycle import LocalAws, LocalAwsError


def start(local: LocalAws, options) -> None:
    """start it if it does not run yet"""
    running = local.start()
    if options.clock_scale not in (None, running.clock_scale):
        sys.exit(f"it runs already, with the clock at {running.clock_scale:g} : 1; `stop` it first")
    status(local, options)


def stop(local: LocalAws, _options) -> None:
    """stop it; what was made in it is kept"""
    print("stopped" if local.stop() else f"nothing runs on port {local.port}")


def status(local: LocalAws, _options) -> None:
    """say whether it runs, where, since when, and how much memory it takes"""
    found = local.status()
    if found is None:
        sys.exit(f"not running on port {local.port}; `start` starts it")
    print(f"running at {found.endpoint} (process {found.pid}, {time.time() - found.started:.0f} s, "
          f"{found.memory() / 2**20:.0f} MiB)\naccount {found.account}, region {found.region}, clock {found.clock_scale:g} : 1"
          f"{f', shards at {found.shard_limits:g} of the limits' if found.shard_limits else ''}\nstate and log in {found.directory}")
    if found.joint_restarts:
        print(f"its joints were started again {found.joint_restarts} time(s); `logs` says why")


def reset(local: LocalAws, _options) -> None:
    """empty it: everything that was made in it is gone"""
    local.reset()
    print("empty")


def logs(local: LocalAws, options) -> None:
    """print the end of its log"""
    print(local.tail(options.lines))


def env(local: LocalAws, _options) -> None:
    """print the shell exports with which any AWS client reaches it: eval "$(python -m helpers.localaws env)\""""
    for name, value in local.start().environment.items():
        print(f"export {name}={shlex.quote(value)}")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m helpers.localaws", description="The local AWS, by command. LOCALAWS_PORT, "
                                     "LOCALAWS_CLOCK_SCALE, LOCALAWS_SHARD_LIMITS (1: writes throttle as AWS's do), LOCALAWS_DIR "
                                     "(its folder) and LOCALAWS_NAME (a port and a folder of that name) in the environment choose what "
                                     "no option does.")
    parser.add_argument("--port", type=int, help="its port (LOCALAWS_PORT, or 4566)")
    parser.add_argument("--clock-scale", type=float, help="seconds of AWS's waits per real second, when it is started (20)")
    commands = parser.add_subparsers(required=True, metavar="command")
    for command in (start, stop, status, reset, logs, env):
        sub = commands.add_parser(command.__name__, help=command.__doc__)
        sub.set_defaults(command=command)
        if command is logs:
            sub.add_argument("-n", "--lines", type=int, default=40)
    options = parser.parse_args(arguments)
    try:
        options.command(LocalAws(options.port, clock_scale=options.clock_scale), options)
    except LocalAwsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()

"""The control plane of EventBridge Pipes: pipes are made, changed, started, stopped and described here."""

import time

from ..polling import halt_all, in_background
from ..service import AwsError, Caller, Context, Service
from .event import parse_path
from .patterns import Pattern
from .template import Template
from .worker import CannotStart, PipeWorker

_BATCH = 100  # the only default that DescribePipe shows [C, Terraform's acceptance tests of aws_pipes_pipe, run on AWS]
_KINESIS_BATCH = 500  # a batch is never above what the target takes [C]
_SETTLED = {"RUNNING", "STOPPED", "CREATE_FAILED", "UPDATE_FAILED", "START_FAILED"}
_LISTED = ("Arn", "Name", "DesiredState", "CurrentState", "StateReason", "CreationTime", "LastModifiedTime", "Source", "Target")


class Pipes(Service):
    """Pipes from a DynamoDB stream to a Kinesis stream; every other source, target and setting is refused by name."""

    name = "pipes"

    def __init__(self, context: Context):
        super().__init__(context)
        self._pipes = context.store("pipes")
        self._checkpoints = context.store("checkpoints")
        self._workers: dict[str, PipeWorker] = {}

    # -- life of the process -----------------------------------------------------------------------------------------

    def start(self) -> None:
        for arn, pipe in self._pipes.items():
            state = pipe["CurrentState"]
            if state == "DELETING":
                self._forget(arn)
            elif state == "STOPPING":
                self._pipes.update_item(arn, CurrentState="STOPPED")
            elif state == "RUNNING":
                self._launch(PipeWorker(self.context, pipe, self._pipes, self._checkpoints))
            elif state not in _SETTLED:
                self._bring_up(arn, {"CREATING": "CREATE_FAILED", "UPDATING": "UPDATE_FAILED"}.get(state, "START_FAILED"))

    def stop(self) -> None:
        halt_all(list(self._workers.values()))
        self._workers.clear()

    # -- operations --------------------------------------------------------------------------------------------------

    def create_pipe(self, caller: Caller, params: dict) -> dict:
        now = time.time()
        pipe = _checked({**params, "Arn": caller.arn("pipes", f"pipe/{params['Name']}")})
        pipe |= {"DesiredState": params.get("DesiredState", "RUNNING"),
                 "CurrentState": "CREATING", "CreationTime": now, "LastModifiedTime": now, "Tags": params.get("Tags", {})}
        with self._pipes.lock:
            if pipe["Arn"] in self._pipes:
                raise _conflict(params["Name"], "already exists")
            self._checkpoints.pop(pipe["Arn"], None)  # a namesake that was deleted while a call was under way may have left one
            self._pipes[pipe["Arn"]] = pipe
        self._bring_up(pipe["Arn"], "CREATE_FAILED")
        return _brief(pipe)

    def describe_pipe(self, caller: Caller, params: dict) -> dict:
        pipe = self._pipe(caller, params["Name"])
        return {name: value for name, value in pipe.items() if value not in (None, {})}

    def list_pipes(self, caller: Caller, params: dict) -> dict:
        mine = sorted((pipe for arn, pipe in self._pipes.items() if arn.startswith(caller.arn("pipes", ""))),
                      key=lambda pipe: pipe["Name"])
        found = [pipe for pipe in mine
                 if pipe["Name"].startswith(params.get("NamePrefix", "")) and pipe["Name"] > params.get("NextToken", "")
                 and pipe["Source"].startswith(params.get("SourcePrefix", ""))
                 and pipe["Target"].startswith(params.get("TargetPrefix", ""))
                 and all(pipe[state] == params.get(state, pipe[state]) for state in ("DesiredState", "CurrentState"))]
        page = found[:params.get("Limit", 100)]
        answer = {"Pipes": [{name: pipe[name] for name in _LISTED if pipe.get(name) is not None} for pipe in page]}
        return answer | ({"NextToken": page[-1]["Name"]} if len(page) < len(found) else {})

    def update_pipe(self, caller: Caller, params: dict) -> dict:
        """Members that are given replace those of the pipe; the others stay.

        So do those of SourceParameters and TargetParameters, but what is specific to a service (DynamoDBStreamParameters) is
        replaced as a whole: what is not given in it falls back to its default [C, botocore model pipes, UpdatePipe].
        """
        with self._pipes.lock:
            pipe = self._settled(caller, params["Name"])
            changes = {name: value for name, value in params.items() if name != "Name"}
            for name in ("SourceParameters", "TargetParameters"):
                changes[name] = {**pipe[name], **changes.get(name, {})}
            reading = changes["SourceParameters"]["DynamoDBStreamParameters"]  # all but where it started
            reading.setdefault("StartingPosition", pipe["SourceParameters"]["DynamoDBStreamParameters"]["StartingPosition"])
            pipe = self._pipes[pipe["Arn"]] = _checked({**pipe, **changes}) | {
                "CurrentState": "UPDATING", "StateReason": None, "LastModifiedTime": time.time()}
        self._bring_up(pipe["Arn"], "UPDATE_FAILED")
        return _brief(pipe)

    def start_pipe(self, caller: Caller, params: dict) -> dict:
        pipe = self._change_state(caller, params["Name"], {"STOPPED", "START_FAILED", "CREATE_FAILED", "UPDATE_FAILED"},
                                  "STARTING", "RUNNING")
        self._bring_up(pipe["Arn"], "START_FAILED")
        return _brief(pipe)

    def stop_pipe(self, caller: Caller, params: dict) -> dict:
        pipe = self._change_state(caller, params["Name"], {"RUNNING"}, "STOPPING", "STOPPED")

        def stop() -> None:
            self._halt(pipe["Arn"])
            self._pipes.update_item(pipe["Arn"], CurrentState="STOPPED", StateReason=None)

        in_background(stop, f"stop of pipe {pipe['Name']}")
        return _brief(pipe)

    def delete_pipe(self, caller: Caller, params: dict) -> dict:
        pipe = self._change_state(caller, params["Name"], _SETTLED, "DELETING", "DELETED")

        def delete() -> None:
            self._halt(pipe["Arn"])
            self._forget(pipe["Arn"])

        in_background(delete, f"deletion of pipe {pipe['Name']}")
        return _brief(pipe)

    def list_tags_for_resource(self, caller: Caller, params: dict) -> dict:
        return {"tags": self._tagged(params)["Tags"]}

    def tag_resource(self, caller: Caller, params: dict) -> dict:
        with self._pipes.lock:
            tags = {**self._tagged(params)["Tags"], **params["tags"]}
            if len(tags) > 50:
                raise AwsError("ValidationException", "A pipe can have 50 tags at most.")
            self._pipes.update_item(params["resourceArn"], Tags=tags)
        return {}

    def untag_resource(self, caller: Caller, params: dict) -> dict:
        with self._pipes.lock:
            tags = {key: value for key, value in self._tagged(params)["Tags"].items() if key not in params["tagKeys"]}
            self._pipes.update_item(params["resourceArn"], Tags=tags)
        return {}

    # -- finding and changing ----------------------------------------------------------------------------------------

    def _pipe(self, caller: Caller, name: str) -> dict:
        try:
            return self._pipes[caller.arn("pipes", f"pipe/{name}")]
        except KeyError:
            raise AwsError("NotFoundException", f"Pipe {name} does not exist.", status=404) from None

    def _tagged(self, params: dict) -> dict:
        try:
            return self._pipes[params["resourceArn"]]
        except KeyError:
            raise AwsError("NotFoundException", f"{params['resourceArn']} does not exist.", status=404) from None

    def _settled(self, caller: Caller, name: str, allowed=frozenset(_SETTLED)) -> dict:
        pipe = self._pipe(caller, name)
        if pipe["CurrentState"] not in allowed:
            raise _conflict(name, f"is in state {pipe['CurrentState']}")
        return pipe

    def _change_state(self, caller: Caller, name: str, allowed, state: str, desired: str) -> dict:
        with self._pipes.lock:
            pipe = self._settled(caller, name, allowed)
            return self._pipes.update_item(pipe["Arn"], CurrentState=state, DesiredState=desired, LastModifiedTime=time.time())

    # -- workers -----------------------------------------------------------------------------------------------------

    def _bring_up(self, arn: str, failed_state: str) -> None:
        """From CREATING, STARTING or UPDATING to RUNNING or STOPPED, or to `failed_state` with the reason."""

        def bring_up() -> None:
            self._halt(arn)
            pipe = self._pipes[arn]
            try:
                worker = PipeWorker(self.context, pipe, self._pipes, self._checkpoints)
                worker.prepare()
            except CannotStart as error:
                self._pipes.update_item(arn, CurrentState=failed_state, StateReason=str(error)[:512])
                self.context.log(arn, f"{failed_state}: {error}")
                return
            running = pipe["DesiredState"] == "RUNNING"
            self._pipes.update_item(arn, CurrentState="RUNNING" if running else "STOPPED", StateReason=None)
            if running:
                self._launch(worker)

        in_background(bring_up, f"start of {arn}")

    def _launch(self, worker: PipeWorker) -> None:
        self._workers[worker.arn] = worker
        worker.start()

    def _halt(self, arn: str) -> None:
        worker = self._workers.pop(arn, None)
        if worker:
            worker.halt()

    def _forget(self, arn: str) -> None:
        for store in (self._checkpoints, self._pipes):
            store.pop(arn, None)


def _brief(pipe: dict) -> dict:
    return {name: pipe[name] for name in ("Arn", "Name", "DesiredState", "CurrentState", "CreationTime", "LastModifiedTime")}


def _conflict(name: str, what: str) -> AwsError:
    return AwsError("ConflictException", f"Pipe {name} {what}.", status=409, resourceId=name, resourceType="Pipe")


def _refuse(message: str):
    raise AwsError("ValidationException", message)


def _unsupported(name: str):
    _refuse(f"{name} is not supported by the local AWS.")


def _checked(pipe: dict) -> dict:
    """The pipe as it is described; ValidationException for what is wrong, or right and not supported here."""
    if ":dynamodb:" not in pipe["Source"] or "/stream/" not in pipe["Source"]:
        _unsupported(f"Source {pipe['Source']}: other than a DynamoDB stream")
    if ":kinesis:" not in pipe["Target"] or ":stream/" not in pipe["Target"]:
        _unsupported(f"Target {pipe['Target']}: other than a Kinesis stream")
    for name in ("Source", "Target"):
        if pipe[name].split(":")[3] != pipe["Arn"].split(":")[3]:
            _unsupported(f"{name} {pipe[name]}: in another region than the pipe")
    for name in ("Enrichment", "EnrichmentParameters", "LogConfiguration", "KmsKeyIdentifier"):
        if pipe.get(name) not in (None, "", {}, {"Level": "OFF"}):
            _unsupported(name)
    source, target = pipe.get("SourceParameters", {}), pipe.get("TargetParameters", {})
    if "DynamoDBStreamParameters" not in source:
        _refuse("SourceParameters.DynamoDBStreamParameters is required for a DynamoDB stream.")
    if "KinesisStreamParameters" not in target:
        _refuse("TargetParameters.KinesisStreamParameters is required for a Kinesis stream.")
    for parameters, known in ((source, {"DynamoDBStreamParameters", "FilterCriteria"}),
                              (target, {"KinesisStreamParameters", "InputTemplate"})):
        for name in parameters.keys() - known:
            _unsupported(name)
    stream = {"BatchSize": _BATCH, **source["DynamoDBStreamParameters"]}
    if stream["BatchSize"] > _KINESIS_BATCH:
        _refuse(f"BatchSize {stream['BatchSize']} is above what the target takes: a Kinesis stream takes {_KINESIS_BATCH}.")
    dead_letters = stream.get("DeadLetterConfig", {}).get("Arn", "")
    if dead_letters and not dead_letters.startswith(("arn:aws:sqs:", "arn:aws:sns:")):
        _refuse(f"DeadLetterConfig.Arn {dead_letters} is neither an SQS queue nor an SNS topic.")
    if dead_letters.endswith(".fifo"):
        _unsupported(f"DeadLetterConfig.Arn {dead_letters}: a FIFO queue or topic")
    if target.get("InputTemplate"):
        try:
            Template(target["InputTemplate"], pipe)
        except ValueError as error:
            _refuse(f"InputTemplate: {error}.")
    for item in source.get("FilterCriteria", {}).get("Filters", []):
        try:
            Pattern(item.get("Pattern", ""))
        except ValueError as error:
            _refuse(f"FilterCriteria: {error}")
    key = target["KinesisStreamParameters"]["PartitionKey"]
    try:
        if not key or "$." in key[1:] or key.startswith("$") and not parse_path(key):
            raise ValueError("it is static text, or wholly a path such as $.eventID")
    except ValueError as error:
        _refuse(f"PartitionKey {key!r} is not valid: {error}.")
    return {**pipe, "SourceParameters": {**source, "DynamoDBStreamParameters": stream},
            "TargetParameters": {name: value for name, value in target.items() if value != ""}}  # "" removes the InputTemplate

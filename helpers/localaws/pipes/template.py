"""A target's InputTemplate: text with variables in it, filled from each event.

From the EventBridge user guide, "Pipes input transformation" [C]: a variable is `<$.path>` into the event or a reserved one.
Where a string variable stands without quotes, Pipes adds them; numbers, objects and arrays stay as they are. Inside quotes
an object loses its own. A path that selects nothing does not appear in the output.
"""

import datetime
import json
import re

from .event import body_of, parse_path, select

_VARIABLE = re.compile(r"<(\$[^<>\s]*|aws\.pipes\.[\w.-]+)>")
_PIPE_MEMBERS = {"aws.pipes.pipe-arn": "Arn", "aws.pipes.pipe-name": "Name", "aws.pipes.source-arn": "Source",
                 "aws.pipes.target-arn": "Target", "aws.pipes.enrichment-arn": "Enrichment"}
_EVENT_VARIABLES = {"aws.pipes.event", "aws.pipes.event.json", "aws.pipes.event.ingestion-time"}


class Template:
    """`text` for the events of `pipe`; ValueError for an unknown variable, a wrong path, or an object that is not JSON.

    What the guide leaves open [U]: a value inside quotes is escaped, so that the output stays JSON; a missing one is an
    empty string, as in templates of EventBridge rules; a text that begins with no JSON is free text, filled without quotes.
    """

    def __init__(self, text: str, pipe: dict):
        self._pipe = pipe
        self._parts: list[str | tuple[str, list | None, bool]] = []  # text, or a variable: its name, its steps, in quotes or not
        self._free = not text.lstrip().startswith(("{", "[", '"', "<"))
        position, quoted = 0, False
        for found in _VARIABLE.finditer(text):
            before, position = text[position:found.start()], found.end()
            quoted ^= _quotes(before) % 2 == 1
            self._parts += [before, (found[1], self._steps(found[1]), quoted)]
        self._parts.append(text[position:])
        if text.lstrip().startswith(("{", "[")):
            try:
                json.loads("".join(part if isinstance(part, str) else "" if part[2] else "0" for part in self._parts))
            except ValueError as error:
                raise ValueError(f"it is not valid JSON: {error}") from None

    def body_of(self, event: dict) -> bytes:
        """The Kinesis record's data for `event`."""
        return "".join(part if isinstance(part, str) else self._fill(event, *part) for part in self._parts).encode()

    @staticmethod
    def _steps(variable: str) -> list | None:
        if variable.startswith("$"):
            return parse_path(variable)
        if variable not in _PIPE_MEMBERS.keys() | _EVENT_VARIABLES:
            raise ValueError(f"there is no variable <{variable}>")
        return None

    def _fill(self, event: dict, variable: str, steps: list | None, quoted: bool) -> str:
        if steps is not None:
            value = select(event, steps)
        elif variable in _PIPE_MEMBERS:
            value = self._pipe.get(_PIPE_MEMBERS[variable])
        elif variable == "aws.pipes.event.ingestion-time":
            value = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        else:
            value = body_of(event).decode() if variable == "aws.pipes.event" and quoted else event
        value = "" if value is None else value
        if self._free and isinstance(value, str):
            return value
        filled = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if not quoted:
            return filled
        return filled[1:-1] if isinstance(value, str) else filled.replace('"', "")


def _quotes(text: str) -> int:
    """How many quotes of `text` begin or end a string."""
    return len(re.sub(r"\\.", "", text).split('"')) - 1

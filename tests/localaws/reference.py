"""`python -m tests.localaws.reference`: writes helpers/localaws/README.md from the code and the tests, so that it cannot drift.

What it gathers, and from where:
- operations: the methods of a joint's service class that the API model knows; the model's other operations are refused;
- facts: tests of tests/localaws/ whose docstring begins with a grade. The name is the fact, the first line its source;
- refused: the keys, or first elements, of the tables REFUSED of a joint's test modules;
- unknown: sentences with the mark [U] in docstrings and comments of helpers/localaws/, and facts graded so;
- Trino's functions and operators: `answered()` of test_athena_sql.py, a dict from group to names.
What stands between <!-- bench --> and <!-- /bench --> is `make bench`'s, and is kept. A source that is missing is an error that names it.
"""

import ast
import importlib
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from botocore import xform_name

from helpers.localaws.gateway import CRAWLER_OPERATIONS
from helpers.localaws.joints import JOINTS
from helpers.localaws.roles import new_session
from helpers.localaws.service import Service

ROOT = Path(__file__).resolve().parents[2]
PACKAGE, TESTS = ROOT / "helpers" / "localaws", ROOT / "tests" / "localaws"
README = PACKAGE / "README.md"
BENCH = re.compile(r"<!-- bench -->.*?<!-- /bench -->", re.S)
SHORT = 8  # a longer list is folded

INTRODUCTION = """\
# The local AWS

One AWS of your own on loopback, which any AWS client can use. It needs no account, Docker, Java or network.
[MiniStack](https://pypi.org/project/ministack/) answers for DynamoDB, Kinesis, S3, Lambda, IAM, STS, Glue's catalogue and the rest.
Four services are this package's own, because they have to *move data*: **pipes**, **Firehose**, **crawlers** and **Athena**. They are
called joints here, and reach everything else as AWS's do: through public APIs, with nothing but their roles' rights.

```sh
python -m helpers.localaws start      # where it is; starting it twice gives the same one
eval "$(python -m helpers.localaws env)"   # now any client of this shell reaches it
aws kinesis list-streams
python -m helpers.localaws stop       # what was made in it is kept; `reset` empties it
```

From Python, `helpers.localaws.start()` says where it is (`.endpoint`, `.environment`), and `with LocalAws.temporary() as local:
local.start()` is one on a free port that leaves nothing behind. `status` tells its memory and whether a joint had to be started again,
`logs` why.

**It does not lie.** Every fact below has a test, and a grade: **[C]** confirmed by AWS's documentation, its API models or what people
captured from AWS; **[L]** likely, from third parties' measurements or an inference; **[U]** unknown, and then the page says what was
chosen. What is not supported is refused with an error of AWS's shape that names it. Nothing is accepted and ignored.

**Its clock is scaled.** What AWS waits for takes a twentieth here: a buffer of 60 s is delivered after 3 s. `LOCALAWS_CLOCK_SCALE=1` when
it starts gives AWS's own pace. `LOCALAWS_PORT` (4566) and `LOCALAWS_DIR` choose its port and the folder of its state and log,
`LOCALAWS_NAME` both by a name, for several on one machine.

**Its shards are not limited, unless you ask for it.** AWS throttles what is more than 1,000 records or 1 MiB a second on one shard; here a
shard takes what the machine can. With `LOCALAWS_SHARD_LIMITS=1` when it starts, writes throttle as AWS's do, and with 0.1 at a tenth of
that, for machines that cannot write faster. Reads are never throttled.

**What it is not.** It is one machine, with one account (`000000000000`) unless you sign with another key of 12 digits, and it promises
neither AWS's throughput nor its prices. It listens on loopback only and has not been compared with a real account by the people who
wrote it. State is kept when it is stopped; when it is ended by force, the next start is empty and says so.

## Clients

All of these run in the tests, unchanged, with the variables of `env` and nothing else ([tests/clients](../../tests/clients)):

| client | what the tests do with it |
|---|---|
| boto3 | everything on this page |
| AWS command line | [a walk through the whole pipeline](../../tests/clients/walk.sh): build, use, query, tear down |
| awswrangler | data sets in S3 as tables, the catalogue, Athena in its three ways of reading |
| PyAthena | every cursor, parameters, cancelling, SQLAlchemy, pandas |

One needs a hint: Arrow's own S3 client reads no `AWS_ENDPOINT_URL` (apache/arrow issue 49643), and PyAthena's `ArrowCursor` gives it no
endpoint. Before you use that cursor:
`pyarrow.fs.S3FileSystem = functools.partial(pyarrow.fs.S3FileSystem, endpoint_override=os.environ["AWS_ENDPOINT_URL"])`.

## Speed

"""
NO_BENCH = "<!-- bench -->\n(`make bench` writes its table here.)\n<!-- /bench -->"
FOOTER = """\
---
Written by `make reference` from the code and the tests; a test holds it to them. Source keys such as `EB`, `FH`, `GL`, `AT`, `BC`, `LS`:
EventBridge's, Firehose's, Glue's and Athena's guides, botocore's API models, snapshots recorded from AWS.
"""


@dataclass(frozen=True)
class Section:
    """A part of the page: its heading, where its code is, and which test modules hold its facts (`test_<stem>*.py`)."""

    title: str
    place: str
    stems: tuple[str, ...]
    service: type[Service] | None = None

    @property
    def modules(self) -> list[Path]:
        return sorted(path for stem in self.stems for path in TESTS.glob(f"test_{stem}*.py"))


BY_NAME = {joint.name: joint for joint in JOINTS}
SECTIONS = (
    Section("Pipes", "pipes", ("pipes",), BY_NAME["pipes"]),
    Section("Firehose", "firehose", ("firehose",), BY_NAME["firehose"]),
    Section("Crawlers", "crawler", ("crawler",), BY_NAME["glue"]),
    Section("Athena", "athena", ("athena", "catalogue"), BY_NAME["athena"]),
    Section("Roles, life and the gateway", "", ("roles", "iam", "function_logs", "gateway", "lifecycle", "service", "endurance")),
)
SPELLINGS = {word.lower(): word for word in (
    "AWS IAM STS S3 SQS SNS ARN ARNs JSON CSV SQL DDL CTAS UTC ID IDs API CBOR KMS DynamoDB Firehose Kinesis Glue Athena Lambda Trino "
    "Parquet Grok XML Iceberg MiB KiB GZIP ZIP MD5 DLQ SerDe PassRole CloudWatch ASCII HTTP URI URL Hive Unicode Snappy MiniStack "
    "EventBridge boto3 TTL KB MB GB ISO").split()}


# --- gathering ------------------------------------------------------------------------------------------------------------------
def operations(service: type[Service]) -> tuple[list[str], list[str]]:
    """The operations that the joint answers, and those of its API that it refuses. Of Glue, only crawlers' and classifiers' are its."""
    model = new_session().get_service_model(service.name).operation_names
    answered = [name for name in model if hasattr(service, xform_name(name))]
    own = CRAWLER_OPERATIONS.intersection(model) if service.name == "glue" else model
    return sorted(answered), sorted(set(own) - set(answered))


def facts(path: Path) -> Iterator[tuple[str, str]]:
    """(sentence, grade and source) of each test that has a graded docstring, in the file's order."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            line = (ast.get_docstring(node) or "").partition("\n")[0].strip()
            if re.match(r"\[[CLU]\b", line):
                yield sentence(node.name), line


def sentence(name: str) -> str:
    """`test_a_batch_waits` -> "A batch waits", names of things and possessives spelt as usual."""
    words = " ".join(SPELLINGS.get(word, word) for word in name.removeprefix("test_").split("_"))
    return words[:1].upper() + re.sub(r"(?<=\w) s\b", "'s", words)[1:]


def refused(section: Section) -> list[str]:
    """The features in the REFUSED tables of its test modules."""
    found: list[str] = []
    for path in section.modules:
        table = getattr(importlib.import_module(f"tests.localaws.{path.stem}"), "REFUSED", ())
        # a row is a tuple whose first element is the feature, or one that pytest.param made
        found += table if isinstance(table, dict) else [getattr(row, "values", row)[0] for row in table]
    return found


def marked(place: str) -> Iterator[tuple[str, str]]:
    """(file, sentence) for each sentence with the mark [U] in docstrings and comments of a folder, or of the package's own files."""
    folder = PACKAGE / place
    for path in sorted(folder.rglob("*.py") if place else folder.glob("*.py")):
        for text in prose(path.read_text("utf-8")):
            for paragraph in re.split(r"\n\s*\n|\n\s*(?=- )", text):
                flat = " ".join(paragraph.split())
                for each in re.split(r"(?<=[.!?])(?<!e\.g\.)\s+(?=[A-Z`\"(])", flat):
                    if "[U]" in each:
                        yield path.relative_to(PACKAGE).as_posix(), each[:1].upper() + each[1:]


def prose(source: str) -> Iterator[str]:
    """Every docstring, and every comment, lines of one comment put together."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            yield ast.get_docstring(node) or ""
    block, last = [], -1
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            beside_code = bool(token.line[:token.start[1]].strip())  # and so a comment by itself
            if block and (token.start[0] != last + 1 or beside_code):
                yield "\n".join(block)
                block = []
            block.append(token.string.lstrip("#").strip())
            last = -1 if beside_code else token.start[0]
    yield "\n".join(block)


# --- writing --------------------------------------------------------------------------------------------------------------------
def plain(text: str) -> str:
    """As it stands: nothing in it is markup, except code between backticks."""
    parts = text.replace("``", "`").split("`")
    parts[::2] = [re.sub(r"([*$|])", r"\\\1", part).replace("<", "&lt;") for part in parts[::2]]
    return "`".join(parts)


def bullets(lines: Iterable[str]) -> str:
    return "".join(f"- {line}\n" for line in lines)


def folded(summary: str, lines: list[str]) -> str:
    """A list under its summary; a long one is closed until it is opened."""
    if len(lines) <= SHORT:
        return f"**{summary}**\n\n{bullets(lines)}\n"
    return f"<details><summary><b>{summary}</b></summary>\n\n{bullets(lines)}\n</details>\n\n"


def codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def number(count: int, one: str, more: str = "") -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def section_text(section: Section, problems: list[str]) -> tuple[str, list[int]]:
    """A section, and its row of the overview: how many operations, facts, refused features and unknown things."""
    text, answered, features = f"## {section.title}\n\n", [], []
    if section.service:
        package = importlib.import_module(f"helpers.localaws.{section.place}")
        text += plain((package.__doc__ or "").strip().partition("\n\n")[0].replace("\n", " ")) + "\n\n"
        answered, not_answered = operations(section.service)
        text += f"**{number(len(answered), 'operation')}:** {codes(answered)}.\n\n"
        if section.service.name == "glue":
            text += "The rest of Glue's API is answered by MiniStack.\n\n"
        if not_answered:
            text += (f"<details><summary><b>{number(len(not_answered), 'operation')} refused</b></summary>\n\n"
                     f"{codes(not_answered)}\n\n</details>\n\n")
    known, unknown = [], [f"{plain(said)} ([{file}]({file}))" for file, said in marked(section.place)]
    for path in section.modules:
        found = list(facts(path))
        held = [line(*fact) for fact in found if not fact[1].startswith("[U")]
        unknown += [line(*fact) for fact in found if fact[1].startswith("[U")]
        if held:
            about = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or path.stem
            heading = plain(re.split(r"[.:](?=\s|$)", about)[0])
            known.append((f"[{heading}](../../tests/localaws/{path.name})", held))
    count = sum(len(held) for _, held in known)
    if known:
        text += (f"<details><summary><b>{number(count, 'fact')}, each held by a test</b></summary>\n\n"
                 + "".join(f"{heading}\n\n{bullets(held)}\n" for heading, held in known) + "</details>\n\n")
    else:
        problems.append(f"{section.title}: no test of {', '.join(path.name for path in section.modules) or section.stems} has a docstring "
                        "that begins with a grade, [C] or [L]")
    if section.service:
        features = refused(section)
        if features:
            text += folded(f"{number(len(features), 'feature')} refused by name", [plain(feature) for feature in features])
        else:
            problems.append(f"{section.title}: none of {', '.join(path.name for path in section.modules)} has a table REFUSED")
    if section.place == "athena":
        text += trino_text(problems)
    if unknown:
        text += folded(f"{len(unknown)} unknown on AWS, and what was chosen", unknown)
    return text, [len(answered), count, len(features), len(unknown)]


def line(said: str, source: str) -> str:
    return f"{plain(said)}. <sub>{plain(source)}</sub>"


def overview(rows: list[tuple[str, list[int]]]) -> str:
    """One line a section, each heading a link."""
    def anchor(title: str) -> str:
        return re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")

    lines = [f"| [{title}](#{anchor(title)}) | {' | '.join(str(count or '–') for count in counts)} |" for title, counts in rows]
    return "\n".join(["| | operations | facts | refused | unknown |", "|---|---|---|---|---|", *lines]) + "\n\n"


def trino_text(problems: list[str]) -> str:
    groups = getattr(importlib.import_module("tests.localaws.test_athena_sql"), "answered", dict)()
    if not groups:
        problems.append("Athena: tests/localaws/test_athena_sql.py has no answered(), the functions and operators of Trino that are answered")
        return ""
    return folded(f"{sum(map(len, groups.values()))} functions and operators of Trino, each held by a test",
                  [f"{group}: {codes(names)}" for group, names in groups.items()])


def render(before: str) -> tuple[str, list[str]]:
    """The page, with the bench figures of the page `before`; and what is missing for it."""
    problems: list[str] = []
    bench = BENCH.search(before)
    written = [(section.title, *section_text(section, problems)) for section in SECTIONS]
    rows = overview([(title, counts) for title, _, counts in written])
    sections = "".join(text for _, text, _ in written)
    return f"{INTRODUCTION}{bench[0] if bench else NO_BENCH}\n\n## What is held to AWS\n\n{rows}{sections}{FOOTER}", problems


def main() -> None:
    text, problems = render(README.read_text("utf-8") if README.exists() else "")
    README.write_text(text, "utf-8")
    if problems:
        sys.exit("Missing from the reference:\n" + "\n".join(problems))


if __name__ == "__main__":
    main()

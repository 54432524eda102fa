"""Partition projection: partitions computed from a table's properties instead of registered ones [C, AT/partition-projection]."""

import datetime
import itertools
import re

from .catalog import Partition, partition_name
from .errors import QueryFailure, not_supported

_MOST = 1_000_000  # partitions: a range beyond it is a mistake here, as it is a timeout on AWS
_UNITS = {"years": 0, "months": 0, "weeks": 604_800, "days": 86_400, "hours": 3_600, "minutes": 60, "seconds": 1}
# Java's letters of a date format, and Python's
_FORMATS = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "yy": "%y", "MMM": "%b", "MMMM": "%B", "EEE": "%a"}


def projected(table: dict, now: datetime.datetime) -> list[Partition]:
    """Every partition that the table's properties describe. Registered ones do not count then."""
    properties = {name.lower(): value for name, value in table["Parameters"].items()}
    keys = [key["Name"].lower() for key in table["PartitionKeys"]]
    choices = [_values(key, properties, now) for key in keys]
    count = 1
    for values in choices:
        count *= len(values)
    if count > _MOST:
        raise not_supported(f"a partition projection of more than {_MOST:,} partitions")
    template = properties.get("storage.location.template")
    base = table["StorageDescriptor"]["Location"].rstrip("/")
    found = []
    for values in itertools.product(*choices):
        location = f"{base}/{partition_name(table, list(values))}"
        if template:
            location = re.sub(r"\$\{(\w+)\}", lambda match: dict(zip(keys, values))[match[1].lower()], template)
        found.append(Partition(list(values), location, []))
    return found


def _values(key: str, properties: dict[str, str], now: datetime.datetime) -> list[str]:
    def setting(name: str, default: str | None = None) -> str:
        found = properties.get(f"projection.{key}.{name}", default)
        if found is None:
            raise _bad(f"projection.{key}.{name} is missing")
        return found

    kind = setting("type").strip().lower()
    if kind == "enum":  # white space is part of a value [C, AT/partition-projection-supported-types]
        return setting("values").split(",")
    if kind == "integer":
        low, high = (int(end) for end in setting("range").split(","))
        digits = int(setting("digits", "0"))
        return [f"{number:0{digits}}" for number in range(low, high + 1, int(setting("interval", "1")))]
    if kind == "date":
        return _dates(setting, now)
    raise not_supported(f"partition projection of the type {kind}") if kind == "injected" else _bad(f"projection.{key}.type is {kind}")


def _dates(setting, now: datetime.datetime) -> list[str]:
    form = _python_format(setting("format"))
    ends = [_moment(end.strip(), form, now) for end in setting("range").split(",")]
    # One day or one month where the format is as fine as that; otherwise they must be given [C, AT/partition-projection-supported-types].
    fine = not re.search("%[HMS]", form)
    usual = "days" if fine and "%d" in form else "months" if fine and re.search("%[mbB]", form) else None
    unit = setting("interval.unit", usual).strip().lower()
    step, moment, found = int(setting("interval", usual and "1")), ends[0], []
    while moment <= ends[1] and len(found) <= _MOST:
        found.append(moment.strftime(form))
        moment = _moved(moment, step, unit)
    return list(dict.fromkeys(found))


def _moment(text: str, form: str, now: datetime.datetime) -> datetime.datetime:
    """`2024/01/01` by the format, or `NOW`, `NOW-3YEARS`, `NOW+1MONTH`."""
    relative = re.fullmatch(r"NOW\s*(?:([+-])\s*(\d+)\s*([A-Z]+))?", text.upper())
    if not relative:
        return datetime.datetime.strptime(text, form)
    now = datetime.datetime.strptime(now.strftime(form), form)  # cut to the format's precision
    if not relative[1]:
        return now
    return _moved(now, int(relative[1] + relative[2]), relative[3].lower().rstrip("s") + "s")


def _moved(moment: datetime.datetime, count: int, unit: str) -> datetime.datetime:
    if unit not in _UNITS:
        raise _bad(f"{unit} is no interval unit")
    if _UNITS[unit]:
        return moment + datetime.timedelta(seconds=count * _UNITS[unit])
    months = moment.year * 12 + moment.month - 1 + count * (12 if unit == "years" else 1)
    return moment.replace(year=months // 12, month=months % 12 + 1, day=min(moment.day, 28))


def _python_format(java: str) -> str:
    """A DateTimeFormatter pattern, letters and quoted text."""
    def part(match: re.Match) -> str:
        if match[0][0] == "'":
            return match[0][1:-1] or "'"
        if match[0] not in _FORMATS:
            raise not_supported(f"the date format {java} in a partition projection")
        return _FORMATS[match[0]]

    return re.sub(r"'[^']*'|([A-Za-z])\1*", part, java.replace("%", "%%"))


def _bad(why: str) -> QueryFailure:
    return QueryFailure("INVALID_TABLE_PROPERTY", f"Partition projection: {why}")

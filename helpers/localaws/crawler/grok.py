"""Grok classifiers: a pattern for every line, made of named patterns.

``%{PATTERN}``, ``%{PATTERN:field}`` and ``%{PATTERN:field:type}`` (byte, boolean, double, short, int, long, float); the fields
are the columns, ``string`` where no type is given; a custom pattern is a line of a name and its regular expression. The
SerDe is GrokSerDe. [C] GL/custom-classifier; its parameters ``input.format`` and ``input.grokCustomPatterns`` [C]
AT/grok-serde. The built-in names are those of the guide; their expressions are ours, by their meaning. A pattern is looked for
anywhere in a line, as Grok does [L]. Chosen ([U] on AWS): it recognises a file where it is found in every line of the sample.

An expression that Python's `re` cannot read, or reads otherwise, is refused when the classifier is made.
"""
from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .content import GROK_SERDE, Content, Format, Sample
from .infer import Columns

_TYPES = {"byte": "tinyint", "boolean": "boolean", "double": "double", "short": "smallint", "int": "int", "long": "bigint",
          "float": "float", "string": "string"}
_UNWANTED = "UNWANTED"  # the field that built-in patterns use for what is no column
_LINES = 1000
_REFERENCE = re.compile(r"%\{([^{}:]+)(?::([^{}:]+))?(?::([^{}:]+))?\}")
_NAMED_GROUP = re.compile(r"\(\?<([A-Za-z]\w*)>")
_PATTERNS = dict(line.split(" ", 1) for line in r"""
USERNAME [\w.-]+
USER %{USERNAME}
INT [+-]?\d+
BASE10NUM (?<![\d.+-])[+-]?(?:\d+(?:\.\d+)?|\.\d+)
NUMBER %{BASE10NUM}
BASE16NUM (?<![\dA-Fa-f])[+-]?(?:0x)?[\dA-Fa-f]+
BASE16FLOAT \b(?<![\dA-Fa-f.])[+-]?(?:0x)?(?:[\dA-Fa-f]+(?:\.[\dA-Fa-f]*)?|\.[\dA-Fa-f]+)\b
BOOLEAN (?i:true|false)
POSINT \b[1-9]\d*\b
NONNEGINT \b\d+\b
WORD \b\w+\b
NOTSPACE \S+
SPACE \s*
DATA .*?
GREEDYDATA .*
QUOTEDSTRING (?<!\\)(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)
QS %{QUOTEDSTRING}
UUID [\dA-Fa-f]{8}(?:-[\dA-Fa-f]{4}){3}-[\dA-Fa-f]{12}
CISCOMAC [\dA-Fa-f]{4}(?:\.[\dA-Fa-f]{4}){2}
WINDOWSMAC [\dA-Fa-f]{2}(?:-[\dA-Fa-f]{2}){5}
COMMONMAC [\dA-Fa-f]{2}(?::[\dA-Fa-f]{2}){5}
MAC (?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})
IPV4 (?<!\d)(?:25[0-5]|2[0-4]\d|[01]?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|[01]?\d?\d)){3}(?!\d)
IPV6 (?:(?:[\dA-Fa-f]{1,4}:){7}[\dA-Fa-f]{1,4}|(?=[\dA-Fa-f:]*::)(?:[\dA-Fa-f]{0,4}:){1,7}(?:%{IPV4}|[\dA-Fa-f]{0,4}))(?:%\w+)?
IP (?:%{IPV6}|%{IPV4})
HOSTNAME \b[\dA-Za-z][\w-]{0,62}(?:\.[\dA-Za-z][\w-]{0,62})*(?:\.?|\b)
HOST %{HOSTNAME}
IPORHOST (?:%{HOSTNAME}|%{IP})
HOSTPORT %{IPORHOST}:%{POSINT:PORT}
UNIXPATH (?:/(?:[\w%!$@:.,~-]|\\.)*)+
WINPATH (?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+
PATH (?:%{UNIXPATH}|%{WINPATH})
TTY /dev/(?:pts|tty[pq]?)\w*/?\d+
URIPROTO [A-Za-z]+(?:\+[A-Za-z+]+)?
URIHOST %{IPORHOST}(?::%{POSINT:port})?
URIPATH /[^\s?#"<>]*
URIPARAM \?[^\s"<>]*
URIPATHPARAM %{URIPATH}(?:%{URIPARAM})?
URI %{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?
MONTH \b(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b
MONTHNUM (?:1[0-2]|0?[1-9])
MONTHNUM2 (?:0[1-9]|1[0-2])
MONTHDAY (?:0[1-9]|[12]\d|3[01]|[1-9])
DAY (?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)
YEAR (?>\d\d){1,2}
HOUR (?:2[0-3]|[01]?\d)
MINUTE [0-5]\d
SECOND (?:60|[0-5]?\d)(?:[:.,]\d+)?
TIME (?<!\d)%{HOUR}:%{MINUTE}:%{SECOND}(?!\d)
DATE_US %{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}
DATE_EU %{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}
DATESTAMP_US %{DATE_US}[- ]%{TIME}
DATESTAMP_EU %{DATE_EU}[- ]%{TIME}
ISO8601_TIMEZONE (?:Z|[+-]%{HOUR}:?%{MINUTE})
ISO8601_SECOND %{SECOND}
TIMESTAMP_ISO8601 %{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?
TZ (?:[PMCE][SD]T|UTC)
DATESTAMP_RFC822 %{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}
DATESTAMP_RFC2822 %{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}
DATESTAMP_OTHER %{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}
DATESTAMP_EVENTLOG %{YEAR}%{MONTHNUM2}%{MONTHDAY}%{HOUR}%{MINUTE}%{SECOND}
CISCOTIMESTAMP %{MONTH} %{MONTHDAY} %{TIME}
SYSLOGTIMESTAMP %{MONTH} +%{MONTHDAY} %{TIME}
PROG [\w./%-]+
SYSLOGPROG %{PROG:program}(?:\[%{POSINT:pid}\])?
SYSLOGHOST %{IPORHOST}
SYSLOGFACILITY <%{NONNEGINT:facility}.%{NONNEGINT:priority}>
HTTPDATE %{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}
SYSLOGBASE %{SYSLOGTIMESTAMP:timestamp} (?:%{SYSLOGFACILITY} )?%{SYSLOGHOST:logsource} %{SYSLOGPROG}:
MESSAGESLOG %{SYSLOGBASE} %{DATA}
COMMONAPACHELOG %{IPORHOST:clientip} %{USER:ident} %{USER:auth} \[%{HTTPDATE:timestamp}\] "(?:%{WORD:verb} %{NOTSPACE:request}(?: HTTP/%{NUMBER:httpversion})?|%{DATA:rawrequest})" %{NUMBER:response} (?:%{NUMBER:bytes}|-)
COMBINEDAPACHELOG %{COMMONAPACHELOG} %{QS:referrer} %{QS:agent}
LOGLEVEL (?i:alert|trace|debug|notice|info|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|emerg(?:ency)?)
""".strip().splitlines())  # noqa: E501 - a pattern is one line


def compiled(settings: dict[str, Any]) -> tuple[re.Pattern[str], Columns]:
    """A GrokClassifier's pattern and its columns; ValueError says what in it cannot be read."""
    columns: Columns = {}
    own = dict(line.strip().partition(" ")[::2] for line in settings.get("CustomPatterns", "").splitlines() if line.strip())
    patterns = _PATTERNS | own

    def expanded(pattern: str, within: tuple[str, ...]) -> str:
        def reference(match: re.Match[str]) -> str:
            name, field, type_ = match.groups()
            if name not in patterns:
                raise ValueError(f"the Grok pattern {name} is neither built-in nor custom")
            if name in within:
                raise ValueError(f"the Grok pattern {name} is made of itself")
            if type_ and type_ not in _TYPES:
                raise ValueError(f"the data type {type_} of the field {field} is none of {', '.join(_TYPES)}")
            if field and field != _UNWANTED:
                columns.setdefault(field.strip().lower(), _TYPES[type_ or "string"])
            return f"(?:{expanded(patterns[name], (*within, name))})"

        def group(match: re.Match[str]) -> str:
            columns.setdefault(match[1].lower(), "string")
            return "(?:"

        return _REFERENCE.sub(reference, _NAMED_GROUP.sub(group, pattern))

    regex = expanded(settings["GrokPattern"], ())
    if "%{" in regex or "[[:" in regex or "&&" in regex:
        raise ValueError("the Grok pattern holds %{…}, [[:…:]] or && in a form that is not read")
    try:
        return re.compile(regex), columns
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"the Grok pattern is no regular expression that can be read: {error}") from None


def custom(settings: dict[str, Any]) -> Callable[[Sample], Content | None]:
    """A classifier by the members of a GrokClassifier."""
    pattern, columns = compiled(settings)
    serde = {"input.format": settings["GrokPattern"]}
    if settings.get("CustomPatterns"):
        serde["input.grokCustomPatterns"] = settings["CustomPatterns"]
    form = Format(settings["Classification"], GROK_SERDE, serde)

    def classify(sample: Sample) -> Content | None:
        lines = sample.lines(_LINES)
        if not lines or not columns or not all(map(pattern.search, lines)):
            return None
        return Content(format=form, columns=columns, records=len(lines))

    return classify

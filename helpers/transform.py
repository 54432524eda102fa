"""The Lambda function of the delivery stream: DynamoDB change events in, flat JSON lines out.

Firehose calls `handler` with a batch of records and wants one answer for each, with its recordId unchanged and
one of three results (AWS_FACTS.md part 4):

    Ok                data is one row as JSON and a newline, because Firehose adds none between records
    Dropped           a change that no column would show; it vanishes on purpose
    ProcessingFailed  not a change event we can read; Firehose puts it under the error prefix just as it came

AWS runs this file alone, so it imports nothing but Python's standard library.
"""

import base64
import json
import math
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal

# The columns: in every line the same keys, in this order, each with the same type every time (or null).
FIELDS = ("orderid", "product_name", "quantity", "price",
          "event_name", "event_time", "event_id", "sequence_number", "previous_quantity", "previous_price")


class Unreadable(ValueError):
    """Not a change event of the orders table. Says why without quoting the data: a log is no place for it."""


def handler(event, context):
    """Answer every record of a batch, in order, and log what became of them in one line."""
    answers = [answer(record) for record in event["records"]]
    count = Counter(each["result"] for each in answers)
    print(json.dumps({"ok": count["Ok"], "dropped": count["Dropped"], "failed": count["ProcessingFailed"],
                      "records": len(answers)}))
    return {"records": answers}


def answer(record):
    """The answer to one record. One that cannot be read fails alone, with its data as it came."""
    record_id, data = record["recordId"], record.get("data")
    try:
        row = transform_event(json.loads(base64.b64decode(data, validate=True).decode()))
    except Exception as error:  # whatever it is: an exception that leaves the function fails the whole batch
        reason = str(error) if isinstance(error, Unreadable) else type(error).__name__
        print(json.dumps({"recordId": record_id, "reason": reason}))
        return {"recordId": record_id, "result": "ProcessingFailed", "data": data}
    if row is None:
        return {"recordId": record_id, "result": "Dropped", "data": data}
    line = json.dumps(row) + "\n"
    return {"recordId": record_id, "result": "Ok", "data": base64.b64encode(line.encode()).decode()}


def transform_event(change_event):
    """A change event -> its row, a dict with the keys FIELDS, or None if no column would show the change.

    A REMOVE has nothing but the item as it was, so its row carries those values; previous_quantity and
    previous_price are for a MODIFY alone, and null otherwise. Raises Unreadable.
    """
    if need(change_event, "eventSource", str) != "aws:dynamodb":
        raise Unreadable("eventSource is not aws:dynamodb")
    name = need(change_event, "eventName", str)
    if name not in ("INSERT", "MODIFY", "REMOVE"):
        raise Unreadable("eventName is not INSERT, MODIFY or REMOVE")
    change = need(change_event, "dynamodb", dict)
    item = order(need(change, "OldImage" if name == "REMOVE" else "NewImage", dict))
    previous = order(need(change, "OldImage", dict)) if name == "MODIFY" else {}
    if item == previous:
        return None
    sequence_number = need(change, "SequenceNumber", str)
    if not re.fullmatch("[0-9]{1,38}", sequence_number):  # queries order by it as a number, decimal(38) at most
        raise Unreadable("SequenceNumber is not a number")
    return item | {
        "event_name": name,
        "event_time": utc(need(change, "ApproximateCreationDateTime", (int, float))),
        "event_id": need(change_event, "eventID", str),
        "sequence_number": sequence_number,
        "previous_quantity": previous.get("quantity"),
        "previous_price": previous.get("price"),
    }


def order(image):
    """The four attributes of an item in DynamoDB's JSON, such as {"price": {"N": "499.99"}, ...}."""
    orderid = attribute(image, "orderid", "S")
    if not orderid:
        raise Unreadable("orderid is missing")
    return {"orderid": orderid, "product_name": attribute(image, "product_name", "S"),
            "quantity": number(image, "quantity", int), "price": number(image, "price", float)}


def number(image, name, kind):
    """A number of an item as int or float, None if it has none. A price is a float even when it is 499."""
    written = attribute(image, name, "N")
    if written is None:
        return None
    try:
        exact = Decimal(written)  # an int has to fit the lake's column type, which is int: 32 bits
        fits = math.isfinite(exact) and (kind is float or (abs(exact) < 2**31 and exact == int(exact)))
    except (ArithmeticError, ValueError):
        fits = False
    if not fits:
        raise Unreadable(f"{name} is not a number of its column's type, {kind.__name__}")
    return kind(exact)


def attribute(image, name, kind):
    """What DynamoDB wrote for an attribute of kind "S" or "N": always text. None if absent or NULL."""
    typed = image.get(name, {"NULL": True})
    return None if typed == {"NULL": True} else need(typed, kind, str, f"{name}, DynamoDB type {kind},")


def need(values, key, kind, label=None):
    """values[key], which has to be there and of that Python type; `label` is what an error calls it."""
    found = values.get(key) if isinstance(values, dict) else None
    if not isinstance(found, kind) or isinstance(found, bool):
        raise Unreadable(f"{label or key} is missing or of another type")
    if isinstance(found, str) and re.search("[\ud800-\udfff]", found):  # JSON can spell it, UTF-8 cannot
        raise Unreadable(f"{label or key} holds half a character")
    return found


def utc(seconds):
    """Seconds since 1970 -> "2024-07-30T17:20:48Z"."""
    try:
        return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    except (ValueError, OverflowError, OSError):
        raise Unreadable("ApproximateCreationDateTime is not a time") from None

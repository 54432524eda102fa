"""Checkpoints: facts that a chapter asserts and says in words."""

MARK = "✔"


class CheckFailed(AssertionError):
    """A checkpoint that does not hold; the message says what should have held and what was seen."""


def check(sentence: str, holds: object, seen: object = None) -> None:
    """Say `sentence` if `holds` is true; raise CheckFailed, with what was `seen`, if it is not."""
    if not holds:
        raise CheckFailed(f"does not hold: {sentence}" + ("" if seen is None else f" (seen: {seen})"))
    print(f"{MARK} {sentence}")


def held(cell) -> int:
    """How many lines of what held the outputs of an executed notebook's cell have."""
    return sum(line.startswith(MARK) for output in cell.outputs for line in output.get("text", "").splitlines())

"""A handler's result as JSON, as the managed runtime writes it with another library."""

import json
import os
import sys

# Since Python 3.12 the managed runtime emits UTF-8, before that it escaped.
EXECUTION = os.environ.get("AWS_EXECUTION_ENV", "")
ENSURE_ASCII = EXECUTION in ["AWS_Lambda_python3.%d" % minor for minor in range(6, 12)]


PLAIN = json.JSONEncoder(ensure_ascii=ENSURE_ASCII)
SCALARS = (str, int, float, bool, type(None))


def is_plain(value):
    """Whether the json module writes it as the managed runtime does, which uses another library."""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return kind in SCALARS
    for item in value:
        if type(item) not in SCALARS and not is_plain(item):
            return False
    return True


def marshal(result):
    """The result as JSON bytes."""
    try:
        text = PLAIN.encode(result) if is_plain(result) else marshal_others(result)
    except (TypeError, RecursionError):
        text = marshal_others(result)  # a key that is not plain, or something endless
    return text.encode("utf-8")


def marshal_others(result):
    """Bytes become text, a named tuple an object, and a Decimal a bare number, which the json module cannot write alone."""
    mark = "decimal-" + os.urandom(16).hex() + ":"
    decimal = sys.modules.get("decimal")
    above = set()

    def simple(value):
        if isinstance(value, bytes):
            return value.decode("utf-8")
        if decimal is not None and isinstance(value, decimal.Decimal):
            return float("nan") if value.is_nan() else mark + str(value)
        fields = getattr(value, "_asdict", None)
        if callable(fields):
            return within(value, lambda: simple(fields()))
        if isinstance(value, (list, tuple)):
            return within(value, lambda: [simple(item) for item in value])
        if isinstance(value, dict):
            return within(value, lambda: {key(name): simple(item) for name, item in value.items()})
        return value

    def key(name):
        if isinstance(name, bytes):
            return name.decode("utf-8")
        if not isinstance(name, SCALARS):
            kind = type(name).__name__
            raise TypeError("keys must be str, int, float, bool or None, not " + kind)
        return name

    def within(value, work):
        if id(value) in above:
            raise ValueError("Circular reference detected")
        above.add(id(value))
        done = work()
        above.remove(id(value))
        return done

    text = PLAIN.encode(simple(result))
    if mark in text:
        import re

        text = re.sub('"' + mark + '([^"]*)"', r"\1", text)
    return text

"""Errors as objects and as lines of the log."""

import json
import os
import sys

from stillwire_logs import timestamp
from stillwire_results import ENSURE_ASCII, PLAIN

NBSP = "\u00a0"
HERE = os.path.dirname(__file__)


class Fault(Exception):
    """An error of the runtime itself, with Lambda's name for it."""

    def __init__(self, kind, message, trace=None):
        Exception.__init__(self, message)
        self.kind = kind
        self.trace = trace or []


def error_object(message, kind, trace, request_id):
    return {
        "errorMessage": message or "",
        "errorType": kind or "",
        "requestId": request_id or "",
        "stackTrace": trace or [],
    }


def caught(error, request_id):
    """The error object of an exception, without our own frames."""
    if isinstance(error, Fault):
        return error_object(str(error), error.kind, error.trace, request_id)
    import traceback

    # As tuples: the managed runtime does not mark the place within a line.
    frames = [tuple(frame)[:4] for frame in traceback.extract_tb(error.__traceback__)]
    while frames and os.path.dirname(frames[0][0]) == HERE:
        frames.pop(0)
    return error_object(str(error), type(error).__name__, traceback.format_list(frames), request_id)


def error_bytes(found):
    return PLAIN.encode(found).encode("utf-8", "replace")


def log_error(found):
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        record = {"timestamp": timestamp(), "level": "ERROR"}
        record.update(found)
        sys.stdout.write(json.dumps(record, ensure_ascii=ENSURE_ASCII) + "\n")
    else:
        # One event is one line: carriage returns between, and spaces that nobody trims.
        head = "[ERROR]"
        if found["errorType"]:
            head += " " + found["errorType"]
        if found["errorMessage"]:
            head += (":" if found["errorType"] else "") + " " + found["errorMessage"]
        lines = [head, "Traceback (most recent call last):"]
        for entry in found["stackTrace"]:
            for line in entry.splitlines():
                bare = line.lstrip(" ")
                lines.append(NBSP * (len(line) - len(bare)) + bare)
        sys.stdout.write("\r".join(lines) + "\n")
    sys.stdout.flush()

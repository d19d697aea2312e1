"""Tells the suite what functions got."""

import json
import os


def record(event):
    """Adds an event to the suite's file, as one line."""
    file = os.open(os.environ["EVENTS"], os.O_WRONLY | os.O_APPEND)
    os.write(file, (json.dumps(event) + "\n").encode())
    os.close(file)

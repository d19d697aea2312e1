"""Drives `stillwire connect` in a pseudo terminal, as a person would: PROGRAM URL STATE_DIR."""

import os
import pty
import select
import sys
import termios
import time

PROGRAM, URL, STATE = sys.argv[1:]


class Session:
    def __init__(self):
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            environment = dict(os.environ, STILLWIRE_STATE_DIR=STATE, TERM="xterm", NO_COLOR="1")
            os.execve(PROGRAM, [PROGRAM, "connect", URL], environment)
        self.mode = termios.tcgetattr(self.terminal)
        self.seen = ""

    def expect(self, text):
        """Waits until the terminal shows a text after what was expected before."""
        deadline = time.monotonic() + 20
        while text not in self.seen:
            readable, _, _ = select.select([self.terminal], [], [], deadline - time.monotonic())
            if not readable:
                sys.exit(f"waited in vain for {text!r} in {self.seen!r}")
            try:
                self.seen += os.read(self.terminal, 4096).decode(errors="replace")
            except OSError:
                if text not in self.seen:
                    sys.exit(f"the program ended before {text!r}: {self.seen!r}")
        self.seen = self.seen.split(text, 1)[1]

    def type(self, text):
        os.write(self.terminal, text.encode())

    def end(self):
        _, status = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(status)


session = Session()
session.expect("connected")
session.expect("> ")
session.type('{"from": "ada", "text": "' + "long enough for several lines " * 3 + '"}\r')
session.expect('  "from": "ada",')
session.type("/ping abc\r")
session.expect("pong abc")
session.type("/close 1006\r")
session.expect("no close code that may be sent")
session.type("/nonsense\r")
session.expect("/help lists them")
session.type("/close 4001 bye\r")
session.expect("closed 4001")
assert session.end() == 0

# The next session remembers: the line before the last is two steps up.
session = Session()
session.expect("> ")
session.type("\x1b[A\x1b[A")
session.expect("/nonsense")
session.type("\x15leave\r")  # ^U clears the line; the server closes
session.expect("closed 1000")
assert session.end() == 0
assert termios.tcgetattr(session.terminal)[3] == session.mode[3], "the terminal's mode is as it was"

# ^D leaves.
session = Session()
session.expect("> ")
session.type("\x04")
session.expect("closed 1005")
assert session.end() == 0
print("ok")

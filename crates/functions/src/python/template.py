"""A template process: it loads what the environments of a function have in common, and forks one for each that is wanted.

What is loaded here costs each environment nothing but the pages that it changes. The function's own code is not part of
it, unless the function asks for that (SnapStart): each environment runs that itself, as it would in a process of its own.

It speaks JSON over the socket it inherited, one packet at a time, with the supervisor: orders come with three descriptors
(the runtime socket, output, error), and the new environment itself tells its process id.
"""

import ctypes
import functools
import gc
import json
import os
import select
import socket
import sys
import time

from stillwire_errors import Fault
from stillwire_lessons import Lesson, Stock, learn
from stillwire_sharing import share

# What boto3 brings along; a function may have brought its own copies.
LIBRARIES = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")

MARK = "STILLWIRE_ENVIRONMENT"
PACKET_BYTES_MAX = 160 * 1024
# A template that nobody needs for so long uses the time to learn.
REST_MILLIS = 500
PR_SET_PDEATHSIG, SIGKILL = 1, 9


class Unsound(Exception):
    """Why no environment can be forked from this process."""


def serve(number, settings, load):
    """Loads, then forks until the socket ends.

    Returns in each environment: its runtime socket, the handler if that was loaded, what went wrong in a hook, and what to
    call once the function is loaded.
    """
    control = socket.socket(fileno=number)
    handler, fault = None, None
    stock = Stock()
    try:
        if settings["services"] is not None:
            stock.open(settings["services"])
        check(settings["own"], number)
        if settings["snap_start"]:
            handler = load()
            fault = fault_of_hooks("before_snapshot", "Runtime.BeforeSnapshotError", reversed)
            check([], number)
    except BaseException as error:
        # Where it is the function's fault, an environment of its own will meet it too, and report it as Lambda does.
        problem = str(error) if isinstance(error, Unsound) else "%s: %s" % (type(error).__name__, error)
        tell(control, {"Ready": {"problem": problem}})
        control.recv(1)  # until somebody has heard it
        os._exit(0)
    supervisor = os.getppid()
    # Whatever an environment makes or touches becomes memory of its own: what all of them need is made here.
    die_with_parent = functools.partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    mark = mark_address()
    gc.collect()
    gc.freeze()  # a later collection in an environment leaves shared pages alone
    tell(control, {"Ready": {"problem": None}})
    orders = select.poll()
    orders.register(control, select.POLLIN)
    lesson = Lesson()
    while True:
        if lesson.is_awaited() and not orders.poll(REST_MILLIS):
            note = lesson.look()
            if note is not None:
                learn(note, stock)
                share(is_ours=handler is None)
                stay_sound(settings["own"] if handler is None else [], number)
            continue
        packet, descriptors, _, _ = socket.recv_fds(control, PACKET_BYTES_MAX, 3)
        if not packet:
            os._exit(0)
        order = json.loads(packet)
        try:
            between = os.fork()
        except OSError as error:
            tell(control, failed(order, error))
        else:
            if between == 0:
                try:
                    # The environment becomes an orphan, which makes it the supervisor's child.
                    if os.fork() != 0:
                        os._exit(0)
                    become(control, order, descriptors, mark)
                    while os.getppid() != supervisor:
                        time.sleep(0.0002)
                    die_with_parent()
                    if os.getppid() != supervisor:
                        os._exit(0)
                except Exception as error:
                    tell(control, failed(order, error))
                    os._exit(1)
                fault = fault or fault_of_hooks("after_restore", "Runtime.AfterRestoreError")
                return descriptors[0], handler, fault, lesson.begin(stock)
            os.waitpid(between, 0)
            lesson.is_given()
        for descriptor in descriptors:
            os.close(descriptor)


def failed(order, error):
    return {"Failed": {"id": order["id"], "reason": "cannot fork: %s" % error}}


def tell(control, report):
    try:
        control.send(json.dumps(report).encode())
    except OSError:
        os._exit(0)  # the supervisor is gone


def check(own, control):
    """Only a process with one thread and without connections is the same after a fork."""
    if len(os.listdir("/proc/self/task")) > 1:
        raise Unsound("what it imports starts a thread")
    with open("/proc/self/task/%d/children" % os.getpid()) as children:
        if children.read().strip():
            raise Unsound("what it imports starts a process")
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink("/proc/self/fd/" + name)
        except OSError:
            continue
        if target.startswith("socket:") and int(name) != control:
            raise Unsound("what it imports opens a socket")
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        if name.partition(".")[0] not in LIBRARIES and file.startswith(tuple(own)):
            raise Unsound("a library imports the function's own module %s" % name)


def stay_sound(own, control):
    """The same of one that was ready: where it is not any more, later environments are processes of their own."""
    try:
        check(own, control)
    except Unsound as error:
        print("no more environments are forked from a template: %s" % error, file=sys.stderr, flush=True)
        os._exit(0)


def become(control, order, descriptors, mark):
    """Makes this process the environment that the order describes: by the variables that are its own."""
    os.setpgid(0, 0)
    os.dup2(descriptors[1], 1)
    os.dup2(descriptors[2], 2)
    os.close(descriptors[1])
    os.close(descriptors[2])
    os.environ.update(order["env"])
    if mark:
        value = order["env"][MARK].encode()
        ctypes.memmove(mark, value, len(value))
    if "tempfile" in sys.modules:
        sys.modules["tempfile"].tempdir = None  # the folder of the template, if anybody asked already
    tell(control, {"Forked": {"id": order["id"], "pid": os.getpid()}})
    control.close()


def mark_address():
    """Where the mark is that the kernel reads among a process's first variables: by it the supervisor finds strays."""
    with open("/proc/self/environ", "rb") as environ:
        at = environ.read().find(("%s=" % MARK).encode())
    with open("/proc/self/stat") as stat:
        start = int(stat.read().rpartition(")")[2].split()[47])  # env_start, field 50
    return start + at + len(MARK) + 1 if at >= 0 and start else None


def fault_of_hooks(moment, kind, order=iter):
    """Runs what was to run at this moment; gives what went wrong."""
    hooks = sys.modules.get("snapshot_restore_py")
    if hooks is None:
        return None
    try:
        for function, args, kwargs in order(list(getattr(hooks, "get_" + moment)())):
            function(*args, **kwargs)
    except Exception as error:
        return Fault(kind, "%s: %s" % (type(error).__name__, error))
    return None

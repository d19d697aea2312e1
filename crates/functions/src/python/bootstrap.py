"""The Python side of Stillwire's Runtime API: fetch an event, call the handler, post the result, again.

Runs on every Python from 3.6. It speaks HTTP over a socket it inherited and imports as little as it can, for
what is imported here delays every cold start; its own parts are compiled once for all. Formats follow the managed Python
runtimes of AWS Lambda.
"""

import json
import os
import sys
import time

HERE = os.path.dirname(__file__)
if getattr(sys.flags, "safe_path", False):  # a variable of the function's keeps Python from adding it
    sys.path.insert(0, HERE)
else:
    sys.path[0] = HERE  # under the name that frames tell, and not where links lead

from stillwire_context import TRACE, LambdaContext, constants
from stillwire_errors import Fault, caught, error_bytes, log_error
from stillwire_link import NEXT, Link, post
from stillwire_load import HooksFinder, load
from stillwire_logs import LoggingFinder, State
from stillwire_names import map_hosts
from stillwire_results import marshal


def handle(handler, constant, headers, body):
    """One invocation; gives the request that reports its outcome."""
    request_id = headers["lambda-runtime-aws-request-id"]
    State.request_id = request_id
    TRACE.set(headers.get("lambda-runtime-trace-id"))
    try:
        context = LambdaContext(headers, constant)
        if headers.get("content-type", "application/json") == "application/json":
            try:
                event = json.loads(body.decode("utf-8"))
            except Exception as error:
                raise Fault("Runtime.UnmarshalError", "Unable to unmarshal input: %s" % error)
        else:
            event = body
        result = handler(event, context)
        kind = "application/json"
        if isinstance(result, bytes):
            kind = "application/unknown"
        else:
            try:
                result = marshal(result)
            except Exception as error:
                raise Fault("Runtime.MarshalError", "Unable to marshal response: %s" % error)
        return post("invocation/%s/response" % request_id, result, kind)
    except Exception as error:
        # Not BaseException: sys.exit() in a handler ends the process, as on Lambda.
        found = caught(error, request_id)
        log_error(found)
        return post("invocation/%s/error" % request_id, error_bytes(found))


def wait_for_debugger(port, folder):
    """Loads nothing of the function's until a debugger is there."""
    sys.path.append(folder)
    import debugpy

    debugpy.configure(subProcess=False)
    for attempt in range(100):
        try:
            debugpy.listen(("127.0.0.1", port))
            break
        except (OSError, RuntimeError):
            # The environment before this one may not be gone yet.
            if attempt == 99:
                raise
            time.sleep(0.1)
    print("waiting for a debugger at localhost:%d (debugpy)" % port, flush=True)
    debugpy.wait_for_client()


def main():
    settings = json.loads(sys.argv[1])
    handler_name = os.environ["_HANDLER"]
    # A save within the same second could not be told from the cached bytecode before it.
    sys.dont_write_bytecode = True
    template = os.environ.pop("STILLWIRE_TEMPLATE_FD", None)
    if template is not None:
        from stillwire_template import serve
    # What is loaded is the function's business from here on.
    for name in [name for name in sys.modules if name.startswith("stillwire_")]:
        del sys.modules[name]
    sys.argv = [sys.argv[0], handler_name]
    # In place of the folder of this file.
    sys.path[0:1] = settings["first"]
    sys.path.extend(settings["last"])
    map_hosts(settings["hosts"], settings["aws"])
    sys.meta_path.insert(0, LoggingFinder())
    sys.meta_path.append(HooksFinder())
    debugger = os.environ.pop("STILLWIRE_DEBUGGER", None)
    if debugger is not None:
        port, _, folder = debugger.partition(":")
        wait_for_debugger(int(port), folder)
    handler, fault, loaded = None, None, None
    if template is None:
        number = int(os.environ.pop("STILLWIRE_RUNTIME_FD"))
    else:
        number, handler, fault, loaded = serve(int(template), settings, lambda: load(handler_name))
    link = Link(number)
    try:
        if fault is not None:
            raise fault
        handler = handler or load(handler_name)
    except Exception as error:
        found = caught(error, "")
        log_error(found)
        link.send(post("init/error", error_bytes(found)))
        link.receive()
        sys.exit(1)
    constant = constants()
    link.send(NEXT)
    if loaded is not None:
        loaded()
    while True:
        status, headers, body = link.receive()
        if status != 200:
            raise RuntimeError("the runtime API answered %d: %r" % (status, body))
        # The outcome and the wish for the next event leave in one write.
        link.send(handle(handler, constant, headers, body) + NEXT)
        link.skip()


if __name__ == "__main__":
    main()

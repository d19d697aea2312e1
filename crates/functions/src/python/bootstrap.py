"""The Python side of Stillwire's Runtime API: fetch an event, call the handler, post the result, again.

Runs on every Python from 3.6. It speaks HTTP over a socket it inherited and imports as little as it can, for
what is imported here delays every cold start. Formats follow the managed Python runtimes of AWS Lambda.
"""

import json
import os
import socket
import sys
import time

NBSP = "\u00a0"


class Fault(Exception):
    """An error of the runtime itself, with Lambda's name for it."""

    def __init__(self, kind, message, trace=None):
        Exception.__init__(self, message)
        self.kind = kind
        self.trace = trace or []


# What usual events need. More than 128 KB would be mapped and unmapped for each.
ROOM = 16384
LARGE_ROOM = 262144
# The answer to an outcome, as it nearly always is.
TAKEN = b'HTTP/1.1 202 \r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n{"status":"OK"}\n'


class Link:
    """HTTP over the inherited socket."""

    def __init__(self, number):
        self.socket = socket.socket(fileno=number)
        self.socket.set_inheritable(False)
        self.buffer = b""

    def send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            os._exit(0)

    def more(self, size=ROOM):
        try:
            data = self.socket.recv(size)
        except OSError:
            data = b""
        if not data:  # The daemon is gone: nobody is left to answer.
            os._exit(0)
        return data

    def receive(self):
        data = self.buffer or self.more()
        while True:
            end = data.find(b"\r\n\r\n")
            if end >= 0:
                break
            data += self.more()
        first, *lines = data[:end].decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        begin = end + 4
        end = begin + int(headers.get("content-length", 0))
        if len(data) < end:
            parts = [data]
            have = len(data)
            while have < end:
                parts.append(self.more(LARGE_ROOM))
                have += len(parts[-1])
            data = b"".join(parts)
        self.buffer = data[end:]
        return int(first[9:12]), headers, data[begin:end]

    def skip(self):
        """Passes over an answer of no interest."""
        if not self.buffer:
            self.buffer = self.more()
        if self.buffer.startswith(TAKEN):
            self.buffer = self.buffer[len(TAKEN) :]
        else:
            self.receive()


PREFIX = "/2018-06-01/runtime/"
NEXT = ("GET " + PREFIX + "invocation/next HTTP/1.1\r\nHost: runtime\r\n\r\n").encode()


def post(path, body, kind="application/json"):
    head = "POST %s%s HTTP/1.1\r\nHost: runtime\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    return (head % (PREFIX, path, kind, len(body))).encode() + body


class Attributes(object):
    """Attributes of these names, from an object that was given or without a value, with a readable form."""

    names = ()

    def __init__(self, given):
        for name in self.names:
            setattr(self, name, given.get(name))

    def __repr__(self):
        pairs = ",".join("%s=%s" % (name, getattr(self, name)) for name in self.names)
        return "%s([%s])" % (type(self).__name__, pairs)


class CognitoIdentity(Attributes):
    names = ("cognito_identity_id", "cognito_identity_pool_id")


class Client(Attributes):
    names = (
        "installation_id",
        "app_title",
        "app_version_name",
        "app_version_code",
        "app_package_name",
    )


class ClientContext(Attributes):
    names = ("custom", "env", "client")


class LambdaContext(object):
    """What a handler gets as its second argument."""

    def __init__(self, headers, constant):
        self.__dict__.update(constant)
        self.aws_request_id = headers.get("lambda-runtime-aws-request-id")
        self.invoked_function_arn = headers.get("lambda-runtime-invoked-function-arn")
        self.tenant_id = headers.get("lambda-runtime-aws-tenant-id")
        self._epoch_deadline_time_in_ms = deadline(headers)
        self._w3c, self.client_context = {}, None
        given = parsed(headers.get("lambda-runtime-client-context"), "Client Context")
        if given is not None:
            self._w3c = w3c_of(given)
            self.client_context = ClientContext(given)
            if self.client_context.client is not None:
                self.client_context.client = Client(self.client_context.client)
        self.identity = CognitoIdentity({})
        given = parsed(headers.get("lambda-runtime-cognito-identity"), "Cognito Identity")
        if given is not None:
            self.identity.cognito_identity_id = given.get("cognitoIdentityId")
            self.identity.cognito_identity_pool_id = given.get("cognitoIdentityPoolId")

    def get_remaining_time_in_millis(self):
        return max(self._epoch_deadline_time_in_ms - int(time.time() * 1000), 0)

    def w3c(self):
        """The W3C trace context, as far as the caller gave one."""
        return dict(self._w3c)

    def log(self, message):
        sys.stdout.write(str(message))
        sys.stdout.flush()

    def __repr__(self):
        shown = (
            "aws_request_id",
            "log_group_name",
            "log_stream_name",
            "function_name",
            "memory_limit_in_mb",
            "function_version",
            "invoked_function_arn",
            "client_context",
            "identity",
            "tenant_id",
        )
        return "LambdaContext([%s])" % ",".join("%s=%s" % (n, getattr(self, n)) for n in shown)


def deadline(headers):
    """When the invocation is to be over. An event that was sent ahead tells how long it may take from now."""
    limit = headers.get("stillwire-time-limit-ms")
    if limit is not None:
        return int(time.time() * 1000) + int(limit)
    return int(headers.get("lambda-runtime-deadline-ms") or 0)


class TraceVariable(object):
    """`_X_AMZN_TRACE_ID`: the trace of the invocation, for the handler and for programs that it starts.

    The C library keeps every value that it was ever given to copy, so that one for each invocation would grow without
    end. What it is given by `putenv` is not copied, and ours to free.
    """

    NAME = "_X_AMZN_TRACE_ID"
    # Until then it costs less than 100 KB, and what is imported for `putenv` would cost each cold start 2 ms.
    COPIES_MAX = 500

    def __init__(self):
        self.copies = 0
        self.putenv = None
        self.kept = None

    def set(self, trace):
        if trace:
            if self.copies < self.COPIES_MAX:
                self.copies += 1
                if self.copies == self.COPIES_MAX:
                    self.prepare()
                os.environ[self.NAME] = trace
            else:
                self.lend(trace)
        else:
            os.environ.pop(self.NAME, None)

    def prepare(self):
        try:
            import ctypes

            self.putenv, self.room = ctypes.CDLL(None).putenv, ctypes.create_string_buffer
        except Exception:
            self.copies = float("-inf")  # there is no other way here

    def lend(self, trace):
        environ = os.environ
        name, value = environ.encodekey(self.NAME), environ.encodevalue(trace)
        entry = self.room(name + b"=" + value)
        self.putenv(entry)
        environ._data[name] = value
        self.kept = entry  # the one before is free to go, now that nobody is led to it


TRACE = TraceVariable()


def constants():
    """What is the same in every context of this environment."""
    env = os.environ.get
    return {
        "log_group_name": env("AWS_LAMBDA_LOG_GROUP_NAME"),
        "log_stream_name": env("AWS_LAMBDA_LOG_STREAM_NAME"),
        "function_name": env("AWS_LAMBDA_FUNCTION_NAME"),
        "memory_limit_in_mb": env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"),
        "function_version": env("AWS_LAMBDA_FUNCTION_VERSION"),
    }


def parsed(text, name):
    if not text:
        return None
    try:
        return json.loads(text.encode("latin-1").decode("utf-8"))
    except Exception as error:
        raise Fault(
            "Runtime.LambdaContextUnmarshalError", "Unable to parse %s JSON: %s" % (name, error)
        )


def w3c_of(given):
    """Takes the trace context out of a client context; no handler sees it there."""
    fields = given.pop("w3c", None) if isinstance(given, dict) else None
    if not isinstance(fields, dict):
        return {}
    known = ((name, fields.get(name)) for name in ("traceparent", "tracestate", "baggage"))
    return {name: value for name, value in known if isinstance(value, str)}


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
    while frames and frames[0][0] == __file__:
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


def timestamp():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


class State:
    request_id = ""


class LoggingFinder(object):
    """Sets up the logging module as Lambda does, at the moment somebody imports it."""

    def find_spec(self, name, path=None, target=None):
        if name != "logging":
            return None
        sys.meta_path.remove(self)
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            spec = find(name, path, target) if find else None
            if spec is not None:
                break
        else:
            return None
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)
            set_up_logging(module)

        try:
            spec.loader.exec_module = exec_module
        except AttributeError:
            pass
        return spec


def set_up_logging(logging):
    class Filter(logging.Filter):
        def filter(self, record):
            record.aws_request_id = State.request_id
            return True

    logging.Formatter.converter = time.gmtime

    class JsonFormatter(logging.Formatter):
        plain = set(vars(logging.makeLogRecord({}))) | {"aws_request_id"}
        plain.discard("taskName")

        def format(self, record):
            # Levels between Lambda's are told as the one below.
            record.levelno = min(50, max(0, record.levelno)) // 10 * 10
            record.levelname = logging.getLevelName(record.levelno)
            is_object = isinstance(record.msg, dict) and not record.args
            kind, value, trace = record.exc_info or (None, None, None)
            stack, place = None, None
            if kind:
                import traceback

                stack = traceback.format_list(traceback.extract_tb(trace))
                place = "%s:%s:%d" % (record.pathname, record.funcName, record.lineno)
            entry = {
                "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
                "level": record.levelname,
                "message": record.msg if is_object else record.getMessage(),
                "logger": record.name,
                "stackTrace": stack,
                "errorType": kind and kind.__name__,
                "errorMessage": kind and str(value),
                "requestId": record.aws_request_id,
                "location": place,
            }
            for name, value in vars(record).items():
                if name not in self.plain and name not in entry:
                    entry[name] = value
            entry = {name: value for name, value in entry.items() if value is not None}
            return json.dumps(entry, ensure_ascii=False, default=str) + "\n"

    class Handler(logging.Handler):
        def emit(self, record):
            try:
                sys.stdout.write(self.format(record))
                sys.stdout.flush()
            except Exception:
                self.handleError(record)

    handler = Handler()
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        handler.setFormatter(JsonFormatter())
    else:
        form = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
        handler.setFormatter(logging.Formatter(form, "%Y-%m-%dT%H:%M:%S"))
    handler.addFilter(Filter())
    logging.root.addHandler(handler)
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL")
    if level:
        named = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level.upper(), level.upper())
        try:
            logging.root.setLevel(named)
        except ValueError:
            pass


AWS_DOMAINS = ("amazonaws.com", "amazonaws.com.cn", "api.aws", "amazonaws.eu")


def map_hosts(hosts, aws):
    """Answers name lookups so that no request meant for AWS leaves the machine."""
    table = {name.lower(): (address, port) for name, address, port in hosts}
    exempt = set()
    for name, value in os.environ.items():
        if name.startswith("AWS_ENDPOINT_URL") and "//" in value:
            host = value.split("//", 1)[1].split("/", 1)[0].rsplit("@", 1)[-1]
            exempt.add(host.split(":", 1)[0].lower())

    def mapped(host):
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("ascii", "replace")
        if not isinstance(host, str):
            return None
        host = host.lower().rstrip(".")
        if host in table:
            return table[host]
        wildcard = "*." + host.partition(".")[2]
        if wildcard in table:
            return table[wildcard]
        if host in exempt or not host.endswith(AWS_DOMAINS):
            return None
        for domain in AWS_DOMAINS:
            if host == domain or host.endswith("." + domain):
                return aws
        return None

    getaddrinfo, gethostbyname = socket.getaddrinfo, socket.gethostbyname

    def mapped_getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
        target = mapped(host)
        if target is None:
            return getaddrinfo(host, port, family, type, proto, flags)
        # Whatever family was asked for: the address given is the one that answers. Port 0 leaves the port as it is.
        return getaddrinfo(target[0], target[1] or port, 0, type, proto, 0)

    def mapped_gethostbyname(host):
        target = mapped(host)
        return gethostbyname(host) if target is None else target[0]

    socket.getaddrinfo, socket.gethostbyname = mapped_getaddrinfo, mapped_gethostbyname


def explain(error):
    """Says so where a compiled module is there, but not for this Python or this machine."""
    import glob
    import sysconfig

    here = sysconfig.get_config_var("EXT_SUFFIX") or ""
    for folder in sys.path:
        path = os.path.join(glob.escape(folder), *str(error.name).split("."))
        for file in glob.glob(path + ".cpython-*.so"):
            if not file.endswith(here):
                text = "%s is compiled for another Python or machine; this one loads *%s: install its package for that\n"
                sys.stderr.write(text % (file, here))
                sys.stderr.flush()
                return


def load(handler):
    """Finds the handler, with Lambda's words for each way it cannot be found."""
    try:
        name, attribute = handler.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", "Bad handler '%s': %s" % (handler, error))
    if name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            "Cannot use built-in module %s as a handler module" % name,
        )
    import importlib

    try:
        module = importlib.import_module(name.replace("/", "."))
    except ImportError as error:
        explain(error)
        raise Fault(
            "Runtime.ImportModuleError", "Unable to import module '%s': %s" % (name, error)
        )
    except SyntaxError as error:
        where = '  File "%s" Line %s\n    %s' % (error.filename, error.lineno, error.text)
        raise Fault(
            "Runtime.UserCodeSyntaxError",
            "Syntax error in module '%s': %s" % (name, error),
            [where],
        )
    try:
        return getattr(module, attribute)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", "Handler '%s' missing on module '%s'" % (attribute, name)
        )


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


class Hooks(object):
    """What a function wants to run at a moment: call it to register something, also as a decorator."""

    def __init__(self):
        self.hooks = []

    def __call__(self, function, *args, **kwargs):
        self.hooks.append((function, args, kwargs))
        return function

    def get(self):
        return self.hooks


class HooksFinder(object):
    """Lambda's runtime has `snapshot_restore_py`; where the function does not bring it, this stands in for it."""

    def find_spec(self, name, path=None, target=None):
        if name == "snapshot_restore_py":
            from importlib.machinery import ModuleSpec

            return ModuleSpec(name, self)
        return None

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        for moment in ("before_snapshot", "after_restore"):
            setattr(module, "register_" + moment, Hooks())
            setattr(module, "get_" + moment, getattr(module, "register_" + moment).get)


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

        for name in ("template", "lessons", "sharing"):
            del sys.modules["stillwire_" + name]
    sys.argv = [sys.argv[0], handler_name]
    # The first entry is the folder of this file.
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
            raise Fault("Runtime.AfterRestoreError", "%s: %s" % (type(fault).__name__, fault))
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

"""The logging module as Lambda sets it up: text with tabs, or JSON."""

import json
import os
import sys
import time


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

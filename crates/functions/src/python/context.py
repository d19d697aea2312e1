"""What a handler gets besides the event: the context, and the trace of the invocation."""

import json
import os
import sys
import time

from stillwire_errors import Fault


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

"""The handler, and what it may import that the managed runtime brings along."""

import os
import sys

from stillwire_errors import Fault


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

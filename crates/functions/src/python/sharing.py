"""Keeps the memory of a template shared with what is forked from it.

The kernel shares a page until somebody writes to it. CPython writes where a program only reads, for it counts the references
to an object within the object; and it puts new objects into the room that is left between old ones. Both are ended here.
"""

import ctypes
import gc
import sys
import types

# CPython keeps objects of up to 512 bytes in rows of one size, a multiple of 16, behind a head.
# Source: `Objects/obmalloc.c`, whose pools these are.
ROW_BYTES = 16 * 1024 if sys.version_info >= (3, 10) else 4 * 1024
ROW_HEAD = 48
ROW_SIZES = range(32, 513, 16)
# What is larger comes from the C library, at the end of its heap where no hole fits.
HEAP_SIZES = range(528, 2049, 16)
# More than this of one size have never been wanted; it ends the search where another allocator is in use.
FILLERS_MAX = 50_000
# A bytes object without its contents.
BYTES_HEAD = 33

# By its count, of 32 bits, an object is immortal, and its count is not written any more: by the one that `None` has.
# Source: PEP 683, and `Include/object.h` and `Include/refcount.h` of these versions. Later ones need their own; earlier ones
# count always.
IMMORTAL = sys.getrefcount(None)
IMMORTAL_IN = ((3, 12), (3, 13), (3, 14))
# These end by their count, and what ends with them is to end.
MORTAL = (types.FrameType, types.GeneratorType, types.CoroutineType, types.AsyncGeneratorType)

fillers = []


def share(is_ours):
    """Makes all that is there part of what forks share. What a function made is not `is_ours`: it may look at counts itself."""
    gc.collect()
    if is_ours and can_be_immortal():
        make_immortal()
    fill_rows()
    fill_heap()
    gc.freeze()  # a later collection leaves it alone


def can_be_immortal():
    return (
        sys.implementation.name == "cpython"
        and sys.version_info[:2] in IMMORTAL_IN
        and sys.byteorder == "little"
        and sys.maxsize > 2**32
        and not sys.abiflags  # builds without the lock, or for debugging, count otherwise
    )


def make_immortal():
    """No count of what can be reached is written any more."""
    gc.unfreeze()
    found = gc.get_objects()
    while found:
        # What is immortal was found already, and so was all that it refers to.
        found = [one for one in found if sys.getrefcount(one) < IMMORTAL and not isinstance(one, MORTAL)]
        for one in found:
            ctypes.c_uint32.from_address(id(one)).value = IMMORTAL
        codes = [one for one in found if isinstance(one, types.CodeType)]
        found = gc.get_referents(*found)
        for code in codes:  # which do not tell what they refer to
            found += code.co_consts, code.co_names, code.co_filename, code.co_name, code.co_qualname
            found += code.co_varnames + code.co_freevars + code.co_cellvars


def fill_rows():
    """Fills the rows that have room, so that new objects get pages of their own, one after the other."""
    for size in ROW_SIZES:
        in_a_row, last = 0, 0
        for number in range(FILLERS_MAX):
            filler = bytes(size - BYTES_HEAD) if size > BYTES_HEAD else 1 << 29 | number
            fillers.append(filler)
            in_a_row = in_a_row + 1 if id(filler) == last + size else 1
            last = id(filler)
            if in_a_row >= (ROW_BYTES - ROW_HEAD) // size:
                break  # a row that was empty


def fill_heap():
    """The same for larger objects."""
    end = 0
    for size in HEAP_SIZES:
        for _ in range(FILLERS_MAX):
            filler = bytes(size - BYTES_HEAD)
            fillers.append(filler)
            if id(filler) > end:
                end = id(filler)
                break

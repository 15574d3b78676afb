"""One thread of a process stands still while the others go on, as one does that is stuck in a call: ptrace stops it."""
import contextlib
import ctypes
import os
from pathlib import Path

import pytest

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.restype = ctypes.c_long
_libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
_SEIZE, _INTERRUPT, _DETACH, _WALL = 0x4206, 0x4207, 17, 0x40000000


def _ptrace(request, thread):
    if _libc.ptrace(request, thread, None, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _thread(pid, name):
    return next(int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()
                if (task / "comm").read_text().strip() == name)


@contextlib.contextmanager
def standing_still(pid, name):
    """Within it the thread of this name does nothing. The process may end meanwhile."""
    thread = _thread(pid, name)
    try:
        _ptrace(_SEIZE, thread)
    except PermissionError:
        pytest.skip("this system does not let a test trace its children")
    _ptrace(_INTERRUPT, thread)
    os.waitpid(thread, _WALL)
    try:
        yield
    finally:
        try:
            _ptrace(_DETACH, thread)
        except ProcessLookupError:
            # It was ended with its process, which is not over before its tracer knows.
            with contextlib.suppress(ChildProcessError):
                os.waitpid(thread, _WALL)

"""A wall clock of a process that a test sets as it likes, by a preloaded library (stepclock.c); the monotonic one goes on."""
import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest


class StepClock:
    def __init__(self, directory):
        compiler = shutil.which("cc") or shutil.which("clang")
        if compiler is None:
            pytest.skip("no C compiler here")
        library, file = Path(directory) / "stepclock.so", Path(directory) / "stepclock"
        subprocess.run([compiler, "-O1", "-fPIC", "-shared", "-o", library, Path(__file__).with_suffix(".c")], check=True)
        file.write_bytes(bytes(8))
        with open(file, "r+b") as handle:
            self._page = mmap.mmap(handle.fileno(), 8)
        self.environment = {"LD_PRELOAD": str(library), "STEPCLOCK_FILE": str(file)}

    def set(self, seconds):
        """The process's clock goes so many seconds before ours from now on."""
        self._page[:] = struct.pack("q", seconds)

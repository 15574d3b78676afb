"""Child processes: output in files, gone with the test process, their last words in a failed test's report."""
import ctypes
import os
import signal
import socket
import subprocess
from pathlib import Path

from .paths import BINARY, ROOT
from .waiting import until

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
running = []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A started program; stdout and stderr are files that can be read at any time."""

    def __init__(self, name, arguments, directory, environment=None):
        self.name = name
        self.arguments = [str(argument) for argument in arguments]
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        self.stdout_path = directory / f"{name}.out"
        self.stderr_path = directory / f"{name}.err"
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self.popen = subprocess.Popen(
                self.arguments, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=ROOT,
                env={**os.environ, **(environment or {})}, preexec_fn=_die_with_parent)
        running.append(self)

    @property
    def pid(self):
        return self.popen.pid

    @property
    def alive(self):
        return self.popen.poll() is None

    @property
    def stdout(self):
        return self.stdout_path.read_text(errors="replace")

    @property
    def stderr(self):
        return self.stderr_path.read_text(errors="replace")

    def first_line(self, timeout):
        def line():
            assert self.alive or "\n" in self.stdout, f"{self.name} ended with {self.popen.returncode}\n{self.stderr}"
            return self.stdout.partition("\n")[0] if "\n" in self.stdout else None

        return until(line, timeout, lambda: f"a first line of {self.name}\n{self.stderr[-2000:]}")

    def wait(self, timeout):
        return self.popen.wait(timeout)

    def stop(self, timeout=20):
        """SIGTERM; returns the exit code."""
        if self.alive:
            self.popen.terminate()
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end within {timeout} s of SIGTERM\n{self.stderr[-3000:]}")
        finally:
            self._forget()

    def kill(self):
        """SIGKILL; returns when the process is gone."""
        if self.alive:
            self.popen.kill()
        self.popen.wait()
        self._forget()

    def _forget(self):
        if self in running:
            running.remove(self)


def last_words():
    """The ends of the logs of all processes that still run, for a failed test's report."""
    return [(f"{process.name} ({'running' if process.alive else process.popen.returncode})",
             process.stdout[-1500:] + process.stderr[-6000:]) for process in running]


def command(*arguments, timeout=30, stdin=None, environment=None, text=True):
    """Runs `webhook-bridge ARGUMENTS` to its end; the result carries returncode, stdout and stderr, as text or bytes."""
    assert BINARY.exists(), f"no binary at {BINARY}: run ./dev build"
    return subprocess.run(
        [BINARY, *map(str, arguments)], cwd=ROOT, timeout=timeout, capture_output=True, text=text, input=stdin,
        env={**os.environ, **(environment or {})}, preexec_fn=_die_with_parent)

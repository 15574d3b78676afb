"""Waiting for conditions, never for time."""
import time


def until(condition, timeout, what):
    """Polls until the condition holds and returns its value; `what` (text or a call) says what was awaited."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = what() if callable(what) else what
            raise AssertionError(f"not within {timeout} s: {text}")
        time.sleep(0.02)


def steady(probe, polls=5, interval=0.2):
    """The probe's value once it was the same for that many polls in a row: nothing moves any more."""
    last, same = probe(), 0
    while same < polls:
        time.sleep(interval)
        now = probe()
        last, same = now, same + 1 if now == last else 0
    return last

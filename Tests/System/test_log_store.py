"""The delivery log's file is full, damaged or gone: deliveries and readiness do not care, the bridge says what it did, and the
log is whole again."""
import json
import os
import sqlite3
import subprocess

import pytest

from harness.events import completed_modules
from harness.waiting import until

TOPIC = "learnault.modules"
UNWRITTEN = "the log store cannot be written; trying again every second"
UNOPENED = "the log store cannot be opened; the log API is without data"
UNWANTED = "the log store's disk is full; the damaged file that was put aside is deleted"
DAMAGED = "the log store's file was damaged; it is put aside as .damaged and rebuilt from the topic"


def said(bridge, message):
    return [entry for entry in map(json.loads, bridge.log.splitlines()) if entry["message"] == message]


class Scene:
    """A webhook, its events, and its log."""

    def __init__(self, world):
        self.world = world
        self.bridge = world.bridges[0]
        self.account = world.account()
        self.webhook = self.account.register(world.receiver.url("/hook"), "module.completed")
        self.sent = set()

    def deliver(self, count):
        for identifier, record in completed_modules(self.account.id, count):
            self.world.backend.send(TOPIC, record, tag=identifier)
            self.sent.add(identifier)
        self.world.backend.flush()
        until(lambda: self.world.receiver.accepted_ids("/hook") == self.sent, 20, "all delivered")
        assert self.bridge.is_ready()

    def total(self):
        response = self.account.call("GET", f"/v1/webhooks/{self.webhook['id']}/logs")
        assert response.status_code in (200, 503), response.text
        return response.json()["pagination"]["total"] if response.status_code == 200 else None

    def wait_whole(self):
        until(lambda: self.total() == len(self.sent), 30, lambda: f"{len(self.sent)} in the log, {self.total()} are")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 3 MB."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", place], capture_output=True,
                             text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a full disk needs the right to mount a small one: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def fill(place, name="filler"):
    """Writes a file until there is no byte of room."""
    filler = place / name
    with filler.open("ab", buffering=0) as file:
        for size in (65536, 1):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError:
                    break
    assert os.statvfs(place).f_bavail == 0
    return filler


def test_a_full_disk_costs_the_log_time_and_nothing_else(small_disk, make_world):
    world = make_world(state={"directory": str(small_disk)})
    bridge = world.run()
    scene = Scene(world)
    scene.deliver(5)
    scene.wait_whole()

    filler = fill(small_disk)
    scene.deliver(50)
    until(lambda: said(bridge, UNWRITTEN), 20, "the bridge says so")
    warning = said(bridge, UNWRITTEN)[0]
    assert warning["level"] == "warning" and warning["path"].startswith(str(small_disk)) and warning["fix"]
    assert scene.total() == 5, "what is there can be read"
    assert bridge.is_ready()
    filler.unlink()
    scene.wait_whole()

    # Started on a full disk: the file that is there is kept.
    bridge.stop()
    filler = fill(small_disk)
    before = len(said(bridge, UNWRITTEN) + said(bridge, UNOPENED))
    bridge.run()
    scene.deliver(50)
    until(lambda: len(said(bridge, UNWRITTEN) + said(bridge, UNOPENED)) > before, 20, "the bridge says so")
    filler.unlink()
    scene.wait_whole()
    assert not said(bridge, DAMAGED) and not (small_disk / "attempts.sqlite.damaged").exists()

    # What was put aside for a person to look at goes first.
    fill(small_disk, "attempts.sqlite.damaged")
    scene.deliver(50)
    scene.wait_whole()
    assert said(bridge, UNWANTED) and not (small_disk / "attempts.sqlite.damaged").exists()


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


def overwrite(path):
    """In place, as a disk that fails would."""
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def delete(path):
    path.unlink()


def test_a_damaged_file_is_replaced_and_read_again_while_it_runs(make_world):
    world = make_world()
    bridge = world.run()
    scene = Scene(world)
    path = world.directory / "bridge-state" / "attempts.sqlite"
    scene.deliver(150)
    for damage in [truncate, empty, overwrite, delete]:
        scene.wait_whole()
        # What was written is in the file itself, and no longer in its write-ahead log.
        bridge.stop()
        bridge.run()
        before = len(said(bridge, DAMAGED))
        damage(path)
        scene.deliver(10)
        scene.wait_whole()
        until(lambda: len(said(bridge, DAMAGED)) > before, 10, f"the bridge says so after {damage.__name__}")


def test_a_file_that_does_not_open_holds_no_delivery_up(make_world, tmp_path):
    """As a large file of an earlier version, or a disk that hangs: here somebody has the file locked."""
    world = make_world(state={"directory": str(tmp_path)})
    bridge = world.run()
    scene = Scene(world)
    scene.deliver(3)
    scene.wait_whole()
    bridge.stop()
    holder = sqlite3.connect(tmp_path / "attempts.sqlite", isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    bridge.run()
    scene.deliver(3)
    assert scene.total() is None, "503 while it is not open"
    tested = scene.account.call("POST", f"/v1/webhooks/{scene.webhook['id']}/test", {"wait": True})
    assert tested.status_code == 200, "who waits for an attempt is told"
    scene.sent.add(tested.json()["data"]["eventId"])
    holder.close()
    scene.wait_whole()

"""Fixtures of the system tests: worlds, receivers, and the last words of every process in a failed test's report."""
import pytest

from harness.processes import last_words, running
from harness.receiver import Receiver
from harness.world import World


# Files that take a minute or more, for they wait for rebalances and tiers. They begin first, so that the two processes that
# share the files end together.
LONGEST_FIRST = ["test_cluster", "test_crash_points", "test_mail", "test_retries", "test_lanes", "test_demo", "test_replay_limits",
                 "test_replay", "test_registry", "test_switching", "test_clock", "test_watchdog", "test_log_store",
                 "test_erasure", "test_writes", "test_rotation", "test_openapi", "test_hostile_clients", "test_lost_records"]


def pytest_collection_modifyitems(items):
    places = {name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.failed:
        report.sections += [(f"last words of {name}", text) for name, text in last_words()]
    return report


@pytest.fixture(scope="session", autouse=True)
def nothing_left_running():
    yield
    left = [process.name for process in running if process.alive]
    for process in list(running):
        process.kill()
    assert not left, f"still running at the end: {left}"


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def make_world(tmp_path):
    """Makes worlds for one test: make_world("noida" or "embedded", **settings)."""
    worlds = []

    def make(broker="noida", **settings):
        worlds.append(World(tmp_path / f"world{len(worlds)}", broker, **settings))
        return worlds[-1]

    yield make
    for world in worlds:
        world.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory, request):
    """One noida-db and one running bridge for all tests of a file; a file's WORLD_SETTINGS change its configuration."""
    world = World(tmp_path_factory.mktemp("world"), **getattr(request.module, "WORLD_SETTINGS", {}))
    try:
        world.run()
        yield world
    finally:
        world.close()


@pytest.fixture
def account(world):
    return world.account()

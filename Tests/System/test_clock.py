"""A clock that is set while deliveries wait: waits are counted by the monotonic clock, so the step moves no retry."""
from harness.events import domain_record, event_id
from harness.metrics import PREFIX, Metrics
from harness.stepclock import StepClock
from harness.waiting import until

HOUR = 3600
# Of each retry: its wait in seconds, and where the clock is set to while it waits.
STEPS = [(2, HOUR), (3, -HOUR), (4, 0)]


def held(bridge, tier):
    """Whether a retry of this tier is in the bridge's hands and waits."""
    name = PREFIX + "retries_oldest_due_timestamp_seconds"
    return (name, frozenset({("tier", tier)})) in Metrics(bridge).samples


def test_a_clock_that_is_set_moves_no_retry(make_world, tmp_path):
    clock = StepClock(tmp_path)
    world = make_world("noida", retry={"tiers": [f"{wait}s" for wait, _ in STEPS] + ["5s"] * 5})
    bridge = world.bridge()
    bridge.make_topics()
    bridge.run(environment=clock.environment)
    account = world.account()
    account.register(world.receiver.url("/clock"), "module.completed")
    world.receiver.script("/clock", [500] * len(STEPS) + [200])
    world.backend.put("learnault.modules", domain_record("module.completed", account.id, "clock"))
    for number, (wait, step) in enumerate(STEPS, 1):
        # Its wait begins when it is read: by a clock set between its writing and its reading its due time is another.
        until(lambda: held(bridge, f"{wait}s"), 30,
              lambda: f"attempt {number} and its retry in hand\n{bridge.log[-3000:]}")
        clock.set(step)
        until(lambda: len(world.receiver.at("/clock")) > number, wait + 10,
              lambda: f"retry {number}, the clock set to {step:+d} s\n{bridge.log[-3000:]}")
        before, after = world.receiver.at("/clock")[number - 1:number + 1]
        waited = after.arrived - before.answered
        print(f"{wait} s became {waited:.3f} s with the clock set to {step:+d} s")
        assert wait - 0.002 <= waited <= wait + 5, "the step is an hour; what it is late is the machine's business"
        shown = int(after.headers["webhook-timestamp"]) - after.wall
        assert abs(shown - step) < 2, f"not vacuous: its clock is {shown:+.0f} s off"
    identifier = event_id("learnault.modules", "clock", "module.completed")
    until(lambda: identifier in world.receiver.accepted_ids("/clock"), 10, "the last attempt")

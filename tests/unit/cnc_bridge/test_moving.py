from cnc_bridge.testing.moving import MovingMachine


def test_it_cuts_counts_and_rests() -> None:
    machine = MovingMachine(cycle_s=10, between_s=2, alarm_every=0)
    assert [machine.at(second).execution for second in (0, 1.9, 2.1, 11.9, 12.1)] == [
        "READY", "READY", "ACTIVE", "ACTIVE", "READY",
    ]  # fmt: skip
    assert [machine.at(second).parts for second in (11.9, 12.1, 36.1)] == [0, 1, 3]
    assert {machine.at(tenth / 10).tool for tenth in range(20, 120)} == {1, 5, 7}


def test_an_alarm_stops_it_for_a_while_and_that_cycle_makes_no_part() -> None:
    machine = MovingMachine(cycle_s=10, between_s=2, alarm_every=3, alarm_s=5)
    stopped = machine.at(37)
    assert (stopped.execution, stopped.alarm, stopped.parts) == ("STOPPED", 1042, 2)
    assert (machine.at(41.1).execution, machine.at(41.1).parts) == ("READY", 2)


def test_parts_never_fall() -> None:
    machine = MovingMachine(cycle_s=3, between_s=1, alarm_every=4, alarm_s=2)
    counts = [machine.at(tenth / 10).parts for tenth in range(2000)]
    assert counts == sorted(counts)

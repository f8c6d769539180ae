"""What pages and higher features ask about machines, and the few things that are told about them."""

from central.machines.service.calendar import add_exception, add_maintenance, capacities
from central.machines.service.present import (
    AlarmView,
    CycleView,
    Series,
    SignalView,
    Tile,
    Timeline,
    active_alarms,
    cycles,
    last_cycles,
    samples,
    tile,
    tiles,
    timeline,
    unexpected_stops,
)
from central.machines.service.registry import (
    MachineView,
    add_machine,
    ensure,
    machine,
    machines,
    set_parameters,
)
from central.machines.service.silence import agent_heard, agent_lost, is_silent, mark_silent

__all__ = [
    "AlarmView",
    "CycleView",
    "MachineView",
    "Series",
    "SignalView",
    "Tile",
    "Timeline",
    "active_alarms",
    "add_exception",
    "add_machine",
    "add_maintenance",
    "agent_heard",
    "agent_lost",
    "capacities",
    "cycles",
    "ensure",
    "is_silent",
    "last_cycles",
    "machine",
    "machines",
    "mark_silent",
    "samples",
    "set_parameters",
    "tile",
    "tiles",
    "timeline",
    "unexpected_stops",
]

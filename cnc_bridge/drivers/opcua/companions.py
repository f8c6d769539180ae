"""What the companion specifications name, and which of our signals that is.

OPC 40501-1 Machine Tools 1.02 (MachineToolType), OPC 40001-1 Machinery (item state, operation mode), OPC 40010-1
Robotics (MotionDeviceSystemType). A signal has candidates, best first: a path of browse names below the machine, `*`
for any one name, and the words that its values mean. No standard names the tool in the spindle or the spindle's load.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

MACHINERY = "http://opcfoundation.org/UA/Machinery/"
MACHINE_TOOL = "http://opcfoundation.org/UA/MachineTool/"
ROBOTICS = "http://opcfoundation.org/UA/Robotics/"
MACHINES_FOLDER = 1001
"""Of the Machinery namespace: Objects/Machines."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A node that can carry a signal. `words`: its value as text → MTConnect word; empty: taken as it is."""

    path: str
    words: Mapping[str, str] = field(default_factory=dict)

    def fits(self, path: Sequence[str]) -> bool:
        wanted = self.path.split("/")
        return len(wanted) == len(path) and all(map(fnmatchcase, path, wanted))


@dataclass(frozen=True, slots=True)
class Companion:
    """A machine of a standard type: `namespace` and number of its type, and what is mapped below an instance."""

    name: str
    namespace: str
    type_number: int
    signals: Mapping[str, Sequence[Candidate]]
    messages: str = ""
    """Path of the object that sends its alarms."""
    programmes: Sequence[str] = ()
    """Paths of a FileDirectoryType with CN programmes, best first."""


_PROGRAM_STATES = {
    "Initializing": "READY",
    "Running": "ACTIVE",
    "Ended": "PROGRAM_COMPLETED",
    "Interrupted": "INTERRUPTED",
    "Aborted": "STOPPED",
}
_PROGRAM_NUMBERS = {"0": "READY", "1": "ACTIVE", "2": "PROGRAM_COMPLETED", "3": "INTERRUPTED", "4": "STOPPED"}
_ITEM_STATES = {
    "Executing": "ACTIVE",
    "NotExecuting": "READY",
    "OutOfService": "STOPPED",
    "NotAvailable": "UNAVAILABLE",
}
_ITEM_THERE = {name: "UNAVAILABLE" if name == "NotAvailable" else "AVAILABLE" for name in _ITEM_STATES}
_CHANNEL_STATES = {"0": "ACTIVE", "1": "INTERRUPTED", "2": "READY"}
_OPERATION_MODES = {
    "0": "MANUAL",
    "1": "AUTOMATIC",
    "2": "MANUAL",  # Setup
    "3": "SEMI_AUTOMATIC",
    "4": "MANUAL",  # Service
    "5": "UNAVAILABLE",
}
_ITEM_MODES = {
    "Processing": "PRODUCTION",
    "Setup": "SETUP",
    "Maintenance": "MAINTENANCE",
    "None": "UNAVAILABLE",
}
_MODE_AS_FUNCTION = {"2": "SETUP", "4": "MAINTENANCE"} | dict.fromkeys("0135", "PRODUCTION")
_TASK_STATES = {"Executing": "ACTIVE", "Ready": "READY", "Idle": "READY"}
_ROBOT_MODES = {"0": "UNAVAILABLE", "1": "MANUAL", "2": "MANUAL", "3": "AUTOMATIC", "4": "AUTOMATIC"}

_MONITORED = "Monitoring/MachineTool"
_BLOCKS = "MachineryBuildingBlocks"
_PROGRAM_STATE = "Production/ActiveProgram/State/CurrentState"

MACHINE_TOOL_TYPE = Companion(
    name="MachineToolType (OPC 40501-1)",
    namespace=MACHINE_TOOL,
    type_number=13,
    signals={
        "execution": (
            Candidate(f"{_PROGRAM_STATE}/Number", _PROGRAM_NUMBERS),
            Candidate(_PROGRAM_STATE, _PROGRAM_STATES),
            Candidate("Monitoring/*/ChannelState", _CHANNEL_STATES),
            Candidate(f"{_MONITORED}/MachineryItemState/CurrentState", _ITEM_STATES),
            Candidate(f"{_BLOCKS}/MachineryItemState/CurrentState", _ITEM_STATES),
        ),
        "availability": (
            Candidate(f"{_MONITORED}/MachineryItemState/CurrentState", _ITEM_THERE),
            Candidate(f"{_BLOCKS}/MachineryItemState/CurrentState", _ITEM_THERE),
        ),
        "mode": (Candidate(f"{_MONITORED}/OperationMode", _OPERATION_MODES),),
        "functional_mode": (
            Candidate(f"{_MONITORED}/MachineryOperationMode/CurrentState", _ITEM_MODES),
            Candidate(f"{_BLOCKS}/MachineryOperationMode/CurrentState", _ITEM_MODES),
            Candidate(f"{_MONITORED}/OperationMode", _MODE_AS_FUNCTION),
        ),
        "programme": (Candidate("Production/ActiveProgram/Name"),),
        "part_count": (
            Candidate("Production/Statistics/PartsProducedInLifetime"),
            Candidate(f"{_MONITORED}/OperationCounters/PartsProducedInLifetime"),
            Candidate(f"{_BLOCKS}/OperationCounters/PartsProducedInLifetime"),
        ),
        "feed_override": (Candidate(f"{_MONITORED}/FeedOverride"), Candidate("Monitoring/*/FeedOverride")),
        "spindle_override": (Candidate("Monitoring/*/Override"),),
    },
    messages="Notification/Messages",
    programmes=("FileSystem/WorkMasters", "FileSystem"),
)

ROBOT_TYPE = Companion(
    name="MotionDeviceSystemType (OPC 40010-1)",
    namespace=ROBOTICS,
    type_number=1002,
    signals={
        "execution": (
            Candidate(
                "Controllers/*/TaskControls/*/TaskControlOperation/TaskControlStateMachine/CurrentState", _TASK_STATES
            ),
            Candidate("Controllers/*/SystemOperation/SystemOperationStateMachine/CurrentState", _TASK_STATES),
        ),
        "mode": (Candidate("SafetyStates/*/ParameterSet/OperationalMode", _ROBOT_MODES),),
        "emergency_stop": (
            Candidate("SafetyStates/*/ParameterSet/EmergencyStop", {"true": "TRIGGERED", "false": "ARMED"}),
        ),
        "programme": (Candidate("Controllers/*/TaskControls/*/ParameterSet/TaskProgramName"),),
        "feed_override": (Candidate("MotionDevices/*/ParameterSet/SpeedOverride"),),
    },
    programmes=("Controllers/*/Programs",),
)

COMPANIONS = (MACHINE_TOOL_TYPE, ROBOT_TYPE)

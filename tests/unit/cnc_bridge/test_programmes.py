"""The transfer procedure over a fake at the driver port: what is written, read back, refused, restored."""

from __future__ import annotations

import pytest

from cnc_bridge.model import Value
from cnc_bridge.port import Driver, DriverFaultError, Finding, ProgrammeFile
from cnc_bridge.programmes import Former, Outcome, recover, send, why_not_now
from cnc_bridge.settings import DriverSettings

OLD = b"O1234\nG0 X1\nM30\n"
NEW = b"O1234\nG0 X2\nG1 Z-5 F0.1\nM30\n"
FREE: dict[str, Value] = {"execution": "READY"}


class FakeSettings(DriverSettings):
    @property
    def address(self) -> str:
        return "fake"


class FakeMachine(Driver):
    """A controller's memory, that frames what it gives and takes the frame off; each fault is used up once."""

    def __init__(self, memory: dict[str, bytes] | None = None, *, allow: tuple[str, ...] = ("programme",)) -> None:
        super().__init__(FakeSettings(kind="fake", allow=allow))  # type: ignore[arg-type]  # words of the test
        self.memory = dict(memory or {})
        self.writes: list[bytes] = []
        self.spoil: list[str] = []
        """For each write in turn: ``ok``, ``cut`` (half arrives, the line fails), ``drop`` (a line is lost),
        ``dead`` (nothing arrives).
        """
        self.values: dict[str, Value] = dict(FREE)
        self.starts_after_write = False

    async def _session(self) -> None: ...

    async def probe(self) -> list[Finding]:
        return []

    async def _list_programmes(self) -> list[ProgrammeFile]:
        return [ProgrammeFile(name, len(text)) for name, text in self.memory.items()]

    async def _read_programme(self, name: str) -> bytes:
        if name not in self.memory:
            raise DriverFaultError("no_programme", "none", "Absent.")
        return b"%\r\n" + self.memory[name].replace(b"\n", b"\r\n") + b"%\r\n"

    async def _write_programme(self, name: str, content: bytes) -> None:
        self.writes.append(content)
        fault = self.spoil.pop(0) if self.spoil else "ok"
        if self.starts_after_write:
            self.values = {"execution": "ACTIVE"}
        if fault == "dead":
            raise DriverFaultError("closed", "line lost", "La liaison est coupée.")
        content = content.replace(b"\r\n", b"\n").replace(b"%\n", b"")
        self.memory[name] = content.replace(b"G1 Z-5 F0.1\n", b"") if fault == "drop" else content
        if fault == "cut":
            self.memory[name] = content[: len(content) // 2]
            raise DriverFaultError("closed", "line lost", "La liaison est coupée.")


async def sent(machine: FakeMachine, name: str = "O1234", content: bytes = NEW) -> Outcome:
    return await send(machine, lambda: machine.values, name, content)


async def test_it_is_written_read_back_and_the_same_whatever_the_controller_adds() -> None:
    machine = FakeMachine({"O1234": OLD})
    outcome = await sent(machine)
    assert (outcome.result, outcome.done) == ("sent", True)
    assert machine.memory["O1234"] == NEW
    assert outcome.read == b"%\r\n" + NEW.replace(b"\n", b"\r\n") + b"%\r\n"


async def test_what_is_already_there_is_not_written_again() -> None:
    machine = FakeMachine({"O1234": NEW})
    assert (await sent(machine)).result == "already"
    assert machine.writes == []


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({}, "sans nouvelles"),
        ({"execution": None}, "ne dit pas"),
        ({"mode": "AUTOMATIC"}, "ne dit pas"),
        ({"execution": "ACTIVE"}, "tourne"),
        ({"execution": "INTERRUPTED"}, "suspendu"),
        ({"execution": "FEED_HOLD"}, "suspendu"),
        ({"execution": "OPTIONAL_STOP"}, "suspendu"),
        ({"execution": "PROGRAM_STOPPED"}, "suspendu"),
        ({"execution": "WAIT"}, "suspendu"),
        ({"execution": "READY", "availability": "UNAVAILABLE"}, "éteinte"),
    ],
)
async def test_nothing_is_written_into_a_machine_that_runs_or_is_unknown(values: dict[str, Value], word: str) -> None:
    machine = FakeMachine({"O1234": OLD})
    machine.values = values
    outcome = await sent(machine)
    assert outcome.result == "refused"
    assert word in outcome.message
    assert (machine.writes, machine.memory) == ([], {"O1234": OLD})


@pytest.mark.parametrize("execution", ["READY", "STOPPED", "PROGRAM_COMPLETED"])
def test_a_machine_that_stands_still_takes_it(execution: str) -> None:
    assert why_not_now({"execution": execution}) is None


async def test_a_machine_that_does_not_allow_it_keeps_its_memory() -> None:
    machine = FakeMachine({"O1234": OLD}, allow=("hold",))
    outcome = await sent(machine)
    assert outcome.result == "refused"
    assert "allow" in outcome.message
    assert machine.writes == []


@pytest.mark.parametrize("name", ["../O1234", "", "a/b"])
async def test_a_path_is_no_name(name: str) -> None:
    assert (await sent(FakeMachine(), name)).result == "refused"


@pytest.mark.parametrize("content", [b"", b" \r\n"])
async def test_emptiness_is_not_sent(content: bytes) -> None:
    assert "vide" in (await sent(FakeMachine(), "O1", content)).message


async def test_a_text_that_arrives_otherwise_is_tried_again_then_the_former_is_back() -> None:
    machine = FakeMachine({"O1234": OLD})
    machine.spoil = ["drop", "ok"]
    assert (await sent(machine)).result == "sent"
    machine = FakeMachine({"O1234": OLD})
    machine.spoil = ["drop", "drop"]
    outcome = await sent(machine)
    assert (outcome.result, machine.memory["O1234"]) == ("restored", OLD)
    assert "1 ligne retirée" in outcome.message
    assert "L'ancien texte est remis" in outcome.message


async def test_a_line_cut_in_the_middle_leaves_the_former_text() -> None:
    machine = FakeMachine({"O1234": OLD})
    machine.spoil = ["cut", "cut"]
    outcome = await sent(machine)
    assert (outcome.result, machine.memory["O1234"]) == ("restored", OLD)
    assert "La liaison est coupée." in outcome.message


async def test_a_write_that_never_began_leaves_what_was_there() -> None:
    machine = FakeMachine({"O1234": OLD})
    machine.spoil = ["dead", "dead"]
    outcome = await sent(machine)
    assert outcome.result == "restored"
    assert "intact" in outcome.message
    assert len(machine.writes) == 2, "nothing was restored that was not lost"


async def test_a_half_text_that_cannot_be_taken_back_is_named_a_danger() -> None:
    machine = FakeMachine()
    machine.spoil = ["cut", "cut"]
    outcome = await sent(machine)
    assert outcome.result == "broken"
    assert "Ne pas lancer « O1234 »" in outcome.message
    machine = FakeMachine({"O1234": OLD})
    machine.spoil = ["cut", "cut", "cut"]
    assert (await sent(machine)).result == "broken"


async def test_a_machine_started_during_the_transfer_is_left_alone() -> None:
    machine = FakeMachine({"O1234": OLD})
    machine.spoil, machine.starts_after_write = ["drop"], True
    outcome = await sent(machine)
    assert outcome.result == "broken"
    assert "tourne" in outcome.message
    assert len(machine.writes) == 1


async def test_the_former_text_is_kept_before_the_first_byte() -> None:
    machine = FakeMachine({"O1234": OLD})
    kept: list[tuple[bytes | None, int]] = []

    async def keep(former: Former) -> None:
        kept.append((former.text, len(machine.writes)))

    await send(machine, lambda: machine.values, "O1234", NEW, keep=keep)
    ((text, writes),) = kept
    assert text is not None
    assert (b"X1" in text, writes) == (True, 0)


@pytest.mark.parametrize(
    ("there", "former", "result", "left"),
    [
        (NEW, OLD, "sent", NEW),
        (OLD, OLD, "restored", OLD),
        (NEW[:9], OLD, "restored", OLD),
        (None, OLD, "restored", OLD),
        (None, None, "restored", None),
        (NEW[:9], None, "sent", NEW),
    ],
)
async def test_a_sending_that_was_cut_off_ends_whole(
    there: bytes | None, former: bytes | None, result: str, left: bytes | None
) -> None:
    machine = FakeMachine({} if there is None else {"O1234": there})
    outcome = await recover(machine, lambda: machine.values, "O1234", NEW, Former(former))
    assert outcome is not None
    assert (outcome.result, machine.memory.get("O1234")) == (result, left)


async def test_a_text_of_somebody_s_own_is_not_overwritten_after_a_cut() -> None:
    """A person may have loaded his own programme before the power, and the agent, came back."""
    own = b"O1234\nG0 X77\nM30\n"
    machine = FakeMachine({"O1234": own})
    outcome = await recover(machine, lambda: machine.values, "O1234", NEW, Former(OLD))
    assert outcome is not None
    assert (outcome.result, machine.memory["O1234"], machine.writes) == ("broken", own, [])
    assert "autre texte" in outcome.message


async def test_nothing_is_recovered_while_the_machine_runs() -> None:
    machine = FakeMachine({"O1234": NEW[:9]})
    machine.values = {"execution": "ACTIVE"}
    assert await recover(machine, lambda: machine.values, "O1234", NEW, Former(OLD)) is None
    assert machine.writes == []

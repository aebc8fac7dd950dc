"""A run as a process of its own, which SIGKILL ends at a moment that is asked for."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.helpers.verbs import ROOT

#: The moments, how often each is chosen, and within how many seconds of its sign the kill comes.
MOMENTS = {
    "start": (3, 9.0),
    "steps": (6, 0.3),
    "checkpoint": (5, 0.02),
    "validation": (4, 0.3),
    "report": (4, 3.0),
}


class Run:
    """A run and its output, over as many processes as it takes.

    Args:
        workdir: Its folder.
        settings: The settings by their dotted names.
    """

    def __init__(self, workdir: Path, settings: dict[str, object]):
        self.workdir, self._settings = workdir, settings
        self._command = [sys.executable, str(ROOT / "train.py"), "--config", "folder"]
        self._command += [f"--config.{name}={value}" for name, value in settings.items()]
        self._command += [f"--workdir={workdir}"]
        self._outputs = [workdir.with_suffix(suffix) for suffix in (".out", ".err")]
        self._begin = 0
        self._folders: set[str] = set()

    @property
    def output(self) -> str:
        """Everything that its processes have printed, standard output before errors."""
        return "".join(path.read_text() for path in self._outputs)

    def go_on(self, rng: random.Random | None = None) -> str | None:
        """Start it, or let the same command go on with it.

        Args:
            rng: Draws the moment of the kill; None for none.

        Returns:
            The phase in which it was killed, None if it came to its end.
        """
        moment, times, delay = _draw(rng) if rng else ("", 1, 0.0)
        self._folders = set()
        with self._outputs[0].open("ab") as out, self._outputs[1].open("ab") as err:
            self._begin = out.tell()
            process = subprocess.Popen(
                self._command,
                stdout=out,
                stderr=err,
                start_new_session=True,
                env={**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=1"},
            )
        due = None
        while process.poll() is None:
            count, now = self._signs(moment), time.monotonic()
            if due is None and count >= times:
                due = now + delay
            if due is not None and now >= due:
                os.killpg(process.pid, signal.SIGKILL)
                break
            time.sleep(0.002)
        if process.wait() != -signal.SIGKILL:
            assert process.returncode == 0, self.output
            return None
        return self._phase()

    def _said(self) -> str:
        with self._outputs[0].open("rb") as file:
            file.seek(self._begin)
            return file.read().decode()

    def _writing(self) -> set[str]:
        return {path.name for path in self.workdir.glob("checkpoints/*-tmp*")}

    def _validations(self) -> int:
        steps = re.findall(r"^step (\d+): loss", self._said(), re.MULTILINE)
        return sum(int(step) % int(str(self._settings["eval_every"])) == 0 for step in steps)

    def _at_end(self) -> bool:
        last = self._settings["num_steps"]
        return bool(re.search(rf"step {last}: val mIoU|after step {last}:", self._said()))

    def _signs(self, moment: str) -> int:
        """How often the sign of a moment was seen."""
        if moment == "checkpoint":
            self._folders |= self._writing()
            return len(self._folders)
        if moment == "steps":
            return self._said().count(": loss ")
        if moment == "validation":
            return self._validations()
        return int(moment == "start" or (moment == "report" and self._at_end()))

    def _phase(self) -> str:
        said = self._said()
        if self._at_end():
            return "report"
        if "first step" not in said:
            return "start"
        if self._validations() > said.count("val mIoU"):
            return "validation"
        return "checkpoint" if self._writing() else "steps"


def _draw(rng: random.Random) -> tuple[str, int, float]:
    """A moment, at which of its signs, and how long after it."""
    weights = [weight for weight, _ in MOMENTS.values()]
    moment = rng.choices([*MOMENTS], weights)[0]
    times = {"steps": rng.randint(1, 6), "checkpoint": rng.randint(1, 6)}.get(moment, 1)
    return moment, times, rng.uniform(0, MOMENTS[moment][1])

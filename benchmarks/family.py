"""Memory and processor time of a program and of all that it starts, from Linux's /proc."""

from __future__ import annotations

import os
import threading
from pathlib import Path

_EVERY = 0.25  # seconds
_TICK = os.sysconf("SC_CLK_TCK")


class Family(threading.Thread):
    """Watches while it is entered; a process shorter than a quarter of a second may be missed.

    Attributes:
        mib: process -> largest resident memory in MiB.
        seconds: process -> processor time, user and system.
        commands: process -> its command line.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._over = threading.Event()
        self.mib: dict[int, float] = {}
        self.seconds: dict[int, float] = {}
        self.commands: dict[int, str] = {}

    def __enter__(self) -> Family:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Look until the end, and then once more."""
        while not self._over.wait(_EVERY):
            self._look()
        self._look()

    def _look(self) -> None:
        stats = _stats()
        found = {os.getpid()}
        while more := {pid for pid, f in stats.items() if int(f[1]) in found} - found:
            found |= more
        for pid in found & stats.keys():
            self.seconds[pid] = (int(stats[pid][11]) + int(stats[pid][12])) / _TICK
            try:
                status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:  # it has ended
                continue
            for line in status.splitlines():
                if line.startswith("VmHWM:"):
                    self.mib[pid] = int(line.split()[1]) / 1024
                    self.commands[pid] = command.replace(b"\0", b" ").decode("utf-8", "replace")


def _stats() -> dict[int, list[str]]:
    """Process -> its fields in /proc/PID/stat from the state on: state, parent, and so on."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended
            continue
        stats[int(path.parent.name)] = text.rpartition(")")[2].split()  # the name holds anything
    return stats

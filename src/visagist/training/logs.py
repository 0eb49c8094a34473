"""What a training reports while it runs: JSON lines, and TensorBoard where it is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from visagist.errors import MissingExtraError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

LOG, BOARD = "log.jsonl", "tensorboard"


class Log:
    """Lines of ``log.jsonl``, one for each report, flushed at once; used as a context.

    Args:
        folder: of the run; only process 0 should have a log.
        start: step that the run goes on from; lines after it are dropped.
        tensorboard: write the same numbers for TensorBoard, too.

    Raises:
        MissingExtraError: ``tensorboard`` is wished for and not installed.
    """

    def __init__(self, folder: Path, start: int, *, tensorboard: bool) -> None:
        self.path = folder / LOG
        self._start, self._folder = start, folder
        self._stream: TextIO | None = None
        self._board: SummaryWriter | None = None
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415
            except ImportError as error:
                raise MissingExtraError(
                    "loop.tensorboard needs TensorBoard: pip install 'visagist[tensorboard]'"
                ) from error
            self._board = SummaryWriter(str(folder / BOARD), purge_step=start + 1)

    def __enter__(self) -> Log:
        trim(self.path, self._start)
        self._stream = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._stream is not None:
            self._stream.close()
        if self._board is not None:
            self._board.close()

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """One report."""
        if self._stream is None:
            raise ValueError("the log is not open")
        line = {"step": step, **{k: round(v, 6) for k, v in numbers.items()}}
        self._stream.write(json.dumps(line) + "\n")
        self._stream.flush()
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(name, value, step)


def trim(path: Path, step: int) -> None:
    """Drop lines after ``step``: the steps behind them are about to be run again."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _step_of(line) <= step]
    path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


def _step_of(line: str) -> int:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return 1 << 62  # a torn last line is dropped

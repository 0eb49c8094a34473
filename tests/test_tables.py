"""Every number in the docs is the one in the committed results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_tables_in_the_docs_are_those_of_the_results():
    script = ROOT / "benchmarks" / "tables.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def test_a_changed_number_is_noticed(tmp_path):
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        import tables
    finally:
        sys.path.remove(str(ROOT / "benchmarks"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert tables.filled(text) == text
    stale = text.replace("| upright | ", "| upright | 1", 1)
    assert stale != text
    assert tables.filled(stale) == text

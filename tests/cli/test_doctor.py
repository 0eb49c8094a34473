from __future__ import annotations

import pytest

from visagist.deploy import doctor


def test_the_verb(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_SECONDS_EACH", 0.0)
    told = run("doctor", "--json")
    assert told.code == (1 if told.json["problems"] else 0)
    ran = run("doctor")
    assert ran.code == told.code
    assert "onnxruntime" in ran.out
    assert ("no problem found" in ran.out) == (not told.json["problems"])
    assert ran.out.count("problem: ") == len(told.json["problems"])

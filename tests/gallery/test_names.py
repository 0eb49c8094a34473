from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visagist.errors import InputError
from visagist.gallery.names import MAX_NAME, normal_name, normal_note, same_name


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Ada Lovelace", "Ada Lovelace"),
        ("  Ada \u00a0  Lovelace ", "Ada Lovelace"),
        ("Zoe\u0308", "Zo\u00eb"),  # composed
        ("O'Brien-Smith, Jr.", "O'Brien-Smith, Jr."),
        ("\u0645\u0647\u200c\u0646\u0627\u0632", "\u0645\u0647\u200c\u0646\u0627\u0632"),
        ("\u738b\u5c0f\u660e", "\u738b\u5c0f\u660e"),
        ("x" * MAX_NAME, "x" * MAX_NAME),
    ],
)
def test_names_that_people_have(given_name, kept):
    assert normal_name(given_name) == kept


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "needs a name"),
        (" \u3000 ", "needs a name"),
        ("Ada\x00", "control"),
        ("Ada\x1b[31mRoot", "control"),
        ("two\nlines", "control"),
        ("Ada\u202egnp", "invisible"),  # right-to-left override
        ("Ada\u2066x", "invisible"),
        ("A\u200bda", "invisible"),  # zero-width space
        ("\u200dAda", "invisible"),  # a joiner that joins nothing
        ("\ufeffAda", "invisible"),
        ("line\u2028break", "line break"),
        ("\ud800", "half a character"),
        ("\ue000", "without a meaning"),
        ("\uffff", "does not exist"),
        ("../../etc/passwd", "path"),
        ("a\\b", "path"),
        ("..", "path"),
        ("x" * (MAX_NAME + 1), "201 characters"),
        ("x" * 10**6, "1000000 characters"),
    ],
)
def test_names_that_are_refused(text, why):
    with pytest.raises(InputError, match=why) as caught:
        normal_name(text)
    assert str(caught.value).isascii()  # what was refused cannot play tricks in the message
    assert len(str(caught.value)) < 200


@given(st.text(max_size=30))
def test_a_normal_name_is_normal_and_shows_as_it_is(text):
    try:
        name = normal_name(text)
    except InputError:
        return
    assert normal_name(name) == name
    assert unicodedata.is_normalized("NFC", name)
    assert not {unicodedata.category(c) for c in name} & {"Cc", "Cs", "Zl", "Zp"}
    assert same_name(name) == same_name(name.upper().lower().upper()) or not name.isascii()


def test_spellings_of_one_name():
    assert same_name("ADA") == same_name("ada") == same_name("\uff21da")
    assert same_name("Stra\u00dfe") == same_name("STRASSE")
    assert same_name("Ada") != same_name("Ida")


def test_notes():
    assert normal_note(" form 12,\nsigned ") == "form 12,\nsigned"
    with pytest.raises(InputError, match="consent"):
        normal_note("  ")
    with pytest.raises(InputError, match="control"):
        normal_note("a\x07")
    with pytest.raises(InputError, match="2001 characters"):
        normal_note("x" * 2001)

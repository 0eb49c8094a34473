"""Names of people: one spelling for one person, and nothing that deceives a terminal or a path."""

from __future__ import annotations

import unicodedata

from visagist.errors import InputError

__all__ = ["MAX_NAME", "MAX_NOTE", "normal_name", "normal_note", "same_name"]

MAX_NAME = 200
"""Characters of a name."""
MAX_NOTE = 2000
"""Characters of a consent note."""

# Joiners change how letters meet in Persian and in Indic scripts, and are part of names there.
_JOINERS = {"\u200c", "\u200d"}
_REFUSED = {
    "Cc": "a control character",
    "Cf": "an invisible formatting character, which can make it read as another name",
    "Cs": "half a character",
    "Co": "a character without a meaning of its own",
    "Cn": "a character that does not exist",
    "Zl": "a line break",
    "Zp": "a line break",
}
_JOINED = {"L", "M"}  # categories that a joiner may stand between


def normal_name(text: str) -> str:
    """A name in NFC, with single spaces and none around it.

    Raises:
        InputError: empty, too long, or with characters that a name does not have.
    """
    # before normalising, which is slow on a text made for it
    if len(text) > 4 * MAX_NAME:
        raise _too_long(len(text))
    name = unicodedata.normalize("NFC", text)
    _refuse_characters(name, "the name")
    name = " ".join(name.split())
    if not name:
        raise InputError("a person needs a name")
    if len(name) > MAX_NAME:
        raise _too_long(len(name))
    if "/" in name or "\\" in name or not name.strip("."):
        raise InputError(f"the name {name!a} reads like a path; leave out slashes")
    return name


def same_name(name: str) -> bytes:
    """What two spellings of one name have in common: width, ligatures and case do not count."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).encode()


def normal_note(text: str) -> str:
    """A consent note in NFC; line breaks are allowed.

    Raises:
        InputError: empty, too long, or with control characters.
    """
    if len(text) > MAX_NOTE:
        raise InputError(f"the consent note has {len(text)} characters; {MAX_NOTE} are allowed")
    note = unicodedata.normalize("NFC", text).strip()
    if not note:
        raise InputError(
            "a person is enrolled with their consent: say what was agreed and where that is on "
            "record, such as 'signed form of 2026-11-03'"
        )
    _refuse_characters(note.replace("\n", " "), "the consent note")
    return note


def _refuse_characters(text: str, what: str) -> None:
    for i, character in enumerate(text):
        why = _REFUSED.get(unicodedata.category(character))
        if why is None or (character in _JOINERS and _between_letters(text, i)):
            continue
        raise InputError(f"{what} {text[:40]!a} has {why} (U+{ord(character):04X}); leave it out")


def _between_letters(text: str, i: int) -> bool:
    around = text[i - 1 : i] + text[i + 1 : i + 2]
    return len(around) == 2 and all(unicodedata.category(c)[0] in _JOINED for c in around)


def _too_long(length: int) -> InputError:
    return InputError(f"the name has {length} characters; {MAX_NAME} are allowed")

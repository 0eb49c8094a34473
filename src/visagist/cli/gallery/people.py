"""``visagist gallery list``, ``change`` and ``remove``: who is enrolled, and for how long."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from visagist.cli.gallery.shared import Key, Place, opened_gallery, parse_date, person_fields
from visagist.cli.output import Json, print_json, table
from visagist.errors import InputError

__all__ = ["change", "list_people", "remove"]


def list_people(gallery: Place, key: Key = None, as_json: Json = False) -> None:
    """Who is enrolled, with what they agreed to and until when."""
    with opened_gallery(gallery, key) as opened:
        people = [person_fields(person) for person in opened.people()]
        document = {"gallery": opened.place, "model_id": opened.model_id, "people": people}
    if as_json:
        print_json(document)
        return
    head = ("name", "pictures", "kept", "enrolled", "until", "", "consent")
    rows = [
        (
            p["name"],
            str(p["templates"]),
            str(p["crops"]),
            p["enrolled"][:10],
            p["retain_until"] or "no end",
            "expired" if p["expired"] else "outdated" if not p["templates"] else "",
            p["consent"].replace("\n", " ")[:60],
        )
        for p in people
    ]
    table([head, *rows] if rows else [("nobody is enrolled",)])


def change(
    gallery: Place,
    name: Annotated[str, typer.Argument(help="Name or id.")],
    key: Key = None,
    consent: Annotated[str | None, typer.Option(help="The new note.")] = None,
    retain_until: Annotated[
        str | None, typer.Option(metavar="DATE|DAYS|never", help="The new last day.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give a person another consent note or another last day."""
    if consent is None and retain_until is None:
        raise InputError("say what to change: --consent, --retain-until or both")
    until = {} if retain_until is None else {"retain_until": parse_date(retain_until)}
    with opened_gallery(gallery, key) as opened:
        person = person_fields(opened.change(name, consent=consent, **until))
    if as_json:
        print_json(person)
    else:
        print(f"{person['name']}: until {person['retain_until'] or 'no end'}; {person['consent']}")


def remove(
    gallery: Place,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Names or ids.")
    ] = None,
    key: Key = None,
    expired: Annotated[
        bool, typer.Option("--expired", help="Everybody whose last day has passed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete people with their vectors and pictures, from the file's pages, too."""
    if bool(names) == expired:
        raise InputError("say who is to be removed: names, or --expired")
    with opened_gallery(gallery, key) as opened:
        for name in names or []:
            opened.person(name)  # an unknown name is told before anybody is removed
        removals = [opened.remove_expired()] if expired else [opened.remove(n) for n in names or []]
    document = {
        "removed": [id for removal in removals for id in removal.people],
        "templates": sum(removal.templates for removal in removals),
        "crops": sum(removal.crops for removal in removals),
        "purged": all(removal.purged for removal in removals),
    }
    if as_json:
        print_json(document)
    else:
        count = len(document["removed"])  # type: ignore[arg-type]
        print(
            f"removed {count} {'person' if count == 1 else 'people'}, {document['templates']} "
            f"vectors and {document['crops']} pictures"
        )
    if not document["purged"]:
        print(
            "visagist: deleted, but traces stay in the file beside the gallery, since another "
            "program is reading it or the disk is full; afterwards run: gallery remove --expired",
            file=sys.stderr,
        )

"""The pictures of the documentation, docs/images: `make screenshots` walks a site with made-up data and takes them anew.

`make screenshots ALL=1` takes every page instead, all of tests/e2e/pages.py and what other browser tests come upon, at
both widths, in light and dark, into build/screenshots: for looking at.
"""

import json
import os
import random
import re
import struct
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import cycle, product
from pathlib import Path
from urllib.parse import urlsplit

import django
import pytest
from django.test import override_settings
from playwright.sync_api import expect

from tests.e2e.browser import DESK, Desk, browsing, signed_in
from tests.e2e.conftest import ROOT, Site, _sites, wait_until
from tests.e2e.mapping import (
    add_offer,
    connect_dynamics,
    lead_comes,
    new_row,
    publish,
    row,
    send_to,
    works_here,
)
from tests.fakes.dynamics365 import FakeDynamics365

IMAGES = ROOT / "docs" / "images"
MOST_PIXELS = 1100  # of height
MOST_BYTES = 1_000_000  # of all pictures together
LOOKING = re.compile(r"\b(examine|for_everybody)\(")
NO_MAIL = "smtp://127.0.0.1:9"  # nothing happens that anybody would be told of
OWN = "correct horse battery staple"
PEOPLE = (
    ("Amélie", "Dubois", "Proseware", "+33 1 70 18 99 00", "FR"),
    ("Noah", "Smith", "Tailspin Toys", "+44 20 7946 0000", "GB"),
    ("Jane", "Doe", "Fabrikam", "(425) 555-0134", "US"),
)
OFFERS = (("Contoso Analytics", "analytics"), ("Contoso Migration", "migration"))
A_DAY = ((0, 1, 1, 2), (0, 0, 1, 1), (0, 0, 0, 1))  # leads of each offer
FIRST_NAMES = ("Ana", "Ben", "Chiara", "Dmitri", "Elif", "Farid", "Grace", "Hugo")
LAST_NAMES = ("Silva", "Okafor", "Rossi", "Novak", "Tanaka", "Jensen", "Moreau")
COMPANIES = (
    ("Fabrikam", "US"),
    ("Litware", "DE"),
    ("Proseware", "FR"),
    ("Tailspin Toys", "GB"),
    ("Wingtip", "SE"),
)
DID = (
    ("AppSource", "PLT", "Can you show us a restore of 400 mailboxes?"),
    ("AppSource", "PLT", "What does it cost for 80 people?"),
    ("AzureMarketplace", "INS", ""),
    ("AzureMarketplace", "INS", "utm_source=spring24"),
    ("TestDrive", "StartTestDrive", ""),
)


@contextmanager
def _desk() -> Iterator[tuple[Desk, Site, FakeDynamics365]]:
    with (
        FakeDynamics365() as crm,
        _sites() as start,
        browsing() as browser,
        tempfile.TemporaryDirectory() as spool,
    ):
        site = start(
            ALLOW_PRIVATE_DESTINATIONS="true",
            PUBLIC_URL="https://leads.contoso.example",
            EMAIL_URL=NO_MAIL,
            SPOOL_DIR=spool,
        )
        with signed_in(browser, site) as desk:
            yield desk, site, crm


def take(desk: Desk, name: str, *, until: int = MOST_PIXELS) -> None:
    """A picture of the page as wide as a desk's screen, down to the end of what it says or `until` pixels of it."""
    desk.page.set_viewport_size({"width": DESK[0], "height": 400})  # so that no page is stretched to its end
    box = desk.main.bounding_box()
    assert box
    height = min(int(box["y"] + box["height"]), until)
    seen = desk.page.screenshot(
        full_page=True,
        clip={"x": 0, "y": 0, "width": DESK[0], "height": height},
        caret="initial",  # what hides it is an inline style, which our policy refuses
    )
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.png").write_bytes(smaller(seen))
    desk.page.set_viewport_size({"width": DESK[0], "height": DESK[1]})


def smaller(png: bytes) -> bytes:
    """The same picture, packed as tightly as PNG can: a browser packs in a hurry."""
    chunks, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        chunks.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    pixels = zlib.decompress(b"".join(data for kind, data in chunks if kind == b"IDAT"))
    kept = [(kind, data) for kind, data in chunks if kind in (b"IHDR", b"PLTE", b"tRNS")]
    kept += [(b"IDAT", zlib.compress(pixels, 9)), (b"IEND", b"")]
    return png[:8] + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in kept
    )


def walk(desk: Desk, site: Site, crm: FakeDynamics365) -> None:
    """Map an offer to Dynamics 365, as docs/mapping.md tells it."""
    desk.press("Choose your own")
    for label, password in (
        ("Old password:", site.password),
        ("New password:", OWN),
        ("New password confirmation:", OWN),
    ):
        desk.page.get_by_label(label, exact=True).fill(password)
    desk.press("Change my password")
    desk.go("Users", "admin")
    desk.page.get_by_label("Email address").fill("admin@contoso.example")
    desk.press("Save")
    connect_dynamics(desk, crm)
    take(desk, "connection", until=740)
    url = site.base_url + urlsplit(add_offer(desk, "Contoso Backup", "backup")).path
    for first, last, company, phone, country in PEOPLE:
        lead_comes(url, first, LastName=last, Company=company, Phone=phone, Country=country, Title="Buyer")
    send_to(desk, "Contoso Backup", "Dynamics 365")
    desk.press("Override Country/Region")
    country_row = row(desk, "Country/Region")
    country_row.get_by_label("How").select_option("Value list")
    country_row.get_by_label("To, for US").fill("United States")
    country_row.get_by_label("To, for GB").fill("United Kingdom")
    expect(country_row).to_contain_text("United States")
    new_row(desk, "Rating").get_by_label("How").select_option("Fixed value")
    desk.page.get_by_label("Fixed value").last.fill("Hot")
    desk.press("Preview")
    take(desk, "mapping")
    desk.press("Publish…")
    desk.page.get_by_label("What changed, and why").fill("First version: countries in full")
    works_here(desk)
    take(desk, "publish")
    desk.press("Publish")
    desk.press("Send the 3 waiting")
    desk.go("Leads", "Jane Doe")
    desk.reads_soon("In Dynamics 365 since")
    take(desk, "lead")
    a_month(desk, site, url)
    desk.open("Home")
    desk.reads_soon("everything sent")
    take(desk, "home", until=560)
    desk.open("Leads")
    take(desk, "inbox", until=900)


def a_month(desk: Desk, site: Site, url: str) -> None:
    """Two more offers, and leads of the last 30 days: they come in as those do that came while the database was away."""
    desk.go("Demo CRM", "Remove all demo data")
    desk.press("Remove all demo data")
    urls = {"backup": url}
    for title, offer in OFFERS:
        urls[offer] = add_offer(desk, title, offer)
        send_to(desk, title, "Dynamics 365")
        publish(desk)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    from tests.e2e.earlier import came_earlier  # which needs Django

    chance, now = random.Random(30), datetime.now(UTC)
    names = cycle(product(LAST_NAMES, FIRST_NAMES))
    waiting = Path(site.settings["SPOOL_DIR"])
    with override_settings(SPOOL_DIR=waiting):
        for day, ((offer, to), a_day) in product(range(29, -1, -1), zip(urls.items(), A_DAY, strict=True)):
            for _ in range(chance.choice(a_day)):
                last, first = next(names)
                at = now - timedelta(days=day, minutes=chance.randint(20, 500))
                came_earlier(to, _body(offer, first, last, *chance.choice(DID)), at)
    wait_until(lambda: not any(waiting.glob("*.lead")), what="the last lead")


def _body(offer: str, first: str, last: str, source: str, action: str, said: str) -> bytes:
    company, country = COMPANIES[len(first + last) % len(COMPANIES)]
    person = {"FirstName": first, "LastName": last, "Email": f"{first}.{last}@example.com".lower()}
    person |= {"Company": company, "Country": country, "Title": "IT manager"}
    listing = {"LeadSource": f"{source}-{action}|contoso.{offer}", "ActionCode": action, "Description": said}
    return json.dumps({"UserDetails": person, **listing}).encode()


def every_page() -> int:
    """Every browser test that examines pages: each keeps a picture of whatever it examines."""
    directory = ROOT / "build" / "screenshots"
    directory.mkdir(parents=True, exist_ok=True)
    os.environ["SCREENSHOTS"] = str(directory)
    tests = [
        path for path in (ROOT / "tests" / "e2e").glob("test_*.py") if LOOKING.search(path.read_text("utf-8"))
    ]
    status = pytest.main([*map(str, tests), "-q", "--maxfail=1000"])
    print(f"{len(list(directory.glob('*.png')))} pictures in {directory}")  # noqa: T201
    return int(status)


def main() -> None:
    if sys.argv[1:] == ["all"]:
        sys.exit(every_page())
    with _desk() as (desk, site, crm):
        walk(desk, site, crm)
    sizes = {path.name: path.stat().st_size for path in sorted(IMAGES.glob("*.png"))}
    for name, size in sizes.items():
        print(f"{size / 1000:7.0f} kB  docs/images/{name}")  # noqa: T201
    assert sum(sizes.values()) < MOST_BYTES, "too large to be kept with the source"


if __name__ == "__main__":
    main()

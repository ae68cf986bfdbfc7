"""The drill with hostile bodies: many of them, several at a time, while a few senders dawdle.

    python -m tests.drills.hostile --bodies 20000 --seed 1

Prints a summary and exits 1 if anything did not hold: a status that is not documented, an answer after more than a
second on a quiet machine, a lead that was acknowledged and is not stored, memory that grows, a traceback.
"""

import argparse
import json
import random
import socket
import sys
import threading
from contextlib import closing
from itertools import count
from urllib.parse import urlsplit

from tests.e2e.conftest import Site, _sites
from tests.e2e.hostile import PATIENCE, attack

WARM_UP = 2_000  # bodies
MOST_GROWTH = 64.0  # MB of one process
DAWDLERS = 4


def dawdle(site: Site, path: str, stopping: threading.Event, problems: list[str]) -> None:
    """Send one lead after the other, a byte at a time."""
    for number in count():
        body = b'{"LeadSource": "slow %d %d"}' % (threading.get_ident(), number)
        with closing(socket.create_connection(("127.0.0.1", site.port), timeout=PATIENCE)) as link:
            link.sendall(b"POST %s HTTP/1.1\r\nHost: a\r\n" % path.encode())
            link.sendall(b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body))
            for byte in body:
                link.sendall(bytes([byte]))
                stopping.wait(0.05)
            answer = link.recv(65536)
        if b" 201 " not in answer[:20]:
            problems.append(f"a slow sender got {answer[:60]!r}")
        if stopping.is_set():
            return


def other_offer(site: Site) -> str:
    """The path of the URL of an offer that is not attacked."""
    offer = {"publisher_id": "contoso", "offer_id": "slow", "title": "Slow"}
    applied = site.manage("config", "apply", "-", input=json.dumps({"offers": [offer]}))
    return urlsplit(json.loads(applied.stdout)["offers"][0]["endpoint_url"]).path


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bodies", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    chosen = parser.parse_args(arguments)
    with _sites() as start:
        site = start(INTAKE_RATE=1_000_000)
        path = other_offer(site)
        stopping, problems = threading.Event(), list[str]()
        slow = [
            threading.Thread(target=dawdle, args=(site, path, stopping, problems)) for _ in range(DAWDLERS)
        ]
        for sender in slow:
            sender.start()
        warm_up = min(WARM_UP, chosen.bodies // 2)
        report = attack(site, chosen.seed, chosen.bodies, warm_up=warm_up, most_growth=MOST_GROWTH)
        stopping.set()
        for sender in slow:
            sender.join()
    report.problems += problems
    print(report)  # noqa: T201
    return 1 if report.problems else 0


if __name__ == "__main__":
    sys.exit(main())

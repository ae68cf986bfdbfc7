"""`make bench`: measures, prints a table, writes build/bench.json. Exits 0 whenever every row was measured."""

import argparse
import json
import sys

from tests.benchmarks import adapters, clients, delivery, inbox, ingest, latency, preview
from tests.benchmarks.rows import ROOT, Row

BENCHES = (
    ingest.BENCHES
    | latency.BENCHES
    | delivery.BENCHES
    | adapters.BENCHES
    | clients.BENCHES
    | preview.BENCHES
    | inbox.BENCHES
)


def table(rows: list[Row]) -> str:
    lines = [f"{'name':<42}{'value':>12} {'unit':<6}{'reference':>12}{'ratio':>8}  {'target':<18}holds"]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        reference = "" if row.reference is None else f"{row.reference:.1f}"
        holds = {True: "yes", False: "NO", None: ""}[row.holds]
        lines.append(
            f"{row.name:<42}{row.value:>12.1f} {row.unit:<6}{reference:>12}{ratio:>8}  {row.target:<18}{holds}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PREFIX")
    only = parser.parse_args().only
    chosen = [bench for name, bench in BENCHES.items() if name.startswith(only)]
    if not chosen:
        sys.exit(f"No benchmark starts with {only!r}. There are: {', '.join(BENCHES)}")
    rows = [row for bench in chosen for row in bench()]
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(json.dumps([row.as_dict() for row in rows], indent=2) + "\n")
    print(table(rows))  # noqa: T201


if __name__ == "__main__":
    main()

"""What is wrong with this installation, and how to mend it."""

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from leadsite.doctor import Check, Finding, Level, Scene, examine, summary


class Command(BaseCommand):
    help = "Say what is wrong, each with its exact fix. Exits with 1 if anything is; warnings do not count."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="For a program: one JSON document.")
        parser.add_argument(
            "--offline", action="store_true", help="Ask neither the public address nor the mail server."
        )

    def handle(self, *args: Any, offline: bool, **options: Any) -> None:
        found = examine(Scene(), lambda check: not (offline and check.asks_network))
        levels = self._as_json(found) if options["json"] else self._as_text(found)
        if levels[Level.WRONG]:
            sys.exit(1)

    def _as_json(self, found: Any) -> Counter[Level]:
        rows = [(check, finding) for check, finding in found]
        levels = Counter(finding.level for _, finding in rows)
        findings = [
            {
                "name": check.name,
                "label": str(check.label),
                "level": str(finding.level),
                "sentence": finding.sentence,
                "fix": finding.fix,
            }
            for check, finding in rows
        ]
        document = {"version": settings.VERSION, "ok": not levels[Level.WRONG], "findings": findings}
        self.stdout.write(json.dumps(document, ensure_ascii=False, indent=2))
        return levels

    def _as_text(self, found: Any) -> Counter[Level]:
        levels: Counter[Level] = Counter()
        for check, finding in found:
            levels[finding.level] += 1
            self._write(check, finding)
        self.stdout.write("")
        self.stdout.write(summary(levels))
        return levels

    def _write(self, check: Check, finding: Finding) -> None:
        style = {
            Level.OK: self.style.SUCCESS,
            Level.WARNING: self.style.WARNING,
            Level.WRONG: self.style.ERROR,
        }[finding.level]
        word = {Level.OK: "ok", Level.WARNING: "warning", Level.WRONG: "WRONG"}[finding.level]
        self.stdout.write(f"{style(f'{word:<8}')} {check.label}: {finding.sentence}")
        if finding.fix:
            self.stdout.write(f"{'':<8} Fix: {finding.fix}")
        self.stdout.flush()  # the network takes seconds: what is known is shown meanwhile

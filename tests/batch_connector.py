"""A kind of CRM with a batch call, which no CRM that ships has: for benchmarks of such a call.

A site knows it when it is started with DJANGO_SETTINGS_MODULE=tests.benchmarks.settings.
"""

from collections.abc import Sequence
from types import MappingProxyType

from django.apps import AppConfig

from crm_sync import connectors
from crm_sync.connectors.base import Connector, Item, Record, Request
from crm_sync.http import Response
from crm_sync.outcomes import Delivered, Outcome
from crm_sync.spec import Setting, Spec
from tests.stub_crm import BATCH

SLUG = "stub_batch"


class BatchConnector(Connector):
    """Sends up to a hundred leads in one call."""

    spec = Spec(
        slug=SLUG,
        label="Batches",
        settings=(Setting("url", "Address", kind="url"),),
        fields=(),
        idempotent_by="The key is the record's own.",
        batch_size=BATCH,
        any_field=True,
        every_value=True,
    )

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        return [self._call([Item(record, key, retry=False)])]

    def send_many(self, items: Sequence[Item]) -> Sequence[Outcome]:
        said = _said(self.call(self._call(items), write=True))
        return [
            Delivered(remote_id=item.key, existed=existed) for item, existed in zip(items, said, strict=True)
        ]

    def delivered(self, response: Response, *, key: str) -> Delivered:
        [existed] = _said(response)
        return Delivered(remote_id=key, existed=existed)

    def examine(self) -> Sequence[str]:
        self.http.request("HEAD", self.settings["url"])
        return ("It answers.",)

    def _call(self, items: Sequence[Item]) -> Request:
        body = {"leads": [{"key": item.key, "data": dict(item.record)} for item in items]}
        return Request("POST", self.settings["url"], {"content-type": "application/json"}, body)


def _said(response: Response) -> list[bool]:
    """Of each lead, whether its key was known."""
    return [one["existed"] for one in response.json_object()["leads"]]


class BatchConfig(AppConfig):
    """Adds it to the kinds of CRM there are."""

    name = "tests.batch_connector"

    def ready(self) -> None:
        connectors.REGISTRY = MappingProxyType({**connectors.REGISTRY, SLUG: BatchConnector})

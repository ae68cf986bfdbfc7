"""Azure Table storage, and the Table API of Cosmos DB: one row a lead, inserted once.

REST: https://learn.microsoft.com/rest/api/storageservices/insert-entity, 2026-11.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from crm_sync.connectors.answers import Said
from crm_sync.connectors.azure_table import account
from crm_sync.connectors.azure_table.declared import SPEC, TABLE_NAME, TEXT_MOST
from crm_sync.connectors.azure_table.errors import ERRORS, read
from crm_sync.connectors.base import Connector, Record, Request, Stopped
from crm_sync.connectors.values import cut, length
from crm_sync.http import Response, Unreadable
from crm_sync.outcomes import Delivered, DestinationFault, Outcome, Rejected
from leads.texts import gettext as _

if TYPE_CHECKING:
    from azure.data.tables import TableClient

_CUSTOMER = ("FirstName", "LastName", "Title", "Company", "Email", "Phone", "Country")
_COLUMN = re.compile(r"(?!(RowKey|Timestamp)$)[^\W\d]\w{0,254}")
_NOT_IN_KEYS = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
_TABLE = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
# Said only where the signature is right.
_MAY_NOT_READ = ("AuthorizationPermissionMismatch", "AuthorizationResourceTypeMismatch")
_OF_THE_MOMENT = frozenset({"authorization", "date", "x-ms-date"})


class AzureTableConnector(Connector):
    """Inserts a row under the lead's day and the delivery's key; a second insert of that pair is refused by Azure."""

    spec = SPEC
    errors = ERRORS

    @classmethod
    def clean(cls, settings: Mapping[str, str]) -> dict[str, str]:
        """One of the two credentials, whole, and allowed to add to this table."""
        if problem := account.problem(settings):
            return problem
        table = settings.get("table") or TABLE_NAME
        if (named := account.sas(settings).get("tn", table)).casefold() != table.casefold():
            return {
                "table": _(
                    "The SAS is for the table “{named}”: enter that name, or make another SAS."
                ).format(named=named)
            }
        if not _TABLE.fullmatch(table) and ".cosmos." not in settings.get("connection_string", ""):
            return {"table": _("A table's name has 3 to 63 letters and digits, and begins with a letter.")}
        return {}

    def expires_on(self) -> date | None:
        """The end of the SAS; None for an account key, or where a stored access policy sets it."""
        end = account.end(self.settings)
        return end.date() if end else None

    def requests(self, record: Record, *, key: str) -> Sequence[Request]:
        """One insert, without the time and the signature of its moment."""
        insert = self._insert(record, key)
        headers = {name: value for name, value in insert.headers.items() if name not in _OF_THE_MOMENT}
        return [replace(insert, headers=headers)]

    def send(self, record: Record, *, key: str, retry: bool) -> Outcome:
        """Insert the row. A repeat is the same insert, which Azure then refuses."""
        return self.delivered(self.call(self._insert(record, key), write=True, key=key), key=key)

    def delivered(self, response: Response, *, key: str) -> Delivered:
        """201 or 204; anything else that succeeds was not said by a table."""
        if response.status not in (201, 204):
            raise Unreadable(
                _("The answer (HTTP {status}) is not that of an Azure table.").format(status=response.status),
                sent=True,
            )
        return Delivered(remote_id=key)

    def explain(self, response: Response) -> Said:
        """Azure's code and words, from JSON or XML; and that the SAS has ended, which Azure does not say."""
        code, words = read(response)
        end = account.end(self.settings)
        if end and end < self.now() and response.status == 403:
            words = f"The SAS ended on {end.date()}. {words}"  # by which the error table knows it
        return Said(code, words)

    def examine(self) -> Sequence[str]:
        """Ask the table for no rows. Adding is not tried: the credential tells whether it may, or the first lead."""
        request = self._signed(
            lambda table: next(
                table.query_entities(
                    "PartitionKey eq ''", select="PartitionKey", results_per_page=1
                ).by_page()
            )
        )
        response = self.exchange(request, write=False)
        where, table = urlsplit(request.url).hostname, self.settings["table"]
        may = account.may(self.settings)
        if response.status == 403 and self.explain(response).code in _MAY_NOT_READ:
            unseen = _(
                "It may not read, so whether there is a table {table} shows with the first lead."
            ).format(table=table)
            return (f"{_('{host} accepts the SAS.').format(host=where)} {unseen}", may)
        self.accepted(response, write=False)
        try:
            rows = response.json_object().get("value")
        except Unreadable:
            rows = None
        if not isinstance(rows, list):
            said = _(
                "{host} answers, but not as an Azure table does (HTTP {status}): check the address."
            ).format(host=where, status=response.status)
            raise Stopped(DestinationFault(said))
        return (_("The table {table} at {host} can be read.").format(table=table, host=where), may)

    # --- What is sent

    def _insert(self, record: Record, key: str) -> Request:
        row = self._row(self.fit(record, key=key), key)
        return self._signed(
            lambda table: table.create_entity(row, response_preference="return-no-content", request_id=key)
        )

    def _row(self, values: dict[str, Any], key: str) -> dict[str, Any]:
        for name in values:
            if not _COLUMN.fullmatch(name):
                rule = _(
                    "Azure takes letters, digits and underscores, and has RowKey and Timestamp for itself."
                )
                raise Stopped(
                    Rejected(
                        _("“{name}” cannot be a column: {rule}").format(name=name, rule=rule), field=name
                    )
                )
        day = _partition(str(values.pop("PartitionKey", "")), self.settings["partition_format"])
        values.setdefault("CustomerInfo", _customer_info(values))
        return {"PartitionKey": day, "RowKey": key, **values}

    def _signed(self, ask: "Callable[[TableClient], object]") -> Request:
        """The request by which the SDK would do what `ask` asks of it. Raises Stopped where it can make none."""
        try:
            client = self.remembered(("client",), lambda: (account.table_client(self.settings), None))
        except ValueError as error:
            raise Stopped(
                DestinationFault(self.masked(_("The credentials cannot work. {error}").format(error=error)))
            ) from None
        return account.signed(client, ask)


# --- The row --------------------------------------------------------------------------------------


def _partition(text: str, form: str) -> str:
    """The UTC day of a time, in that form; another text with Microsoft's spelling (:2F) of what no key may hold."""
    try:
        moment = datetime.fromisoformat(text)
        day = (moment.astimezone(UTC) if moment.tzinfo else moment).date()
    except (ValueError, OverflowError):
        return _NOT_IN_KEYS.sub(lambda found: f":{ord(found[0]):02X}", text) or "undated"
    return f"{day.month}:2F{day.day}:2F{day.year}" if form == "microsoft" else day.isoformat()


def _customer_info(values: Mapping[str, Any]) -> str:
    """Microsoft's own JSON of the customer, as one text. All seven are there, so that a flow can parse it."""
    customer = {name: values.get(name, "") for name in _CUSTOMER}
    most = TEXT_MOST
    while length(text := json.dumps(customer, ensure_ascii=False), "utf-16") > TEXT_MOST:
        most //= 2
        customer = {name: cut(str(value), most, "utf-16") for name, value in customer.items()}
    return text

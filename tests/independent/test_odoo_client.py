"""Odoo S.A.'s own client, `odoo-client-lib`, works against our fake Odoo unchanged, and reads what our connector wrote.

The fake itself was written beside Odoo 19.0, whose answers are kept in `tests/exchanges/odoo`.
"""

from collections.abc import Iterator

import odoolib
import pytest

from crm_sync.connectors.odoo import OdooConnector
from crm_sync.outcomes import Delivered
from tests.connectors.laws import connecting, push
from tests.fakes.odoo import BOT_KEY, EXPIRED_KEY, FakeOdoo

pytestmark = pytest.mark.usefixtures("trusting_fakes")
PROTOCOLS = pytest.mark.parametrize(("protocol", "version"), [("json2", (19, 0)), ("jsonrpc", (17, 0))])
LOAD = {"mode": "update", "noupdate": True, "lang": "en_US"}


@pytest.fixture
def crm(version: tuple[int, int]) -> Iterator[FakeOdoo]:
    with FakeOdoo(version=version) as crm:
        yield crm


def client(crm: FakeOdoo, protocol: str, key: str = BOT_KEY) -> object:
    return odoolib.get_connection(
        "127.0.0.1", protocol, crm.port, database="contoso", login="bot@contoso.example", password=key
    )


@PROTOCOLS
def test_odoos_own_client_signs_in_and_loads_a_lead_once(crm: FakeOdoo, protocol: str) -> None:
    connection = client(crm, protocol)
    connection.check_login()
    leads = connection.get_model("crm.lead")
    row = ["__leadsite__.lead_1", "Contoso Backup: Ada", "ada@fabrikam.example"]
    for _ in range(2):
        loaded = leads.load(fields=["id", "name", "email_from"], data=[row], context=LOAD)
        assert loaded == {"ids": [1], "messages": [], "nextrow": 0}
    assert leads.fields_get(attributes=["type"])["country_id"] == {"type": "many2one"}
    assert connection.get_model("res.country").name_search(name="CA", operator="=") == [[38, "Canada"]]


@PROTOCOLS
def test_odoos_own_client_reads_what_our_connector_wrote(crm: FakeOdoo, protocol: str) -> None:
    settings = {"url": crm.url, "database": "contoso", "username": "bot@contoso.example", "api_key": BOT_KEY}
    with connecting(OdooConnector, settings) as connect:
        record = {"name": "Contoso Backup: Ada", "email_from": "ada@fabrikam.example", "country_id": "CA"}
        assert isinstance(push(connect, record), Delivered)
    leads = client(crm, protocol).get_model("crm.lead")
    (found,) = leads.search_read(domain=[["email_normalized", "=", "ada@fabrikam.example"]], fields=["name"])
    assert found == {"id": 1, "name": "Contoso Backup: Ada"}


@PROTOCOLS
def test_odoos_own_client_is_refused_as_ours_is(crm: FakeOdoo, protocol: str) -> None:
    leads = client(crm, protocol).get_model("crm.lead")
    with pytest.raises(Exception, match="Invalid field name 'colour'"):
        leads.load(fields=["id", "colour"], data=[["x", "red"]])
    expired = client(crm, protocol, EXPIRED_KEY)
    if protocol == "json2":
        assert not expired.check_login()
    else:
        with pytest.raises(odoolib.tools.AuthenticationError):
            expired.check_login()

"""The admin's pages on where leads go, a module each, and what they add to the pages of leads and offers."""

from crm_sync import alerts, by_hand
from crm_sync.admin import (
    demo,
    destinations,
    map_it,
    new_offers,
    on_home,
    on_leads,
    on_offers,
    replay_jobs,
    routes,
    sending_leads,
    sendings,
    ways,
)
from leads.ports import Ports

__all__ = ["demo", "destinations", "plug_in", "routes", "sendings"]


def plug_in(ports: Ports) -> None:
    """Register what pages of leads and offers show about sending."""
    ports.lead_panels.append(on_leads.lead_panel)
    ports.lead_records.append(on_leads.records)
    ports.lead_columns.append(on_leads.SendingColumn())
    ports.export_columns.append(on_leads.SendingExport())
    ports.became_tests.append(by_hand.take_back)
    ports.lead_filters.append(on_leads.SendingFilter)
    ports.lead_actions += [sending_leads.send_leads, on_leads.retry_leads]
    ports.timeline.append(on_leads.timeline)
    ports.offer_columns.append(on_offers.SendsToColumn())
    ports.offer_panels.append(on_offers.offer_panel)
    ports.offers_added.append(new_offers.connect)
    ports.ways.append(ways.ways)
    ports.post_to_ourselves.append(ways.post_to_ourselves)
    ports.map_links.append(map_it.map_links)
    ports.mapped_values.append(map_it.mapped_values)
    ports.notices.append(alerts.notices)
    ports.connections.append(on_home.connections)
    ports.all_sent.append(on_home.all_sent)
    ports.times_to_crm.append(on_home.times_to_crm)
    ports.job_kinds |= replay_jobs.KINDS

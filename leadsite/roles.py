"""The four groups that a new installation has, and what each may do."""

_VIEW_LEADS = (
    "leads.view_lead",
    "leads.view_submission",
    "leads.view_offer",
    "leads.view_customer",
    "leads.view_note",
)
_VIEW_SENDING = (
    "crm_sync.view_delivery",
    "crm_sync.view_attempt",
    "crm_sync.view_destination",
    "crm_sync.view_route",
    "crm_sync.view_mappingversion",
    "crm_sync.view_fieldrule",
    "crm_sync.view_demorecord",
)
_SALES = (
    *_VIEW_LEADS,
    "leads.change_lead",
    "leads.add_note",
    "crm_sync.view_delivery",
    "crm_sync.view_attempt",
    "crm_sync.view_demorecord",
)
_PARTNER_MANAGER = (
    *_SALES,
    *_VIEW_SENDING,
    "leads.add_offer",
    "leads.change_offer",
    "leads.reveal_endpoint",
    "crm_sync.add_route",
    "crm_sync.change_route",
    "crm_sync.delete_route",
    "crm_sync.add_fieldrule",
    "crm_sync.change_fieldrule",
    "crm_sync.delete_fieldrule",
    "crm_sync.add_mappingversion",
    "crm_sync.change_mappingversion",
    "crm_sync.publish_mappingversion",
    "crm_sync.test_destination",
    "crm_sync.retry_delivery",
    "crm_sync.cancel_delivery",
    "crm_sync.send_waiting_delivery",
    "crm_sync.switch_demo",
)
_ADMINISTRATOR = (
    *_PARTNER_MANAGER,
    "leads.delete_offer",
    "crm_sync.add_destination",
    "crm_sync.change_destination",
    "crm_sync.delete_destination",
    "crm_sync.pause_destination",
    "crm_sync.remove_demo",
    "auth.view_user",
    "auth.add_user",
    "auth.change_user",
    "auth.view_group",
)

ROLES: dict[str, tuple[str, ...]] = {
    "Sales": _SALES,
    "Partner manager": _PARTNER_MANAGER,
    "Administrator": _ADMINISTRATOR,
    "Auditor": (*_VIEW_LEADS, *_VIEW_SENDING),
}

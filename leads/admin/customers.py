"""The list of customers.

A salesperson came to find one customer again, and to see who came more than once. So a row says who it is, how often
and for what they came, and when last.
"""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from leads import search
from leads.admin.customer_page import CustomerPage
from leads.admin.customer_words import NAME, Came, came, title
from leads.admin.paging import Paged, PagedList
from leads.models import Customer
from leads.wording import clip, when

MOST_OFFERS = 3  # named in a row of the list


class CustomerList(PagedList):
    """The list, with what it says about the leads of the customers on this page, and of no others."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        found = came([customer.pk for customer in self.result_list])
        for customer in self.result_list:
            customer.came = found.get(customer.pk, Came())


@admin.register(Customer)
class CustomerAdmin(CustomerPage, Paged):
    change_list_template = "admin/leads/customer/change_list.html"
    list_display = ("person", "in_company", "at", "how_often", "offers", "last_lead")
    list_display_links = ("person",)
    list_per_page = 50
    search_fields = ("leads__searched__text",)  # `get_search_results` looks there
    search_help_text = gettext_lazy(
        "Anything that one of their leads says; every word must occur. A phone number in digits only."
    )
    ordering = ("-id",)
    actions = None

    class Media:
        css = {"all": ["leadsite/sending.css"]}

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[CustomerList]:
        return CustomerList

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search.customers_matching(queryset, search_term), False

    @admin.display(description=gettext_lazy("customer"), ordering="name")
    def person(self, customer: Customer) -> SafeString:
        return format_html('<span class="who">{}</span>', title(customer))

    @admin.display(description=gettext_lazy("company"), ordering="company")
    def in_company(self, customer: Customer) -> str:
        return clip(customer.company, NAME)

    @admin.display(description=gettext_lazy("e-mail"), ordering="email")
    def at(self, customer: Customer) -> str:
        return clip(customer.email, NAME)

    @admin.display(description=gettext_lazy("leads"))
    def how_often(self, customer: Any) -> str:
        return f"{customer.came.leads:,}"

    @admin.display(description=gettext_lazy("offers"))
    def offers(self, customer: Any) -> str:
        named, more = customer.came.offers[:MOST_OFFERS], len(customer.came.offers) - MOST_OFFERS
        offers = ", ".join(named)
        return (
            _("%(offers)s and %(number)s more") % {"offers": offers, "number": more} if more > 0 else offers
        )

    @admin.display(description=gettext_lazy("last lead"))
    def last_lead(self, customer: Any) -> SafeString | str:
        return when(customer.came.last) if customer.came.last else ""

"""Pages of what nobody adds, changes or deletes by hand: what came, what was done, what a worker made of it."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest


class Evidence(admin.ModelAdmin):
    """For reading only, whatever permissions somebody has. What people decide goes through buttons."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

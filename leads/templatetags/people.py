"""`{{ user|person }}`: what a colleague is called, in a template."""

from django import template

from leads import people

register = template.Library()
register.filter("person", people.name_of)

from django import template

from apps.accounts.user_agents import software

register = template.Library()
register.filter(software)

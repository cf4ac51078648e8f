from typing import Any

from django import template

register = template.Library()


@register.inclusion_tag("profiles/own_avatar.html", takes_context=True)
def own_avatar(context: dict[str, Any], size: int) -> dict[str, Any]:
    """The reader's own picture, made for `size` pixels a side, or initials. `avatar.js` puts a new one there."""
    profile = context["profile"]
    return {"profile": profile, "size": size, "url": profile.avatar_url(size) if profile.avatar else None}

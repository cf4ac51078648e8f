"""What a program says of itself, in words for people."""

import re

from django.utils.text import Truncator
from django.utils.translation import gettext as _

# The first that is named is what it is: most browsers also name those whose pages they want.
BROWSERS = {
    "Edge": r"Edg(e|A|iOS)?/",
    "Opera": r"OPR/|Opera",
    "Samsung Internet": r"SamsungBrowser/",
    "Firefox": r"Firefox/|FxiOS/",
    "Chrome": r"Chrome/|CriOS/",
    "Safari": r"Safari/",
}
SYSTEMS = {
    "iPhone": r"iPhone",
    "iPad": r"iPad",
    "Android": r"Android",
    "Windows": r"Windows",
    "Mac": r"Macintosh",
    "ChromeOS": r"CrOS",
    "Linux": r"Linux",
}


def software(user_agent: str) -> str:
    """What a browser's `User-Agent` says in few words: "Firefox, Windows". Of another program, its own words."""
    found = [
        next((name for name, pattern in names.items() if re.search(pattern, user_agent)), "")
        for names in (BROWSERS, SYSTEMS)
    ]
    return ", ".join(filter(None, found)) or Truncator(user_agent).chars(40) or _("Unknown software")

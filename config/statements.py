"""No SQL statement of a web process takes longer than `DATABASE_STATEMENT_SECONDS`. Commands and workers may take time.

A thread that waits for the database can't be interrupted from outside, and the answer waits for the thread.
"""

from django.conf import settings


def limit_statements() -> None:
    """For this process; before its first connection. SQLite waits for nobody but its one writer."""
    for database in settings.DATABASES.values():
        if database["ENGINE"] == "django.db.backends.postgresql":
            milliseconds = round(settings.DATABASE_STATEMENT_SECONDS * 1_000)
            database["OPTIONS"]["options"] = f"-c statement_timeout={milliseconds}"

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor


def leave_room(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    """Half of each page, for the next version of each row. It rewrites nothing: new rows and versions keep to it.

    A broadcast counts all inboxes up. A version on the same page needs no new entry in the index, and is cleared away
    by whoever comes there next, without VACUUM.
    """
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE notifications_inbox SET (fillfactor = 50)")


def fill_up(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("ALTER TABLE notifications_inbox RESET (fillfactor)")


class Migration(migrations.Migration):
    dependencies = [("notifications", "0001_initial")]

    operations = [migrations.RunPython(leave_room, fill_up, elidable=False)]

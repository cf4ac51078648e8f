from django.contrib.staticfiles.storage import ManifestFilesMixin
from servestatic.storage import CompressedStaticFilesStorage


class ModuleManifestStorage(ManifestFilesMixin, CompressedStaticFilesStorage):
    """Hashed, compressed names; and inside ES modules too, so that an `import` never meets yesterday's file."""

    support_js_module_import_aggregation = True

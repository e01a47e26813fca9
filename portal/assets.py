"""How collected assets are named: by their content, the modules that scripts import included."""

from django.contrib.staticfiles.storage import ManifestStaticFilesStorage


class AssetStorage(ManifestStaticFilesStorage):
    """A name changes when the content does, so that browsers may keep it for a year."""

    support_js_module_import_aggregation = True

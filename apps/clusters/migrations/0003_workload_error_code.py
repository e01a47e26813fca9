"""Why the last call to a cluster failed, as a code beside the words."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("clusters", "0002_workload_log")]
    operations: ClassVar = [
        migrations.AddField(
            model_name="workload",
            name="error_code",
            field=models.CharField(blank=True, max_length=32),
        ),
    ]

"""What Airflow imports once when it starts: what every task would otherwise import for itself.

A task runs in a fork of the scheduler, so that it finds these modules loaded. They take about a second, more than most
models take to build.
"""

import cosmos.airflow.task_group
import cosmos.operators.watcher
import cosmos.plugin.airflow3  # noqa: F401

"""Maintenance: compact bronze, remove files that no kept release needs."""

import pendulum
from airflow.sdk import DAG, CronTriggerTimetable

from infra.orchestration.operator import LakeOperator

with DAG(
    dag_id="maintenance",
    dag_display_name="存储整理",
    description="合并小文件，清理任何保留的发布都不再使用的文件",
    schedule=CronTriggerTimetable("30 3 * * 0", timezone="Asia/Shanghai", run_immediately=pendulum.duration(seconds=1)),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": pendulum.duration(minutes=10)},
):
    LakeOperator(task_id="maintenance", task_display_name="存储整理", module="spark_jobs.maintain")

"""Ingest: land what departments have sent, load it into bronze."""

import pendulum
from airflow.sdk import DAG, Asset, CronTriggerTimetable

from infra.orchestration.operator import LakeOperator

with DAG(
    dag_id="ingest",
    dag_display_name="1 接收入湖",
    description="接收各数据源的文件，逐条保留原文入湖",
    # Without a start date: with one, a fresh installation would run at once for the morning that has passed.
    schedule=CronTriggerTimetable("0 6 * * *", timezone="Asia/Shanghai", run_immediately=False),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=10)},
):
    LakeOperator(task_id="ingest", task_display_name="接收入湖", module="spark_jobs.pipeline", arguments=["ingest"], outlets=[Asset("lake://bronze")])

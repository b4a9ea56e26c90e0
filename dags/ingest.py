"""Ingest: one task for each feed of which something waits, which lands all of it and loads it into bronze in one pass."""

import pendulum
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, Asset, CronTriggerTimetable

from infra.orchestration.operator import LakeOperator

with DAG(
    dag_id="ingest",
    dag_display_name="1 接收入湖",
    description="接收各数据源的文件，逐条保留原文入湖",
    # Without a start date: with one, a fresh installation would run at once for the morning that has passed. (And with False for one that has
    # passed within a tenth of the interval.)
    schedule=CronTriggerTimetable("0 6 * * *", timezone="Asia/Shanghai", run_immediately=pendulum.duration(seconds=1)),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=10)},
):
    # What may be delivered, and what is read at its source, the contracts say.
    waiting = LakeOperator(task_id="waiting", task_display_name="查看待接收", module="spark_jobs.waiting", answers=True)
    feeds = LakeOperator.partial(
        task_id="feed",
        task_display_name="接收入湖",
        module="spark_jobs.pipeline",
        map_index_template="{{ task.arguments[1] }}",
        max_active_tis_per_dagrun=2,  # one writes; the other begins meanwhile
    ).expand(arguments=waiting.output)
    # A feed that can't be taken in stops no other one, and yet the run has failed.
    feeds >> EmptyOperator(task_id="ingest", task_display_name="接收完毕", trigger_rule="all_done", outlets=[Asset("lake://bronze")])
    [waiting, feeds] >> EmptyOperator(task_id="all_taken", task_display_name="全部接收", trigger_rule="none_failed")

"""Registrations: land and load what waits, build gold, judge it, publish it."""

import pendulum
from airflow.sdk import DAG, Asset, CronTriggerTimetable

from infra.orchestration.operator import LakeOperator

RUN = ["--run-id", "{{ run_id }}"]

with DAG(
    dag_id="registrations",
    dag_display_name="商事登记",
    description="商事登记数据：落地入湖 → 主题加工 → 质量关口 → 发布",
    # Without a start date: with one, a fresh installation would run at once for the morning that has passed.
    schedule=CronTriggerTimetable("0 6 * * *", timezone="Asia/Shanghai", run_immediately=False),
    catchup=False,
    is_paused_upon_creation=False,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=10)},
    tags=["登记"],
):
    load = LakeOperator(task_id="load", task_display_name="落地入湖", module="spark_jobs.pipeline", arguments=["load", *RUN])
    build = LakeOperator(task_id="build", task_display_name="主题加工", module="spark_jobs.pipeline", arguments=["build", *RUN])
    gate = LakeOperator(task_id="gate", task_display_name="质量关口", module="spark_jobs.pipeline", arguments=["gate", *RUN])
    publish = LakeOperator(
        task_id="publish", task_display_name="发布", module="spark_jobs.pipeline", arguments=["publish", *RUN], outlets=[Asset("lake://gold")]
    )
    load >> build >> gate >> publish

"""Publish: compare both engines, publish as one, let readers' views follow."""

import pendulum
from airflow.sdk import DAG, Asset

from infra.orchestration.operator import LakeOperator

with DAG(
    dag_id="publish",
    dag_display_name="4 发布",
    description="核对两个引擎，整体发布，读者随之看到新的数据",
    schedule=[Asset("lake://gold")],
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=10)},
):
    LakeOperator(task_id="publish", task_display_name="发布", module="spark_jobs.pipeline", arguments=["publish"], outlets=[Asset("lake://release")])

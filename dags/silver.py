"""Silver: refine what the current release lacks, and judge it. Skipped when there is nothing to do."""

import pendulum
from airflow.sdk import DAG, Asset

from infra.orchestration.operator import LakeOperator

with DAG(
    dag_id="silver",
    dag_display_name="2 标准加工",
    description="从到达层加工出标准层，并过质量关口",
    schedule=[Asset("lake://bronze")],
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=10)},
):
    LakeOperator(task_id="silver", task_display_name="标准加工", module="spark_jobs.pipeline", arguments=["silver"], outlets=[Asset("lake://silver")])

"""Gold: build archives and marts from the judged silver, and judge them."""

import pendulum
from airflow.sdk import DAG, Asset

from infra.orchestration.operator import LakeOperator

with DAG(
    dag_id="gold",
    dag_display_name="3 主题加工",
    description="由标准层加工出主题档案和分析表，并过质量关口",
    schedule=[Asset("lake://silver")],
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(seconds=10)},
):
    LakeOperator(task_id="gold", task_display_name="主题加工", module="spark_jobs.pipeline", arguments=["gold"], outlets=[Asset("lake://gold")])

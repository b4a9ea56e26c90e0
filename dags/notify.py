"""Notify: tell by mail what has to be seen to, after each release and when days have passed without one."""

import pendulum
from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable

from infra.orchestration.operator import LakeOperator

with DAG(
    dag_id="notify",
    dag_display_name="5 通知",
    description="把逾期、预警和没有发布的运行以邮件告诉有关的人，每项每个阶段一次",
    # In the morning after the daily run, for deadlines pass without a release and a run that was stopped makes none; then twice more, so that a mail
    # that the server did not take, or a run that stopped later, is not told of on the next day only.
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("0 8,13,17 * * *", timezone="Asia/Shanghai", run_immediately=pendulum.duration(seconds=1)),
        assets=[Asset("lake://release")],
    ),
    catchup=False,
    is_paused_upon_creation=False,
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": pendulum.duration(minutes=10)},
):
    LakeOperator(task_id="notify", task_display_name="通知", module="infra.notify")

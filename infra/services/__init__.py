"""All services, in the order in which they are started."""

from __future__ import annotations

from infra.services import airflow, catalog, metastore, names, postgres, spark, superset, trino
from infra.services.base import Context, Service

SERVICES: tuple[Service, ...] = (
    postgres.SERVICE,
    metastore.SERVICE,
    spark.SERVICE,
    trino.SERVICE,
    *airflow.SERVICES,
    superset.SERVICE,
    names.SERVICE,
    catalog.SERVICE,
)
BY_NAME = {service.name: service for service in SERVICES}


def environment_of(service: str, context: Context) -> dict[str, str]:
    """The variables with which programs of Airflow's or Superset's environment find their configuration."""
    return {"airflow": airflow.environment, "superset": superset.environment}[service](context)

"""The name under which Airflow's processes find each other: always this machine's loopback."""


def loopback() -> str:
    return "127.0.0.1"

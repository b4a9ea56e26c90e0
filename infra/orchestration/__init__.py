"""What Airflow's own processes import; nothing here needs more than the standard library and Airflow."""

"""Flask-AppBuilder's settings for Airflow: a database of users, nobody registers, nobody is anonymous."""

from flask_appbuilder.const import AUTH_DB

WTF_CSRF_ENABLED = True
AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
SESSION_COOKIE_HTTPONLY = True

"""Superset's settings. Secrets and addresses come from the environment that the supervisor renders."""

import os

from cachelib.file import FileSystemCache
from flask_appbuilder.const import AUTH_DB

_state = os.environ["LAKE_SUPERSET_STATE"]
_public_url = os.environ.get("LAKE_SUPERSET_URL", "")
_secure = _public_url.startswith("https://")

SQLALCHEMY_DATABASE_URI = os.environ["LAKE_SUPERSET_DATABASE"]
SECRET_KEY = os.environ["LAKE_SUPERSET_SECRET_KEY"]
# These two have known defaults with which Superset starts silently.
GUEST_TOKEN_JWT_SECRET = os.environ["LAKE_SUPERSET_GUEST_TOKEN"]
GLOBAL_ASYNC_QUERIES_JWT_SECRET = os.environ["LAKE_SUPERSET_ASYNC_JWT"]

# --- language and looks
BABEL_DEFAULT_LOCALE = "zh"
LANGUAGES = {"zh": {"flag": "cn", "name": "简体中文"}, "en": {"flag": "us", "name": "English"}}
APP_NAME = "市场监管数据湖"
CSV_EXPORT = {"encoding": "utf-8-sig"}  # Excel reads Chinese only with the mark

# --- sign-in and sessions
AUTH_TYPE = AUTH_DB
AUTH_USER_REGISTRATION = False
PUBLIC_ROLE_LIKE = None
AUTH_ROLE_PUBLIC = "Public"
WTF_CSRF_ENABLED = True
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = _secure
# Sessions live on the server, so that a cookie is worth nothing after logout.
SESSION_SERVER_SIDE = True
SESSION_TYPE = "cachelib"
SESSION_CACHELIB = FileSystemCache(os.path.join(_state, "sessions"), threshold=5000, mode=0o600)
SESSION_PERMANENT = True
PERMANENT_SESSION_LIFETIME = 12 * 3600
ENABLE_PROXY_FIX = _secure
RATELIMIT_ENABLED = True
RATELIMIT_STORAGE_URI = "memory://"
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "10 per 20 second"

# --- doors that are open by default
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []
ENABLE_CORS = False
FAB_API_SWAGGER_UI = False
ESCAPE_MARKDOWN_HTML = True
PREVENT_UNSAFE_DB_CONNECTIONS = True
TALISMAN_ENABLED = True
FEATURE_FLAGS = {"DASHBOARD_RBAC": True, "EMBEDDED_SUPERSET": False, "ENABLE_TEMPLATE_PROCESSING": False, "ALERT_REPORTS": False}

# --- caches (off by default)
_files = {"CACHE_TYPE": "FileSystemCache", "CACHE_THRESHOLD": 5000, "CACHE_DEFAULT_TIMEOUT": 24 * 3600}
CACHE_CONFIG = {**_files, "CACHE_DIR": os.path.join(_state, "cache"), "CACHE_KEY_PREFIX": "meta_"}
DATA_CACHE_CONFIG = {**_files, "CACHE_DIR": os.path.join(_state, "data_cache"), "CACHE_KEY_PREFIX": "data_"}
FILTER_STATE_CACHE_CONFIG = {**_files, "CACHE_DIR": os.path.join(_state, "filter_cache"), "CACHE_KEY_PREFIX": "filter_"}
EXPLORE_FORM_DATA_CACHE_CONFIG = {**_files, "CACHE_DIR": os.path.join(_state, "explore_cache"), "CACHE_KEY_PREFIX": "explore_"}
# People may see different rows of the same chart.
CACHE_IMPERSONATION = True

ROW_LIMIT = 50_000
SQL_MAX_ROW = 100_000
SQLLAB_TIMEOUT = 60
SUPERSET_WEBSERVER_TIMEOUT = 90

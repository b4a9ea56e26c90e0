"""Superset's settings. Secrets and addresses come from the environment that the supervisor renders."""

import base64
import json
import os
from pathlib import Path

from cachelib.file import FileSystemCache
from flask_appbuilder.const import AUTH_DB


def _logo(text: str) -> str:
    """The name as a picture, because the theme takes no text: nothing to fetch, nothing to ship."""
    width = 24 * len(text)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 34}" height="30" viewBox="0 0 {width + 34} 30">'
        '<rect x="0" y="3" width="24" height="24" rx="5" fill="#1F5FA8"/>'
        '<path d="M5 17q3.5-4 7 0t7 0M5 22q3.5-4 7 0t7 0M5 12q3.5-4 7 0t7 0" fill="none" stroke="#fff" stroke-width="1.8" stroke-linecap="round"/>'
        f'<text x="34" y="22" font-family="PingFang SC,Microsoft YaHei,Noto Sans CJK SC,sans-serif" font-size="21" font-weight="600" fill="#1B2A3D">{text}</text></svg>'
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


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
# Superset's own Chinese is machine-matched in places (the button to sign in said "Not In") and lacks some texts.
CORRECTED = json.loads((Path(__file__).parent / "translations_zh.json").read_text(encoding="utf-8"))


def FLASK_APP_MUTATOR(app):
    """Correct the Chinese texts, and give them to the sign-in page too, which is not allowed to fetch them otherwise.

    Parse one date, before there are threads: the parser of time ranges is shared by all requests, and pyparsing puts its
    grammar in order while it parses for the first time. Two charts that ask at that moment break it for the life of the
    process, and every chart with a time filter answers "Expected '(', found ')'".
    """
    from flask import jsonify, request
    from flask_babel import force_locale, get_translations
    from superset.translations.utils import get_language_pack
    from superset.utils.date_parser import datetime_eval

    datetime_eval("DATETIME('2000-01-01')")

    pack = get_language_pack("zh")
    pack["locale_data"]["superset"].update({english: [chinese] for english, chinese in CORRECTED.items()})
    with app.test_request_context(), force_locale("zh"):
        get_translations()._catalog.update(CORRECTED)  # kept for the process; there is no public way to add to it

    @app.before_request
    def texts():
        return jsonify(pack) if request.path == "/superset/language_pack/zh/" else None


APP_NAME = "市场监管数据湖"
# One light theme for everybody: what a leader sees is what was looked at when a dashboard was made. No font is fetched.
THEME_DEFAULT = {
    "token": {
        "brandAppName": APP_NAME,
        "brandLogoAlt": APP_NAME,
        "brandLogoUrl": _logo(APP_NAME),
        "brandLogoHref": "/",
        "brandLogoHeight": "26px",
        "brandLogoMargin": "17px 0",
        "colorPrimary": "#1F5FA8",
        "colorLink": "#1F5FA8",
        "colorInfo": "#1F5FA8",
        "fontUrls": [],
        "fontFamily": "'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Source Han Sans SC', 'WenQuanYi Micro Hei', Helvetica, Arial, sans-serif",
        "fontFamilyCode": "'IBM Plex Mono', 'Noto Sans Mono CJK SC', monospace",
        # Superset adds these to Ant Design's tokens and has no default for them of its own.
        "transitionTiming": 0.3,
        "brandIconMaxWidth": 240,
        "fontSizeXS": "8",
        "fontSizeXXL": "28",
        "fontWeightNormal": "400",
        "fontWeightLight": "300",
        "fontWeightStrong": "500",
        "fontWeightBold": "700",
        "colorEditorSelection": "#fff5cf",
    },
    "algorithm": "default",
}
THEME_DARK = None
ENABLE_UI_THEME_ADMINISTRATION = False
EXTRA_CATEGORICAL_COLOR_SCHEMES = [
    {
        "id": "lake",
        "description": "数据湖",
        "label": "数据湖",
        "isDefault": True,
        "colors": ["#1F5FA8", "#9AA5B1", "#3C9D8A", "#E0A33A", "#B8503F", "#7A6FB0", "#5AA9D6", "#6B7C93"],
    }
]
# Below and above a middle that means "as everywhere": pale there.
EXTRA_SEQUENTIAL_COLOR_SCHEMES = [
    {
        "id": "lake_diverging",
        "description": "低于与高于",
        "label": "低于与高于",
        "isDiverging": True,
        "isDefault": False,
        "colors": ["#B8503F", "#E3B3A6", "#F7F4EF", "#A9C4E2", "#1F5FA8"],
    }
]
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
# Of one address, which all readers behind a proxy share: a page asks for its charts at once, and so may ten people. The stock 50 refused
# even our own deployment on a quick machine.
RATELIMIT_APPLICATION = "500 per second"
AUTH_RATE_LIMITED = True
AUTH_RATE_LIMIT = "10 per 20 second"

# --- doors that are open by default
DATASET_IMPORT_ALLOWED_DATA_URLS: list[str] = []
ENABLE_CORS = False
FAB_API_SWAGGER_UI = False
PREVENT_UNSAFE_DB_CONNECTIONS = True
# The following are feature flags: written as plain settings they would have no effect.
FEATURE_FLAGS = {
    "DASHBOARD_RBAC": True,
    "EMBEDDED_SUPERSET": False,
    "ENABLE_TEMPLATE_PROCESSING": False,
    "ALERT_REPORTS": False,
    "ESCAPE_MARKDOWN_HTML": True,
    # People may see different rows of the same chart, so nobody is given what was cached for another.
    "CACHE_IMPERSONATION": True,
}
# The browser talks to nobody but us: no maps, no web fonts, no usage pixel. Inline styles are needed by the charts' library.
TALISMAN_ENABLED = True
TALISMAN_CONFIG = {
    "content_security_policy": {
        "base-uri": ["'self'"],
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "worker-src": ["'self'", "blob:"],
        "connect-src": ["'self'"],
        "object-src": "'none'",
        "style-src": ["'self'", "'unsafe-inline'"],
        "font-src": ["'self'", "data:"],
        "script-src": ["'self'", "'strict-dynamic'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'"],
    },
    "content_security_policy_nonce_in": ["script-src"],
    "force_https": False,
    "session_cookie_secure": _secure,
}


def DB_CONNECTION_MUTATOR(uri, params, username, security_manager, source):
    """Let the account that deploys reach Trino as Superset's own, which reads nothing: it is no person to act for."""
    if username == "deployer":
        params.get("connect_args", {}).pop("user", None)
    return uri, params


# --- caches (off by default)
_files = {"CACHE_TYPE": "FileSystemCache", "CACHE_THRESHOLD": 5000, "CACHE_DEFAULT_TIMEOUT": 24 * 3600}
CACHE_CONFIG = {**_files, "CACHE_DIR": os.path.join(_state, "cache"), "CACHE_KEY_PREFIX": "meta_"}
# The same store for charts' data: /api/v1/cachekey/invalidate, with which a new release is made visible, deletes the keys
# of data in the store of CACHE_CONFIG.
DATA_CACHE_CONFIG = CACHE_CONFIG
STORE_CACHE_KEYS_IN_METADATA_DB = True
FILTER_STATE_CACHE_CONFIG = {**_files, "CACHE_DIR": os.path.join(_state, "filter_cache"), "CACHE_KEY_PREFIX": "filter_"}
EXPLORE_FORM_DATA_CACHE_CONFIG = {**_files, "CACHE_DIR": os.path.join(_state, "explore_cache"), "CACHE_KEY_PREFIX": "explore_"}

ROW_LIMIT = 50_000
SQL_MAX_ROW = 100_000
SQLLAB_TIMEOUT = 60
SUPERSET_WEBSERVER_TIMEOUT = 90

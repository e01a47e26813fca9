"""Settings that hold everywhere. `dev` runs the trial, `test` the tests, `production` the rest."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from celery.schedules import schedule
from django.utils.translation import gettext_lazy as _

from portal.logs import configure_logging
from portal.settings.env import read_environment

ENV = read_environment()
BASE_DIR = Path(__file__).resolve().parent.parent.parent
SECRET_KEY = ENV.secret_key.get_secret_value()
DEBUG = False

# Where things are -------------------------------------------------------------------------------
PORTAL_URL = ENV.url
_portal = urlsplit(PORTAL_URL)
PORTAL_IS_HTTPS = _portal.scheme == "https"
WORKSPACE_URL_TEMPLATE = (
    ENV.workspace_url_template or f"{_portal.scheme}://w-{{uid}}.{_portal.netloc}/"
)
DATA_DIR = ENV.data_dir.resolve()
RUN_DIR = (ENV.run_dir or DATA_DIR / "run").resolve()
ENVIRONMENTS_DIR = (ENV.environments_dir or DATA_DIR / "environments").resolve()
GATE_KEY = ENV.gate_key.get_secret_value()
ALLOWED_HOSTS = [h for h in ENV.allowed_hosts.split(",") if h] or [_portal.hostname or "localhost"]
CSRF_TRUSTED_ORIGINS = [PORTAL_URL]
EXPECTED_PROCESSES = [name for name in ENV.processes.split(",") if name]
METRICS_ALLOW = [address for address in ENV.metrics_allow.split(",") if address]

# Rules that the database may refine ---------------------------------------------------------------
IDLE_STOP_S = ENV.idle_stop_s
MAX_LIFETIME_S = ENV.max_lifetime_s
MAX_RUNNING_PER_PERSON = ENV.max_running_per_person
DELETE_GRACE_S = ENV.delete_grace_s
CURRENCY = ENV.currency

# What a cluster's driver is given, by kind of cluster.
DRIVER_CONFIG: dict[str, dict[str, object]] = {
    "local": {
        "data": DATA_DIR,
        "run": RUN_DIR,
        "environments": ENVIRONMENTS_DIR,
        "sdk": BASE_DIR / "sdk",
        "trusted": ENV.trusted,
        "sim_gpus": ENV.sim_gpu_slots,
    },
}

# Django ------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "bootstrap",
    "channels",
    "ninja",
    "portal",
    "apps.live",
    "apps.accounts",
    "apps.catalog",
    "apps.quotas",
    "apps.clusters",
    "apps.workspaces",
    "apps.api",
]
MIDDLEWARE = [
    "portal.middleware.RequestContextMiddleware",
    "portal.health.HealthMiddleware",
    "portal.metrics.HttpMetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "portal.middleware.ContentSecurityPolicyMiddleware",
    "apps.api.middleware.ApiMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.accounts.middleware.PersonMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "portal.middleware.DomainErrorMiddleware",
]
ROOT_URLCONF = "portal.urls"
WSGI_APPLICATION = "portal.wsgi.application"
ASGI_APPLICATION = "portal.asgi.application"
AUTH_USER_MODEL = "accounts.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "portal.context.page",
            ],
        },
    },
]


def database(url: str) -> dict[str, object]:
    """`postgresql://user:password@host:port/name?host=/socket/folder` as Django wants it."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host", [parts.hostname or ""])[0],
        "PORT": str(parts.port or ""),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 3, "pool": {"min_size": 0, "max_size": 12, "timeout": 5}},
    }


DATABASES = {"default": database(ENV.database_url.get_secret_value())}

# In PostgreSQL, because sign-in counts tries here and must work without the broker.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "portal_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    },
}

# People ------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ACCOUNT_ADAPTER = "apps.accounts.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
SESSION_COOKIE_NAME = "gpc_session"
SESSION_COOKIE_AGE = 14 * 86400
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "django.contrib.sessions.backends.db"
CSRF_COOKIE_NAME = "gpc_csrf"
CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "portal.errors.csrf_failure"

# Language and time -------------------------------------------------------------------------------
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("ko", _("Korean"))]
LANGUAGE_COOKIE_NAME = "gpc_language"
LOCALE_PATHS = [BASE_DIR / "locale"]
# What pages offer to switch to: English, and what there are words for.
OFFERED_LANGUAGES = [
    (code, name)
    for code, name in LANGUAGES
    if code == "en" or (BASE_DIR / "locale" / code).is_dir()
]
USE_TZ = True
TIME_ZONE = "UTC"

# Assets ------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = ENV.static_dir or DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "portal.assets.AssetStorage"},
}
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True

# Sockets and work --------------------------------------------------------------------------------
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [ENV.channel_url], "prefix": "gpc"},
    },
}
CELERY_BROKER_URL = ENV.broker_url
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": 600,
    "socket_timeout": 2,
    "socket_connect_timeout": 2,
    "retry_on_timeout": False,
}
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "heartbeat": {"task": "live.heartbeat", "schedule": schedule(10)},
    "reconcile-due": {"task": "clusters.reconcile_due", "schedule": schedule(5)},
    "environments-due": {"task": "catalog.build_due", "schedule": schedule(15)},
    "homes-due": {"task": "workspaces.purge_due", "schedule": schedule(30)},
    "overdue": {"task": "workspaces.end_overdue", "schedule": schedule(10)},
    "retention": {"task": "accounts.forget_expired", "schedule": schedule(3600)},
    "runs-retention": {"task": "clusters.forget_old", "schedule": schedule(3600)},
}

LOGGING_CONFIG = None
configure_logging()

"""Django settings. What a deployment changes is an environment variable, listed in docs/operate.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import environ
import structlog
from django.core.exceptions import ImproperlyConfigured
from redis.backoff import NoBackoff
from redis.retry import Retry

from protocols.contract import Phase
from protocols.states import BatchState, RunState, StepState, SubmissionState

env = environ.Env()

ROOT = Path(__file__).resolve().parent.parent
# Everything the server writes lies below this folder: store, uploads, work folders, logs.
HOME = Path(env.str("TIDEMARK_HOME", default=str(ROOT / "var"))).resolve()

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="insecure-development-key-set-SECRET_KEY")
# Image ids are keyed with this; whoever knows it can link ids to images. It must outlive SECRET_KEY.
IMAGE_ID_KEY = env.str("IMAGE_ID_KEY", default=SECRET_KEY)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "django_filters",
    "allauth",
    "allauth.account",
    "django_structlog",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "leaderboard",
    "evaluator",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Before anything that asks the database: a flood must cost nothing but a count.
    "leaderboard.api.throttling.limits",
    "leaderboard.delivery.middleware.Delivery",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
]

ROOT_URLCONF = "leaderboard.urls"
WSGI_APPLICATION = "leaderboard.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "leaderboard" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES: dict[str, Any] = {
    "default": env.db_url("DATABASE_URL", default="postgres://postgres@127.0.0.1:5432/tidemark")
}
# A restarted database must not leave a dead connection in a long-lived worker thread.
DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {})["connect_timeout"] = 10
REDIS_URL = env.str("REDIS_URL", default="redis://127.0.0.1:6379/0")
CACHES = {
    "default": {
        "BACKEND": "leaderboard.cache.Cache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "tidemark",
        # A request waits no longer than this for a count. One more try, for a connection that grew old.
        "OPTIONS": {
            "socket_timeout": 0.5,
            "socket_connect_timeout": 0.5,
            "retry": Retry(NoBackoff(), 1),
        },
    }
}

AUTH_USER_MODEL = "leaderboard.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Names in any spelling of upper and lower case, or a confirmed address, and a limit of wrong guesses.
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "home"

# Accounts: who may sign up, and whether an address must be confirmed before it serves to sign in.
SIGNUP = env.str("SIGNUP", default="open")
EMAIL_CONFIRMATION = env.str("EMAIL_CONFIRMATION", default="optional")
if SIGNUP not in ("open", "closed"):
    raise ImproperlyConfigured("SIGNUP is open or closed.")
if EMAIL_CONFIRMATION not in ("optional", "mandatory", "none"):
    raise ImproperlyConfigured("EMAIL_CONFIRMATION is optional, mandatory or none.")
ACCOUNT_ADAPTER = "leaderboard.pages.account_adapter.Adapter"
ACCOUNT_FORMS = {
    "login": "leaderboard.pages.account_forms.LoginForm",
    "signup": "leaderboard.pages.account_forms.SignupForm",
    "add_email": "leaderboard.pages.account_forms.AddEmailForm",
    "change_password": "leaderboard.pages.account_forms.ChangePasswordForm",
    "set_password": "leaderboard.pages.account_forms.SetPasswordForm",
    "reset_password": "leaderboard.pages.account_forms.ResetPasswordForm",
    "reset_password_from_key": "leaderboard.pages.account_forms.ResetPasswordKeyForm",
    "reauthenticate": "leaderboard.pages.account_forms.ReauthenticateForm",
}
ACCOUNT_SIGNUP_REDIRECT_URL = "account"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = EMAIL_CONFIRMATION
# Signing up must not tell whether somebody has an account. Where an address need not be confirmed first,
# two accounts may name it, and it belongs to the one that confirms it.
ACCOUNT_PREVENT_ENUMERATION = True if EMAIL_CONFIRMATION == "mandatory" else "strict"
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_EMAIL_NOTIFICATIONS = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = HOME / "static"
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "leaderboard.staticfiles.PlotlyFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
if env.bool("STATIC_FROM_SOURCE", default=False):
    # Tests and development serve assets as they lie in the packages, without collectstatic.
    STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    WHITENOISE_USE_FINDERS = True

SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = env.bool("SECURE_COOKIES", default=False)
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 2**20

# How long a page that everybody gets alike is kept in each web process; 0 renders it every time.
PAGE_CACHE_S = env.float("PAGE_CACHE_S", default=2.0)

# How many proxies of ours stand before the server and name the client in X-Forwarded-For.
NUM_PROXIES = env.int("NUM_PROXIES", default=0)
# How often something may be asked for, by policy (leaderboard/limits.py); an empty rate is no bound.
THROTTLES = {
    "address": env.str("THROTTLE_ADDRESS", default="1200/min"),
    "user": env.str("THROTTLE_USER", default="600/min"),
    "sign-in": env.str("THROTTLE_SIGN_IN", default="30/min"),
    "uploads": env.str("THROTTLE_UPLOADS", default="6000/min"),
    "files": env.str("THROTTLE_FILES", default="60/min"),
    "webhooks": env.str("THROTTLE_WEBHOOKS", default="30/min"),
    "invitations": env.str("THROTTLE_INVITATIONS", default="30/h"),
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "leaderboard.api.auth.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticatedOrReadOnly"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["leaderboard.api.parsers.JSONParser"],
    "DEFAULT_PAGINATION_CLASS": "leaderboard.api.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "leaderboard.api.schema.Schema",
    "DEFAULT_THROTTLE_CLASSES": ["leaderboard.api.throttling.UserThrottle"],
    "DEFAULT_THROTTLE_RATES": {"subscriptions": "10/hour"},
    "NUM_PROXIES": NUM_PROXIES,
    "EXCEPTION_HANDLER": "drf_standardized_errors.handler.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
DRF_STANDARDIZED_ERRORS = {
    "EXCEPTION_HANDLER_CLASS": "leaderboard.api.errors.Handler",
    "EXCEPTION_FORMATTER_CLASS": "leaderboard.api.errors.Formatter",
    # As the package has them, and what the catalogue of errors adds (leaderboard/api/errors.py).
    "ALLOWED_ERROR_STATUS_CODES": [
        "400",
        "401",
        "403",
        "404",
        "405",
        "406",
        "409",
        "412",
        "413",
        "415",
        "422",
        "423",
        "429",
        "500",
        "507",
    ],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tidemark",
    "DESCRIPTION": "Benchmark of detectors of AI-generated images, in the order of the generators' release.",
    "VERSION": "1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "leaderboard.api.schema.shared_headers",
    ],
    "ENUM_NAME_OVERRIDES": {
        enum.__name__: [member.value for member in enum]
        for enum in (SubmissionState, BatchState, RunState, StepState, Phase)
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token"}
KNOX_TOKEN_MODEL = "leaderboard.AccessToken"  # noqa: S105 - the name of a table.
# Its own table, which nothing would use, would stand in the way of emptying ours.
MIGRATION_MODULES = {"knox": None}

# Uploads: what one archive may weigh and how long an unfinished one is kept.
UPLOAD_MAX_BYTES = env.int("UPLOAD_MAX_BYTES", default=20 * 2**30)
UPLOAD_EXPIRES_S = env.int("UPLOAD_EXPIRES_S", default=7 * 24 * 3600)
# How long a request that brings bytes may bring none before it is given up.
UPLOAD_STALL_S = env.float("UPLOAD_STALL_S", default=30.0)
# What one team may have, unless a maintainer granted it another bound.
QUOTA_SUBMISSIONS_A_DAY = env.int("QUOTA_SUBMISSIONS_A_DAY", default=20)
QUOTA_ACTIVE_RUNS = env.int("QUOTA_ACTIVE_RUNS", default=20)
QUOTA_STORED_BYTES = env.int("QUOTA_STORED_BYTES", default=200 * 2**30)
# How many seeds an entry may run with, the one that it was entered with included.
MAX_SEEDS = env.int("MAX_SEEDS", default=5)
# How many teams one person may own beside their own: each has quotas of its own.
QUOTA_TEAMS = env.int("QUOTA_TEAMS", default=3)
# What each phase of a trial run may take. The other limits are the benchmark's own.
TRIAL_TIMEOUT_S = env.float("TRIAL_TIMEOUT_S", default=300.0)
# Where metadata alone tells fakes from reals with more than this AUROC, publishing needs a reason.
AUDIT_BOUND = env.float("AUDIT_BOUND", default=0.7)

# Work: a lease must outlive several missed heartbeats, or a slow database looks like a dead worker.
LEASE_S = env.float("LEASE_S", default=60.0)
HEARTBEAT_S = env.float("HEARTBEAT_S", default=10.0)
SWEEP_S = env.float("SWEEP_S", default=5.0)
MAX_ATTEMPTS = env.int("MAX_ATTEMPTS", default=3)
RETRY_DELAY_S = env.float("RETRY_DELAY_S", default=10.0)
# An alternative, stronger container runtime (gVisor's runsc, Kata) known to the engine.
CONTAINER_RUNTIME = env.str("CONTAINER_RUNTIME", default="")
DOCKER_HOST = env.str("DOCKER_HOST", default="")
# Names this server's containers on a shared engine.
INSTANCE = env.str("TIDEMARK_INSTANCE", default="tidemark")
WORKER_GPUS = env.list("TIDEMARK_GPUS", default=[])
# What this worker takes. One that takes no steps keeps checks and trials from waiting for training.
WORKER_TAKES = env.list("TIDEMARK_TAKES", default=["checks", "trials", "batches", "steps"])

# The desk: what an hour of a CPU and of a GPU costs, where somebody wants to know.
CPU_HOUR_COST = env.float("CPU_HOUR_COST", default=0.0)
GPU_HOUR_COST = env.float("GPU_HOUR_COST", default=0.0)
CURRENCY = env.str("CURRENCY", default="EUR")
# Whoever shows this token may read /metrics; without one only this very machine may.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# What is sent to readers: mail goes to the log unless EMAIL_URL names a server. Links in what is sent
# begin with SITE_URL. Webhooks reach the public internet and the hosts of WEBHOOK_ALLOW alone.
globals().update(env.email_url("EMAIL_URL", default="consolemail://"))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("EMAIL_FROM", default="Tidemark <tidemark@localhost>")
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000")
WEBHOOK_ALLOW = env.list("WEBHOOK_ALLOW", default=[])

# What every line of the log gets, also those of Django and other libraries.
LINE_PROCESSORS: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.StackInfoRenderer(),
    structlog.processors.format_exc_info,
]
structlog.configure(
    processors=[
        structlog.stdlib.filter_by_level,
        *LINE_PROCESSORS,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    cache_logger_on_first_use=True,
)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "processor": structlog.processors.LogfmtRenderer(
                key_order=["timestamp", "level", "event"], bool_as_flag=False
            ),
            "foreign_pre_chain": LINE_PROCESSORS,
        }
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}

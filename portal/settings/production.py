"""Behind TLS. Cookies that no sibling host can set or read, and strict transport."""

from portal.settings.base import *  # noqa: F403

DEPLOYMENT = "production"
SESSION_COOKIE_NAME = "__Host-gpc_session"
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_NAME = "__Host-gpc_csrf"
CSRF_COOKIE_SECURE = True
LANGUAGE_COOKIE_SECURE = True
SECURE_SSL_REDIRECT = True
SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 365 * 86400
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True

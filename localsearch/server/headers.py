"""Security headers of every answer: what a browser may do with a page, with data, with a file. Constants only."""

from __future__ import annotations

from localsearch.server.problems import Headers

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
DATA_POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"

COMMON_HEADERS: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
DATA_HEADERS: Headers = [
    *COMMON_HEADERS,
    (b"content-security-policy", DATA_POLICY.encode()),
    (b"cache-control", b"no-store"),
]
PAGE_HEADERS: Headers = [
    *COMMON_HEADERS,
    (b"content-security-policy", PAGE_POLICY.encode()),
    (b"cache-control", b"no-cache"),
]

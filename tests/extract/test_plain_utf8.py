"""Text that is UTF-8 with nothing to drop is told by C of our own, and no other; a page of it is read as bytes."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from localsearch.extract import decode as decoding
from localsearch.extract import htmlsource
from localsearch.extract.decode import clean, decode, plain_utf8

ODD = [
    b"\0", b"\x08", b"\t", b"\n", b"\x0b", b"\x0c", b"\r", b"\r\n", b"\x0e", b"\x1b", b"\x1b[1m", b"\x1c", b"\x1f", b"\x7f",
    b"\x80", b"\xc1\xbf", b"\xc2", b"\xc2\x80", b"\xc2\xad", b"\xc2\xae", b"\xdf\xbf", b"\xe0\x9f\xbf", b"\xe0\xa0\x80",
    b"\xe2\x80", b"\xed\x9f\xbf", b"\xed\xa0\x80", b"\xef\xb7\x8f", b"\xef\xb7\x90", b"\xef\xb7\x91", b"\xef\xb7\x92",
    b"\xef\xbb\xbf", b"\xef\xbf\xbd", b"\xf0\x8f\xbf\xbf", b"\xf0\x90\x80\x80", b"\xf4\x8f\xbf\xbf", b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80", b"\xff\xfe",
]  # fmt: skip
needs_kernels = pytest.mark.skipif(plain_utf8(b"a") is None, reason="the kernels were not built")


def kept(data: bytes) -> bool:
    """Whether Python would leave it as it is."""
    try:
        return clean(data.decode()) == data.decode() and b"\x1b" not in data
    except UnicodeDecodeError:
        return False


@needs_kernels
@given(st.sampled_from(ODD), st.integers(0, 130), st.integers(0, 130))
@example(b"", 0, 0)
def test_each_odd_sign_is_told_wherever_it_stands(odd: bytes, before: int, after: int) -> None:
    data = b"~ b" * before + odd + b"a c" * after
    told = data.removeprefix(b"\xef\xbb\xbf")
    assert plain_utf8(data) == (told if kept(told) else None)


@needs_kernels
@given(st.binary(max_size=300))
def test_bytes_at_random(data: bytes) -> None:
    told = data.removeprefix(b"\xef\xbb\xbf")
    assert plain_utf8(data) == (told if kept(told) else None)


@needs_kernels
@pytest.mark.parametrize("data", [b"", b"plain", b"\xef\xbb\xbfmark", "größer → 日本\n".encode(), b"+AGE-"])
@pytest.mark.parametrize("declared", ["", "utf-8", "latin-1", "utf-7", "hz", "iso-2022-jp", "none such"])
def test_what_is_plain_decodes_as_before(data: bytes, declared: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = decode(data, declared)
    monkeypatch.setattr(decoding, "_compiled", lambda: None)
    assert decode(data, declared) == found


@needs_kernels
def test_what_shifts_between_alphabets_is_not_plain() -> None:
    assert plain_utf8(b"+AGE-", "utf-7") is None
    assert plain_utf8(b"+AGE-", "utf-8") == b"+AGE-"


@pytest.mark.parametrize(
    "source",
    [
        "<?xml version='1.0'?><p/><br/><i\u00e9/><b class='q'/>x<a href=y />",
        "<html xmlns='x'><p/></html>",
        "<html><p/></html>",
        "<!doctype html><html xmlns='x'><p/>",
        "<?xml\u00e9?><p/>",
        "\u2003<?xml?><p/>",
        "<html xmlns='x'><p/><![CDATA[a<b]]>",
        "<iframe srcdoc='a&lt;b'></iframe><template shadowrootmode=open>c</template>",
        "no tag at all",
        "<?xml",
    ],
)
def test_a_page_of_bytes_is_rewritten_as_one_of_text(source: str) -> None:
    found, expected = htmlsource.as_html(source.encode()), htmlsource.as_html(source)
    assert isinstance(expected, str)
    assert (found.decode() if isinstance(found, bytes) else found) == expected

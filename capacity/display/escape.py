"""Untrusted text made harmless: in HTML, in a terminal, in a path."""

import hashlib
import html
import unicodedata

_LONGEST_SLUG = 80


def escape(text: object) -> str:
    """Escape any value for HTML text and attributes.

    Examples
    --------
    >>> escape("<script>alert('x')</script>")
    '&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt;'
    """
    return html.escape(plain(str(text)), quote=True)


def plain(text: str) -> str:
    r"""Replace control characters, so that text cannot steer a terminal or break XML.

    Line breaks and tabs become spaces; other unprintable characters become ``\ufffd``. Joiners that
    scripts and emoji need are kept; marks that reorder text are not.

    Examples
    --------
    >>> plain("red\x1b[31m\nalert")
    'red\ufffd[31m alert'
    """
    if text.isprintable():
        return text
    return "".join(_harmless(character) for character in text)


def _harmless(character: str) -> str:
    if character in "\n\r\t\u2028\u2029":
        return " "
    if character.isprintable() or character in "\u200c\u200d\u3000\u00a0":
        return character
    return "\ufffd"


def safe_slug(name: str) -> str:
    """Turn any name into one safe path component; different names stay different.

    Names of letters, digits, ``.``, ``_`` and ``-`` stay as they are. Where anything had to change,
    a digest of the name is appended.

    Parameters
    ----------
    name
        Any text.

    Returns
    -------
    str
        At most 80 characters, never empty, never starting with a dot, without separators.

    Examples
    --------
    >>> safe_slug("2026-double11")
    '2026-double11'
    >>> safe_slug("../etc/passwd")
    'etc-passwd-7fef78f5'
    >>> safe_slug("双11")
    '双11'
    """
    # Composed characters only: "é" written in two ways must not name two folders that look alike.
    normal = unicodedata.normalize("NFC", name)
    kept = "".join(c if c.isalnum() or c in "._-" else "-" for c in normal).strip(".-")
    while "--" in kept:
        kept = kept.replace("--", "-")
    # 80 characters of Chinese are 240 bytes, below the 255 that file systems take.
    if kept == name and 0 < len(name) <= _LONGEST_SLUG:
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{kept[: _LONGEST_SLUG - 9]}-{digest}" if kept else digest

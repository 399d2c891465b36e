"""Excel's default password: files that ask nobody for one are encrypted with it, as where only structure is locked.

Reference: [MS-XLS] 2.2.10, [MS-OFFCRYPTO].
"""

from __future__ import annotations

import io

PASSWORD = "VelvetSweetshop"
"""What Excel tries before it asks. It is public and protects nothing."""
MISSING = "where it only locks the workbook's structure, pip install 'localsearch[protected]' reads it"


def unlocked(data: bytes) -> bytes | None:
    """The file without its encryption; None where another password, or another reader, is asked for.

    ImportError where msoffcrypto is not installed.
    """
    import msoffcrypto

    try:
        file = msoffcrypto.OfficeFile(io.BytesIO(data))
        if file.format not in ("xls97", "ooxml") or not file.is_encrypted():
            return None
        file.load_key(password=PASSWORD, **({"verify_password": True} if file.format == "ooxml" else {}))
        opened = io.BytesIO()
        file.decrypt(opened)
    except Exception:  # a wrong password, other kinds of encryption, and damage are all one: it stays closed
        return None
    return opened.getvalue()

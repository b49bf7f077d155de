"""How a title and a text become the one text that the encoder reads: the same in training and in serving."""

from __future__ import annotations


def joined(title: str | None, text: str | None) -> str:
    """Title, full stop, text. A title that the text already begins with is not said twice.

    >>> joined("Lovely", "Fits well.")
    'Lovely. Fits well.'
    >>> joined(None, "Fits well.")
    'Fits well.'
    >>> joined("Lovely", "lovely dress")
    'lovely dress'
    """
    head, body = (title or "").strip(), (text or "").strip()
    if not head or body.casefold().startswith(head.casefold()):
        return body
    if not body:
        return head
    return f"{head}{' ' if head[-1] in '.!?' else '. '}{body}"

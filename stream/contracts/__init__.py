"""The messages that Tidemark reads and writes: their types, codecs, ids and topics.

Nothing here decides or remembers anything, and nothing does I/O but ``schemas``, which writes the documents. Every
other package imports from this one and this one imports from none of them. What is published here cannot be taken
back: fields are added, never removed, renamed or retyped.
"""

"""What people and scripts do with a running Tidemark: create topics, load events, watch, and try it out.

Every module is one habit and is called by the command of the same name in `stream.cli`. Nothing here folds or
decides; what decides how records are read and written lies in `stream.contracts`.
"""

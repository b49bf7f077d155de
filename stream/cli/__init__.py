"""The command line: one thin module a command, which reads options, calls `stream.operations`, and shows what came of
it."""

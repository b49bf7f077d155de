"""`python -m stream.cli` is `tidemark`; `tidemark up` starts its workers so."""

from stream.cli.app import main

main()

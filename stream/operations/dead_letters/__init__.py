"""What on-call does with dead letters: look, fix, put back once, or discard."""

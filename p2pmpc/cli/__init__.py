"""The command line: p2pmpc WORD [WORD] ..., for people and, with --json, for programs."""

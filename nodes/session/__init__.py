"""One attempt at one study: its driver, its mail, its inputs, its answer."""

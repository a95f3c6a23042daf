"""Where an organisation's heavy work runs. `local` is one process: tests and very small hosts."""

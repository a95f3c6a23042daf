"""Hot loops by name, each with a portable twin that gives the same bytes."""

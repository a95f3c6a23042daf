"""One organisation's node made of Ray actors: supervised, isolated, on one machine or several.

    node process     Ray's driver: holds the keys, makes every actor, starts again what has died
    Gateway          port, links, record, control socket: the node itself, beside its heavy work
    Session          one attempt at one study: masks and mail, nothing on disk; warm spares wait
    Dataset          rows in one process's memory; a large data set lies in several
    kernel tasks     only with `kernels = "tasks"`, for clusters of several machines

Ray starts, watches and restarts processes and carries calls to data sets. Keys, mail and masks go
over Unix sockets that only this user can open: nothing secret of a node is ever an argument, an
environment variable or an object of Ray.
"""

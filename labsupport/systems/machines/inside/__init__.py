"""What runs as PID 1 inside a namespaces machine.

It is another process: a bare interpreter (`-I -S`) with the standard library only, which must start in milliseconds and
outlive every error. So the doors of `process/` end here: these modules fork, wait and call the kernel themselves, and
nothing outside this folder may import them but `init.py`, their entry point.
"""

"""How pods of different nodes reach each other: one dataplane a file, each a parameter of the embedded cluster.

Nothing is imported here: `inside` is also run by a bare interpreter that has the standard library only.
"""

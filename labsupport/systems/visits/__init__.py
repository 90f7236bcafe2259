"""Visits: what a lab is on this computer where it uses an engine or a cluster of the user's, and no machine.

visit    a run folder that says whose it is, and a keeper that ends it with its owner
keeper   the process that does so
ending   takes back what a visit has made on the user's engine and cluster
"""

from labsupport.systems.visits.visit import Visit, attach_visit, start_visit, visits_to

__all__ = ["Visit", "attach_visit", "start_visit", "visits_to"]

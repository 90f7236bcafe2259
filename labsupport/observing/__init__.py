"""What notebooks see beside what commands print, a module per subject: each an observation of a trial.

So evidence keeps it, and replay shows it with nothing live.
"""

"""The timeline of a cluster: who wrote what, when, because of which earlier write.

Reads the API server's audit log, watches and DNS answers, and merges them into plain records that JSON can hold.
Draws nothing, and judges nothing.
"""

from labsupport.systems.timeline.recorder import TimelineRecorder
from labsupport.systems.timeline.records import timeline_records

__all__ = ["TimelineRecorder", "timeline_records"]

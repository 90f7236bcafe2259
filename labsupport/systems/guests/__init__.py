"""The guest container: the whole lab in one container of the user's own engine, wherever that engine's kernel is.

fitness     whether an engine will do, and why not
image       what the container is made of
inside      its PID 1, which ends with its owner
container   starts, finds and ends it
environment what commands in it know of this computer's
streams     commands in it, with this terminal or without one
copies      the clone there and back, where the engine cannot see this computer's files
"""

"""`./lab bench`: how long things take, what they weigh, and whether that is within the targets.

measures  every number there is: its name, unit, target, and from where to where it is measured
subjects  what a round starts and measures, one after the other
running   the plot: choose, get ready, run the rounds, write the result
rounds    several rounds in alternating order, kept whatever happens to a later one
spread    median and range; ratios of two numbers of the same round
readings  what a lab has taken so far: processor time, memory, disk
result    all of it as JSON
page      all of it as a page
"""

from labsupport.benchmark.running import in_words, run

__all__ = ["in_words", "run"]

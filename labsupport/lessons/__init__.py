"""What is particular to one notebook: its needs, its exercise, its widget. One file per notebook.

A lesson acts through trials and runners only; it starts nothing and knows no machine.
"""

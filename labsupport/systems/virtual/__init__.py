"""The virtual machine: a computer with a kernel, a systemd and a disk of its own, in which `./lab` runs as on any.

system        what it is made of: Debian's kernel, modules and packages, made once
first_files   what its kernel begins with
hardware      the emulator, its words, and whether this computer's processor can run a guest itself
computer      starts, finds and ends it
sessions      commands in it, with this terminal or without one
"""

"""The agent: tells the portal what a run does, and hears what the portal wants of it.

A small process beside the server. It never ends the run, and nothing in the run depends on it:
without it the portal knows no activity, which alone stops nothing.
"""

"""The whole portal on one machine: what `make up` and `make down` run.

Order of events: `bootstrap` (system Python, makes the virtual environment) becomes `up`, which is
also the `supervisor` of every process; `down` ends them and every workload of the same DATA.
"""

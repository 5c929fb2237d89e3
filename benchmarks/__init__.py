"""Benchmarks of skautoencoder against its peers, measured in the same run.

``pip install -e ".[benchmark]"`` and then ``python -m benchmarks [--data-dir DIR]``
from the repository's root; ``--help`` lists the options. A peer that is not
installed is reported as missing. Every timed case runs in a process of its own, and
the contestants take turns, so that they do not disturb each other's threads and a
drift of the machine hits all alike. The clock runs inside the process and leaves out
imports and the loading of data.
"""

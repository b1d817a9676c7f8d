"""What runs inside a step: fetches inputs, calls the user's function, collects outputs, commits them.

It travels as a zipapp (`bundle.build`) to wherever the step runs and brings `kedge.dsl` along under the names ``kedge.dsl``
and ``kfp.dsl``, so a step needs neither package installed. Syntax and library are Python 3.8's, because steps choose
their own Python. Every import costs each step time: what only some steps need is imported where it is needed.

Subcommands: ``run`` (a Python step), ``stage-in`` and ``stage-out`` (around a container whose image we know nothing about). The
protocol with the hub is ``docs/staging.md``; the variables that are read stand in `step`.
"""

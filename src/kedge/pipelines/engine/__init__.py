"""The pipeline engine: a pure state machine from (state, event) to (state, instructions).

`machine.Engine` is the machine and `types` its vocabulary. Nothing in this package knows a clock, a database, a network or a
random number: what has happened comes in as an event that carries its own time, what must happen goes out as an instruction.
"""

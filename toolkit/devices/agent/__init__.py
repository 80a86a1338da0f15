"""What is copied to the board: standard library, NumPy and the runtime's own wheel; Python 3.9 or later; opens no port.

`python3 agent.pyz VERB SPEC.json` prints one JSON object a line. The host imports nothing from here but pure functions.
"""

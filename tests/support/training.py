"""Callbacks that remember what a training reports."""


class Memory:
    """Remembers every event."""

    def __init__(self):
        self.said, self.steps, self.held = [], [], []

    def say(self, message):
        self.said.append(message)

    def started(self, total, done, limit_s):
        self.total = total

    def stepped(self, step):
        self.steps.append(step)

    def evaluated(self, held):
        self.held.append(held)

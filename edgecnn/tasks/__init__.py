"""What a task means: how its answers are judged; numpy only, so a board uses the same code."""

from edgecnn.tasks.classify import LEAST_PROBABILITY, Tally, answers, score

__all__ = ["LEAST_PROBABILITY", "Tally", "answers", "score"]

"""What other schedulers keep, as definitions of jobs: a room for each of them.

A room of a scheduler is pure: rows, keys or mappings in, drafts out, and in each draft what could
not be carried over. ``sources`` opens where they are kept; nothing is written anywhere. Nothing
that a source holds is ever executed: what is pickled is read by ``shelf`` as Celery's own
schedules, or not at all.
"""

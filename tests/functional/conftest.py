"""What several of these tests begin with."""

from tests.scenes import heard, scene, unheard

__all__ = ["heard", "scene", "unheard"]

"""What looks after stored rows: segments are compacted, shards follow what queries see. Begin with ``upkeep``."""

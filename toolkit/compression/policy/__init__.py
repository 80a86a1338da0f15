"""AdaCompact: how much of each layer a task needs, said by a policy trained on other tasks; the budget always holds."""

from toolkit.compression.policy.allocate import allocate_policy
from toolkit.compression.policy.embedding import TASK_FEATURES, TaskEmbedding, embed_task
from toolkit.compression.policy.file import load_policy, save_policy
from toolkit.compression.policy.fingerprint import Fingerprint, fingerprint
from toolkit.compression.policy.nested import compress_nested
from toolkit.compression.policy.network import Policy, PolicyNetwork, room_of
from toolkit.compression.policy.soft import Components, components, masked, soft_masks
from toolkit.compression.policy.thresholds import allocate_by_thresholds

__all__ = [
    "TASK_FEATURES",
    "Components",
    "Fingerprint",
    "Policy",
    "PolicyNetwork",
    "TaskEmbedding",
    "allocate_by_thresholds",
    "allocate_policy",
    "components",
    "compress_nested",
    "embed_task",
    "fingerprint",
    "load_policy",
    "masked",
    "room_of",
    "save_policy",
    "soft_masks",
]

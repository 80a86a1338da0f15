"""The methods that a setting may name, in a sentence each, with their source."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """`source` is a publication, or empty where there is none to name."""

    name: str
    sentence: str
    source: str = ""


JACTUS = "JACTUS (abstract); the formulas are our reading"
ADACOMPACT = "AdaCompact (abstract); the formulas are our reading"

# The setting -> what it may name.
METHODS: dict[str, tuple[Method, ...]] = {
    "allocation.allocator": (
        Method(
            "exact",
            "A multiple-choice knapsack, solved by HiGHS: the most gain within the budget, with its gap to the bound.",
        ),
        Method("greedy", "The component with the most gain per cost comes next, until the budget is used.", JACTUS),
        Method(
            "policy", "A network that was trained on other tasks sets each layer's threshold for this one.", ADACOMPACT
        ),
        Method("search", "Some 200 models are tried, and the most accurate is taken.", "in the manner of AMC, He 2018"),
        Method("uniform", "All layers keep the same share of their largest ranks. A baseline."),
        Method("magnitude", "One threshold on the weight's energy per cost holds for all layers. A baseline."),
        Method("random", "Choices are drawn by chance and then made to fit. A baseline."),
    ),
    "compression.curve": (
        Method(
            "jactus",
            "Bases in the union of what the weight uses, what inputs span and where the loss is sensitive; a component "
            "is worth the loss that it saves, in nats.",
            JACTUS,
        ),
        Method("activation", "A component is worth the output error of its layer that it saves.", "SVD-LLM, Wang 2024"),
        Method("magnitude", "A component is worth its singular value in the weight. A baseline."),
        Method("random", "Components come in an order drawn by chance. A baseline."),
        Method(
            "dual",
            "What the general data need is weighed against what the task needs; the task must bring general data.",
            "D-Pruner, Zhang 2024",
        ),
    ),
    "recovery.distill": (
        Method("kd", "A loss: the divergence from the dense model's softened answers.", "Hinton 2015"),
        Method("features", "A loss: the error of the features before the head.", "FitNets, Romero 2015"),
        Method("gradient", "A loss: the angle between the gradients of the task at the features.", ADACOMPACT),
        Method("task", "Labels alone, without a teacher."),
        Method("beta", "A weighing: each loss by the precision that its size suggests.", "Beta-KD; our reading"),
        Method(
            "beta-terms",
            "A weighing: one learned uncertainty a loss, as Kendall 2018 weighs tasks.",
            "Beta-KD; our reading",
        ),
        Method(
            "beta-instances",
            "A weighing: one learned uncertainty an example, read from the features of the teacher.",
            "Beta-KD; our reading",
        ),
        Method("cores", "Only the cores of compact layers train, as on the board."),
        Method("factors", "All three factors of compact layers train."),
        Method("network", "All of the network trains, with what stayed dense."),
    ),
    "recovery.augment": (
        Method("shift", "Images are moved by a few pixels."),
        Method("crop", "Images are moved, too; what comes in is zero, where `shift` repeats the edge."),
        Method("mirror", "Images are mirrored left to right, one in two."),
        Method("noise", "Gaussian noise is added to inputs."),
        Method("none", "Examples stay as they are."),
    ),
}

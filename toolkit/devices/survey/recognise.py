"""Which family of boards one belongs to."""

from toolkit.devices.survey.survey import Survey


def recognise(survey: Survey) -> str | None:
    """The name of its family; the most particular one that fits, None if there is none."""
    model = (survey.model or "").lower()
    system = survey.system or ""
    if survey.machine == "aarch64":
        if system.startswith("android"):
            return "android-arm64"
        if "raspberry pi 5" in model or "compute module 5" in model or "raspberry pi 500" in model:
            return "raspberry-pi-5"
        if "raspberry pi 4" in model or "compute module 4" in model:
            return "raspberry-pi-4"
        # "NVIDIA Jetson Orin Nano Developer Kit", "NVIDIA Orin NX Developer Kit"
        if "orin" in model:
            return "jetson-orin"
        return "generic-arm64"
    return "generic-x86-64" if survey.machine == "x86_64" and not system.startswith("android") else None

# type: ignore
# fmt: off
"""Environment variables, resources and the image, from constants and from values of the run; display names."""

from kedge import dsl


@dsl.component
def sizes() -> str:
    return "256Mi"


@dsl.component
def look() -> list:
    import os
    import sys

    return [os.environ.get("ONE"), os.environ.get("TWO"), sys.version_info[0]]


@dsl.pipeline
def pipeline(cpu: str = "500m", image: str = "python:3.11") -> list:
    look().set_cpu_limit(cpu).set_memory_limit(sizes().output).set_container_image(image)
    look().set_cpu_request("0.1").set_memory_request("64Mi").set_cpu_limit("1").set_memory_limit("1G")
    with dsl.ParallelFor([{"cpu": "0.2", "memory": "200Mi"}]) as row:
        look().set_cpu_limit(row.cpu).set_memory_limit(row.memory)
    return look().set_env_variable("ONE", "1").set_env_variable("TWO", "it's \"two\" $ONE").set_display_name("Look around").output


EXPECTED = {
    "outputs": {"Output": ["1", "it's \"two\" $ONE", 3]},
    "returned": {"look": {"Output": [None, None, 3]}, "look-2": {"Output": [None, None, 3]}, "look-3": [{"Output": [None, None, 3]}]},
}

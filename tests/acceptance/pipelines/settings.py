# type: ignore
# fmt: off
# As people write them for Kubeflow today, whatever our own rules say.
"""Everything that can be set on a task."""

from kedge import dsl


@dsl.component(
    base_image="python:3.12", packages_to_install=["pandas==2.2.3", "numpy"], pip_index_urls=["https://mirror.example/simple"],
    pip_trusted_hosts=["mirror.example"],
)
def work(number: int = 1) -> str:
    import pandas

    return str(pandas)


@dsl.component
def size() -> str:
    return "1Gi"


@dsl.pipeline
def pipeline(cpu: str = "2", image: str = "python:3.13", gpus: int = 1):
    work().set_cpu_request("0.5").set_cpu_limit("2").set_memory_request("512Mi").set_memory_limit("2G").set_display_name("Heavy")
    work().set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(2).set_env_variable("A", "b").set_env_variable("C", "d")
    work().set_caching_options(False).set_retry(3, backoff_duration="30s", backoff_factor=1.5, backoff_max_duration="600s")
    work().set_caching_options(True, cache_key="mine").set_container_image("registry.example/other:1")
    work().set_cpu_limit(cpu).set_memory_limit(size().output).set_container_image(image)
    work().set_accelerator_type("tpu").set_accelerator_limit(gpus)
    work().set_retry(2)

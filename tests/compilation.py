"""What JAX compiles while a test runs."""

import jax


def compilations() -> list[str]:
    """A list that grows by one entry with everything that is compiled from now on."""
    compiled = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda name, seconds, **_: compiled.append(name) if name.endswith("backend_compile_duration") else None
    )
    return compiled

import jax


# Two devices, so that sharing tasks out over devices is tested everywhere.
jax.config.update("jax_num_cpu_devices", 2)

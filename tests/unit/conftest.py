from hypothesis import HealthCheck, settings

# A machine at work on other things is no failure; and nothing is kept between runs.
settings.register_profile("unit", deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")

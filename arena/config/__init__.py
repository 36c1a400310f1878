"""The typed configuration: schema, composition, instantiation, and configs of finished runs."""

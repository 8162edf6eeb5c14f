"""Artefact files: reading, inspecting and running them."""

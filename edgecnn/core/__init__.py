"""The artefacts, their JSON, files that appear whole, errors, and image preparation."""

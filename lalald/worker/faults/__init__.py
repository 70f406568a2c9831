"""Convert the errors of stages to outcomes, and contain unexpected exceptions."""

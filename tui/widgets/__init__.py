"""The panels of the dashboard, one a file: each shows what a renderable draws."""

"""The screens: the dashboard, the dialogs over it, and the help."""

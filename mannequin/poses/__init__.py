"""What the figure does, by what the actions have in common; `mannequin.actions` says which they are."""

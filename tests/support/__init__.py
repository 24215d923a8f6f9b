"""What the tests measure against: Google's forward pass and made-up checkpoints, independent of the package."""

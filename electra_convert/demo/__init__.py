"""What a model makes of a text: tokens that look replaced, masks filled in; shown in a terminal or on a page."""

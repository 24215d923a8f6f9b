"""What a model is fine-tuned for, a file each: how examples become rows, what is lost, answered and counted."""

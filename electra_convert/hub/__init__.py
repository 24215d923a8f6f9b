"""The Hugging Face Hub: models uploaded to it, and sources read from it; knows no command line."""

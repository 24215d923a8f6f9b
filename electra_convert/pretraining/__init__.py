"""Pretraining of a generator and a discriminator in PyTorch, as google-research/electra's run_pretraining.py does it.

Where modules name a file of google-research/electra, it is that of commit 8a46635f32083ada044d7e9ad09604742600ee7b.
Nothing outside imports these modules before they are used: some of them cannot be imported without PyTorch.
"""

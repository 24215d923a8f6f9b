"""Pretraining of a generator and a discriminator in PyTorch, as google-research/electra's run_pretraining.py does it.

Named apart from the function, which is electra_convert.pretrain. Nothing outside imports these modules before they
are used: some of them cannot be imported without PyTorch.
"""

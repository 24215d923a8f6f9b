"""Fine-tuning: a pretrained encoder and labelled data become a tagger, a classifier, a reader, or a masked language
model of a domain."""

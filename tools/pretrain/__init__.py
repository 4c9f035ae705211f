"""Trains the mini backbones of the shapes world from scratch: a ViT on images only, a GPT-2 on texts only."""

"""Trains the mini backbones of the shapes world from nothing: a ViT on pictures alone, a GPT-2 on sentences alone."""

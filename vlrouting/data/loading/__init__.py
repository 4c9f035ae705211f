"""Examples -> `Batch`: tokens, samplers, collate functions, the LightningDataModule."""

"""What every training shares: loop, checkpoints, average, augmentations and run folders."""

"""Pictures out of noise: a pixel-space transformer, trained to denoise in many steps or in one."""

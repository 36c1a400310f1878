"""How players learn: GAN losses, what the generator is told, and the LightningModules that train."""

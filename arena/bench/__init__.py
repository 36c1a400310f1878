"""How fast this machine trains, samples and renders, beside a plain textbook port of StyleGAN2-ADA's networks."""

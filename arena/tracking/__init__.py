"""Show races on Weights & Biases. The records in the run directory are complete without it."""

"""Style mixing as the article shows it: crossed codes, grids, projected photographs, and what a level carries."""

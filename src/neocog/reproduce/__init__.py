"""`neocog reproduce`: a model made once more from what is recorded of it, in a clean worktree, and held against what was shipped."""

"""What people look at: the leaderboard, the figures, one HTML page."""

"""Report: the leaderboard, the figures, one HTML page."""

"""Images spoilt as the world spoils them: the 15 corruptions of Hendrycks & Dietterich, one file a family."""

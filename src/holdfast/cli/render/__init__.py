"""Reports as people read them: plain text, at most 100 columns wide, readable without colour."""

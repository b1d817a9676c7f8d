"""The migrations themselves, oldest first. A file that has been released is never edited."""

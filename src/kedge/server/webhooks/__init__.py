"""Asks webhooks before an object is stored: who is asked, what they are sent, and what their answers mean."""

"""Audiences: who a campaign is for, as conditions over profiles or as lists of recipients."""

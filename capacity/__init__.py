"""Capacity planning for promotions of the size of Double 11."""

"""Engines decide when and where work runs; what runs is in routing and delivery."""

"""A place from which older programs import `load_state_dict_from_url`."""

from flambeau.hub import load_state_dict_from_url

__all__ = ["load_state_dict_from_url"]

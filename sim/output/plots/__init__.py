"""Pictures of a result. The only room that imports matplotlib: whoever draws imports it then."""

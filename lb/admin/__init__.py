"""The control plane: an application beside the proxy, which shows it and changes it."""

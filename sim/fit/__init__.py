"""From a scenario to many: sweeps over what it holds, and which algorithm wins where."""

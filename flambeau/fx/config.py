"""Settings of ``torch.fx``."""

disable_progress = True
"""Whether minimizers show no bar of progress."""

verbose_progress = False
"""Whether that bar says more."""

do_not_emit_stack_traces = False
"""Whether generated code says nothing of where its calls were traced."""
